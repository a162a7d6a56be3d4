//! Boards that are no emulators: what is built for them, and what they have.

use anyhow::{Result, bail};
use teff_build::Budget;

use super::{App, canonical};
use crate::update::Slots;

/// A board and the firmware for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// Its name here.
    pub name: &'static str,
    /// What it is, for a person.
    pub description: &'static str,
    /// What Cargo builds for.
    pub target: &'static str,
    /// The firmware's crate, from the root of the repository.
    pub folder: &'static str,
    /// The binary of that crate that runs [`App::Digits`]; see [`Hardware::program`] for the others.
    pub binary: &'static str,
    /// The applications that the crate has a program for, [`App::Digits`] first.
    pub apps: &'static [App],
    /// Bytes of flash.
    pub flash: u64,
    /// Bytes of RAM.
    pub ram: u64,
    /// The programs that can flash it, the preferred one first.
    pub flashers: &'static [Flasher],
    /// Where a firmware that was built with the feature `slots` keeps its models; as in the board's `build.rs`.
    pub slots: Option<Slots>,
}

impl Hardware {
    /// What its firmware gives to a model.
    ///
    /// # Errors
    /// If `teff-build` does not know the board.
    pub fn budget(&self) -> Result<Budget> {
        super::budget(self.folder, self.target)
    }

    /// The binary of the crate that runs `app`.
    ///
    /// # Errors
    /// If there is none; the message names the board's applications, and the boards that have `app`.
    pub fn program(&self, app: App) -> Result<String> {
        if !self.apps.contains(&app) {
            let own: Vec<_> = self.apps.iter().map(|app| app.name()).collect();
            let others: Vec<_> = HARDWARE.iter().filter(|b| b.apps.contains(&app)).map(|b| b.name).collect();
            bail!(
                "the firmware for {} has no application {name}, only {}; {name} is there for {}",
                self.description,
                own.join(", "),
                others.join(", "),
                name = app.name()
            );
        }
        Ok(match app {
            App::Digits => self.binary.to_string(),
            _ => format!("{}-{}", self.binary, app.name()),
        })
    }
}

/// A program that writes a firmware to a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flasher {
    /// probe-rs, through a debug probe, for this chip.
    ProbeRs(&'static str),
    /// espflash, over the board's USB port, for this chip.
    Espflash(&'static str),
    /// elf2uf2-rs, to the drive that the board is while its BOOTSEL button is held.
    Uf2,
    /// picotool, to a board that was plugged in with its BOOTSEL button held.
    Picotool,
}

impl Flasher {
    /// Its name on the command line.
    pub const fn program(self) -> &'static str {
        match self {
            Self::ProbeRs(_) => "probe-rs",
            Self::Espflash(_) => "espflash",
            Self::Uf2 => "elf2uf2-rs",
            Self::Picotool => "picotool",
        }
    }

    /// How to install it.
    pub const fn install(self) -> &'static str {
        match self {
            Self::ProbeRs(_) => "cargo install probe-rs-tools --locked",
            Self::Espflash(_) => "cargo install espflash --locked",
            Self::Uf2 => "cargo install elf2uf2-rs --locked",
            Self::Picotool => "install the package picotool of your system, or build it from Raspberry Pi's sources",
        }
    }

    /// Its arguments to write the ELF file `firmware` and start it.
    pub fn arguments(self, firmware: &str) -> Vec<String> {
        let arguments: &[&str] = match self {
            Self::ProbeRs(chip) => &["run", "--chip", chip, firmware],
            Self::Espflash(chip) => &["flash", "--chip", chip, firmware],
            Self::Uf2 => &["--deploy", firmware],
            Self::Picotool => &["load", "--update", "--verify", "--execute", firmware, "-t", "elf"],
        };
        arguments.iter().map(ToString::to_string).collect()
    }

    /// What Cargo runs a firmware with, whose file it adds: the same, and where there is a line, what comes over it.
    pub fn runner(self) -> Vec<String> {
        // It is no argument by itself.
        const FIRMWARE: &str = "";
        let arguments = self.arguments(FIRMWARE).into_iter().filter(|argument| argument != FIRMWARE);
        let monitor = matches!(self, Self::Espflash(_)).then(|| "--monitor".to_string());
        [self.program().to_string()].into_iter().chain(arguments).chain(monitor).collect()
    }

    /// Its calls that write the bytes of the file `image` to `address` and start the firmware again; none if it only
    /// writes firmware.
    pub fn raw(self, image: &str, address: u32) -> Option<Vec<Vec<String>>> {
        let address = format!("{address:#010x}");
        let calls: &[&[&str]] = match self {
            Self::ProbeRs(chip) => &[
                &["download", "--chip", chip, "--binary-format", "bin", "--base-address", &address, image],
                &["reset", "--chip", chip],
            ],
            Self::Picotool => &[&["load", "--update", "--verify", image, "-t", "bin", "-o", &address], &["reboot"]],
            // It starts the board again by itself.
            Self::Espflash(chip) => &[&["write-bin", "--chip", chip, &address, image]],
            Self::Uf2 => return None,
        };
        Some(calls.iter().map(|call| call.iter().map(ToString::to_string).collect()).collect())
    }
}

/// The board of this name, or of another by which people know it, that is no emulator.
pub fn hardware_by_name(name: &str) -> Option<&'static Hardware> {
    HARDWARE.iter().find(|board| board.name == canonical(name))
}

const ALL: [App; 4] = [App::Digits, App::Keyword, App::Storyteller, App::Vibration];

