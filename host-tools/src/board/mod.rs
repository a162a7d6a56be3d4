//! Boards under emulation: builds the firmware for one, runs frames on it, and reports what it answered, logged and
//! cost.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use teff_tools::board;
//!
//! let microbit = board::by_name("microbit").expect("it is in the table");
//! let firmware = board::build(microbit, "models/lightcnn-mnist/model.teff".as_ref())?;
//! let run = board::run(microbit, &firmware, &[0; 28 * 28])?;
//! println!("{:?} {:?}", run.outputs, run.instructions.map(|count| count.total()));
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`App`] | an application, and the models that it takes |
//! | `availability` | says what this machine lacks, and the command that brings it |
//! | [`mod@bench`] | instructions, code and memory of a model, operator by operator |
//! | `build` | runs Cargo in the board's folder |
//! | `elf` | sizes and symbols of a firmware |
//! | `emulate` | runs a firmware on frames: files of it under QEMU, its serial line in other emulators |
//! | `emulator` | what emulates a board |
//! | [`HARDWARE`] | boards that are no emulators |
//! | `log` | decodes the firmware's defmt log |
//! | `count` | the plugin that counts instructions, and its report |
//! | [`linux`] | the same for a program on 64-bit Arm Linux, as on a Raspberry Pi |
//! | `repository` | finds the folder in which all that lies |
//! | [`tokens`] | what tokens of a language model cost, and the texts that a core writes |

mod app;
mod availability;
pub mod bench;
mod build;
mod count;
mod elf;
mod emulate;
mod emulator;
mod hardware;
pub mod linux;
mod log;
mod process;
mod repository;
pub mod tokens;

pub use app::App;
pub use availability::{availability, program_runs, target_availability};
pub(crate) use build::cargo;
pub use build::{Kind, build, build_binary, build_comparing, build_hardware};
pub use count::Count;
pub use elf::{Elf, Size};
pub use emulate::{BoardRun, ProgramRun, run, run_binary, run_with_flash};
pub use emulator::Emulator;
pub use hardware::{Flasher, HARDWARE, Hardware, hardware_by_name};
pub use repository::repository;

use anyhow::{Context, Result};
use teff_build::Budget;

/// An emulated board and the firmware for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// Its name here.
    pub name: &'static str,
    /// What it is, for a person.
    pub description: &'static str,
    /// What Cargo builds for.
    pub target: &'static str,
    /// The firmware's crate, from the root of the repository.
    pub folder: &'static str,
    /// The binary of that crate.
    pub binary: &'static str,
    /// Bytes of flash.
    pub flash: u64,
    /// Bytes of RAM.
    pub ram: u64,
    /// What emulates it.
    pub emulator: Emulator,
}

impl Board {
    /// What its firmware gives to a model.
    ///
    /// # Errors
    /// If `teff-build` does not know the board.
    pub fn budget(&self) -> Result<Budget> {
        budget(self.folder, self.target)
    }
}

/// What the firmware in `folder`, from the root of the repository, gives to a model.
fn budget(folder: &str, target: &str) -> Result<Budget> {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    teff_build::budget(name, target).with_context(|| format!("no budget of {folder} for {target} is known"))
}

/// The crate of the other MPS2 and MPS3 boards too: the target tells it which.
const MPS2: Board = Board {
    name: "mps2-an386",
    description: "Arm MPS2 with a Cortex-M4F",
    target: "thumbv7em-none-eabihf",
    folder: "firmware/mps2",
    binary: "teff-mps2",
    flash: 4 << 20,
    ram: 4 << 20,
    emulator: Emulator::arm(&["-machine", "mps2-an386"]),
};

