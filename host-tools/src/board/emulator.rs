//! What emulates a board, and the command that starts it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::availability::{INSTALL_QEMU, emulator};
use super::repository;

/// Brings the packages that scripts run boards in.
const INSTALL_PACKAGES: &str = "bash tests/setup/emulators.sh";
/// Where they are, from the root of the repository.
const PACKAGES: &str = "target/emulators";
/// Where the scripts are.
const SCRIPTS: &str = "tests/emulators";

/// What emulates a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulator {
    /// QEMU. The firmware reads files of the PC, and ends.
    Qemu {
        /// The program.
        program: &'static str,
        /// What makes it be this board.
        machine: &'static [&'static str],
    },
    /// A script of `tests/emulators` around a package. The firmware is that for the real board: it is served over its serial
    /// line, and waits for ever.
    Script {
        /// What runs the script.
        interpreter: &'static str,
        /// The script.
        script: &'static str,
        /// The package, in the folder of packages.
        package: &'static str,
    },
}

impl Emulator {
    /// QEMU for Arm.
    pub const fn arm(machine: &'static [&'static str]) -> Self {
        Self::Qemu { program: "qemu-system-arm", machine }
    }

    /// QEMU for RISC-V with 32 bits.
    pub const fn riscv(machine: &'static [&'static str]) -> Self {
        Self::Qemu { program: "qemu-system-riscv32", machine }
    }

    /// RISC-V virt: the bare processor with no extension but these.
    pub const VIRT_IMAC: Self =
        Self::riscv(&["-machine", "virt", "-bios", "none", "-cpu", "rv32i,m=on,a=on,c=on,zicsr=on,zicntr=on"]);
    /// [`Emulator::VIRT_IMAC`] without atomic instructions.
    pub const VIRT_IMC: Self =
        Self::riscv(&["-machine", "virt", "-bios", "none", "-cpu", "rv32i,m=on,c=on,zicsr=on,zicntr=on"]);

    /// The command that emulates the board; what it runs is still to be said.
    ///
    /// # Errors
    /// If the repository is not found.
    pub fn command(self) -> Result<Command> {
        Ok(match self {
            Self::Qemu { program, machine } => {
                let mut command = Command::new(program);
                command.args(machine);
                command
            }
            Self::Script { interpreter, script, .. } => {
                let mut command = Command::new(interpreter);
                command.arg(repository()?.join(SCRIPTS).join(script)).arg(packages()?);
                command
            }
        })
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// What is missing, and the command that brings it.
    pub(super) fn availability(self) -> Result<(), String> {
        match self {
            Self::Qemu { program, .. } => emulator(program, INSTALL_QEMU),
            Self::Script { interpreter, package, .. } => {
                emulator(interpreter, INSTALL_PACKAGES)?;
                let is_there = packages().map_err(|error| error.to_string())?.join(package).is_dir();
                is_there.then_some(()).ok_or_else(|| format!("{package} is not installed: run `{INSTALL_PACKAGES}`"))
            }
        }
    }
}

fn packages() -> Result<PathBuf> {
    Ok(repository()?.join(PACKAGES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let none = Emulator::Qemu { program: "qemu-system-none", machine: &[] };
        assert_eq!(
            none.availability(),
            Err("qemu-system-none is not installed: run `bash tests/setup/qemu.sh`".into())
        );
        let none = Emulator::Script { interpreter: "cargo", script: "none.py", package: "python/none" };
        assert_eq!(
            none.availability(),
            Err("python/none is not installed: run `bash tests/setup/emulators.sh`".into())
        );
    }
}