/// All boards that are no emulators.
pub static HARDWARE: &[Hardware] = &[
    Hardware {
        name: "stm32f405",
        description: "STM32F405: Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        folder: "firmware/stm32f405",
        binary: "teff-stm32f405",
        apps: &[App::Digits, App::Storyteller, App::Vibration],
        flash: 1 << 20,
        ram: 112 << 10,
        flashers: &[Flasher::ProbeRs("STM32F405RGTx")],
        slots: Some(Slots { address: 0x0804_0000, len: 768 << 10, sector: 128 << 10 }),
    },
    Hardware {
        name: "nrf52840-dk",
        description: "Nordic nRF52840-DK: Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        folder: "firmware/nrf52840-dk",
        binary: "teff-nrf52840-dk",
        apps: &ALL,
        flash: 1 << 20,
        ram: 256 << 10,
        flashers: &[Flasher::ProbeRs("nRF52840_xxAA")],
        slots: Some(Slots { address: 0x0008_0000, len: 512 << 10, sector: 4 << 10 }),
    },
    Hardware {
        name: "microbit",
        description: "BBC micro:bit, version 1: Cortex-M0",
        target: "thumbv6m-none-eabi",
        folder: "firmware/microbit",
        binary: "teff-microbit",
        apps: &[App::Digits],
        flash: 256 << 10,
        ram: 16 << 10,
        flashers: &[Flasher::ProbeRs("nRF51822_xxAA")],
        slots: None,
    },
    Hardware {
        name: "rp2040",
        description: "Raspberry Pi Pico: Cortex-M0+",
        target: "thumbv6m-none-eabi",
        folder: "firmware/rp2040",
        binary: "teff-rp2040",
        apps: &ALL,
        flash: 2 << 20,
        ram: 256 << 10,
        flashers: &[Flasher::ProbeRs("RP2040"), Flasher::Uf2, Flasher::Picotool],
        slots: Some(Slots { address: 0x1010_0000, len: 1 << 20, sector: 4 << 10 }),
    },
    Hardware {
        name: "rp2350",
        description: "Raspberry Pi Pico 2: Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        folder: "firmware/rp2350",
        binary: "teff-rp2350",
        apps: &[App::Digits],
        flash: 4 << 20,
        ram: 512 << 10,
        flashers: &[Flasher::ProbeRs("RP235x"), Flasher::Picotool],
        slots: Some(Slots { address: 0x1020_0000, len: 2 << 20, sector: 4 << 10 }),
    },
    Hardware {
        name: "rp2350-riscv",
        description: "Raspberry Pi Pico 2: RV32IMAC",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/rp2350",
        binary: "teff-rp2350",
        apps: &[App::Digits],
        flash: 4 << 20,
        ram: 512 << 10,
        flashers: &[Flasher::Picotool],
        slots: Some(Slots { address: 0x1020_0000, len: 2 << 20, sector: 4 << 10 }),
    },
    Hardware {
        name: "hifive1",
        description: "SiFive HiFive1 rev B: RV32IMAC",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/hifive1",
        binary: "teff-hifive1",
        apps: &[App::Digits],
        flash: 4 << 20,
        ram: 16 << 10,
        flashers: &[Flasher::ProbeRs("FE310-G002")],
        slots: None,
    },
    Hardware {
        name: "esp32c3",
        description: "ESP32-C3: RV32IMC",
        target: "riscv32imc-unknown-none-elf",
        folder: "firmware/esp32c3",
        binary: "teff-esp32c3",
        apps: &[App::Digits],
        flash: 4 << 20,
        ram: 400 << 10,
        flashers: &[Flasher::Espflash("esp32c3"), Flasher::ProbeRs("esp32c3")],
        slots: Some(Slots { address: 0x20_0000, len: 2 << 20, sector: 4 << 10 }),
    },
    Hardware {
        name: "esp32c6",
        description: "ESP32-C6: RV32IMAC",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/esp32c6",
        binary: "teff-esp32c6",
        apps: &[App::Digits],
        flash: 4 << 20,
        ram: 512 << 10,
        flashers: &[Flasher::Espflash("esp32c6"), Flasher::ProbeRs("esp32c6")],
        slots: Some(Slots { address: 0x20_0000, len: 2 << 20, sector: 4 << 10 }),
    },
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_board_has_a_source_for_each_of_its_applications_and_for_no_other() {
        let root = crate::board::repository().expect("the repository");
        for board in HARDWARE {
            assert_eq!(board.apps[0], App::Digits);
            let manifest = fs::read_to_string(root.join(board.folder).join("Cargo.toml")).expect("a manifest");
            for app in [App::Keyword, App::Storyteller, App::Vibration] {
                let source = root.join(board.folder).join(format!("src/{}.rs", app.name()));
                assert_eq!(board.apps.contains(&app), source.exists(), "{} {}", board.name, app.name());
                match board.program(app) {
                    Ok(program) => assert!(manifest.contains(&format!("name = {program:?}")), "{program}"),
                    Err(error) => {
                        let error = error.to_string();
                        assert!(error.contains("only digits") && error.contains("nrf52840-dk"), "{error}");
                    }
                }
            }
        }
    }

    /// A firmware that is built with the feature `slots` but has none would be told of updates for nothing.
    #[test]
    fn the_programs_that_take_updates_are_those_with_slots() {
        let root = crate::board::repository().expect("the repository");
        for board in HARDWARE.iter().filter(|board| board.slots.is_some()) {
            for &app in board.apps {
                let name = if app == App::Digits { "main" } else { app.name() };
                let source = root.join(board.folder).join(format!("src/{name}.rs"));
                let source = fs::read_to_string(source).expect("a source");
                let taken = app.takes_updates();
                assert_eq!(taken.is_ok(), source.contains("teff_probe::slots::run"), "{} {name}", board.name);
                assert!(taken.err().is_none_or(|error| error.to_string().contains(name)));
            }
        }
    }
}