/// All emulated boards.
pub static BOARDS: &[Board] = &[
    MPS2,
    Board {
        name: "mps2-an385",
        description: "Arm MPS2 with a Cortex-M3",
        target: "thumbv7m-none-eabi",
        emulator: Emulator::arm(&["-machine", "mps2-an385"]),
        ..MPS2
    },
    Board {
        name: "mps2-an500",
        description: "Arm MPS2 with a Cortex-M7",
        target: "thumbv7em-none-eabi",
        emulator: Emulator::arm(&["-machine", "mps2-an500"]),
        ..MPS2
    },
    Board {
        name: "mps2-an505",
        description: "Arm MPS2+ with a Cortex-M33",
        target: "thumbv8m.main-none-eabi",
        ram: 2 << 20,
        emulator: Emulator::arm(&["-machine", "mps2-an505"]),
        ..MPS2
    },
    Board {
        name: "mps3-an547",
        description: "Arm MPS3 with a Cortex-M55, MVE",
        target: "thumbv8m.main-none-eabihf",
        flash: 512 << 10,
        ram: 512 << 10,
        emulator: Emulator::arm(&["-machine", "mps3-an547"]),
        ..MPS2
    },
    Board {
        name: "microbit",
        description: "BBC micro:bit with a Cortex-M0",
        target: "thumbv6m-none-eabi",
        folder: "firmware/microbit",
        binary: "teff-microbit-emulated",
        flash: 256 << 10,
        ram: 16 << 10,
        emulator: Emulator::arm(&["-machine", "microbit"]),
    },
    Board {
        name: "riscv-virt-imac",
        description: "QEMU's RISC-V machine as rv32imac",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/riscv-virt",
        binary: "teff-riscv-virt",
        flash: 8 << 20,
        ram: 8 << 20,
        emulator: Emulator::VIRT_IMAC,
    },
    Board {
        name: "riscv-virt-imc",
        description: "QEMU's RISC-V machine as rv32imc",
        target: "riscv32imc-unknown-none-elf",
        folder: "firmware/riscv-virt",
        binary: "teff-riscv-virt",
        flash: 8 << 20,
        ram: 8 << 20,
        emulator: Emulator::VIRT_IMC,
    },
    Board {
        name: "stm32f405",
        description: "STM32F405 with a Cortex-M4F, as a Netduino Plus 2",
        target: "thumbv7em-none-eabihf",
        folder: "firmware/stm32f405",
        binary: "teff-stm32f405-emulated",
        flash: 1 << 20,
        ram: 112 << 10,
        emulator: Emulator::arm(&["-machine", "netduinoplus2"]),
    },
    Board {
        name: "hifive1",
        description: "SiFive HiFive1 rev B with a RISC-V FE310",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/hifive1",
        binary: "teff-hifive1-emulated",
        flash: 4 << 20,
        ram: 16 << 10,
        emulator: Emulator::riscv(&["-machine", "sifive_e,revb=true"]),
    },
    Board {
        name: "rp2040",
        description: "Raspberry Pi Pico with a Cortex-M0+",
        target: "thumbv6m-none-eabi",
        folder: "firmware/rp2040",
        binary: "teff-rp2040",
        flash: 2 << 20,
        ram: 256 << 10,
        emulator: Emulator::Script { interpreter: "node", script: "rp2040.mjs", package: "node_modules/rp2040js" },
    },
    Board {
        name: "nrf52840-dk",
        description: "Nordic nRF52840-DK with a Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        folder: "firmware/nrf52840-dk",
        binary: "teff-nrf52840-dk",
        flash: 1 << 20,
        ram: 256 << 10,
        emulator: Emulator::Script { interpreter: "python3", script: "nrf52840.py", package: "python/unicorn" },
    },
];

/// Other names by which people know boards, and theirs here.
const ALIASES: &[(&str, &str)] = &[
    ("mps2-an547", "mps3-an547"),
    ("nrf52840", "nrf52840-dk"),
    ("pico", "rp2040"),
    ("pico2", "rp2350"),
    ("riscv-virt", "riscv-virt-imac"),
];

/// The name here of the board that people know as `name`.
pub fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name)
}

/// The other names of the board `name`.
pub fn aliases(name: &str) -> impl Iterator<Item = &'static str> {
    ALIASES.iter().filter(move |(_, board)| *board == name).map(|(alias, _)| *alias)
}

/// The board of this name, or of another by which people know it.
pub fn by_name(name: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.name == canonical(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_another_name_of_a_board_that_is_there() {
        for (alias, name) in ALIASES {
            let boards = [by_name(alias).map(|board| board.name), hardware_by_name(alias).map(|board| board.name)];
            assert!(boards.contains(&Some(name)), "{alias}: {boards:?}");
            assert!(
                BOARDS.iter().all(|board| board.name != *alias) && HARDWARE.iter().all(|board| board.name != *alias)
            );
            assert_eq!((canonical(alias), canonical(name)), (*name, *name));
            assert!(aliases(name).any(|other| other == *alias));
        }
    }
}
