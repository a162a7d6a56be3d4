//! Boards that are no emulators: what is built for them, and what they have.

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
    /// The binary of that crate.
    pub binary: &'static str,
    /// Bytes of flash.
    pub flash: u64,
    /// Bytes of RAM.
    pub ram: u64,
}

/// All boards that are no emulators.
pub static HARDWARE: &[Hardware] = &[
    Hardware {
        name: "stm32f405",
        description: "STM32F405: Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        folder: "firmware/stm32f405",
        binary: "teff-stm32f405",
        flash: 1 << 20,
        ram: 112 << 10,
    },
    Hardware {
        name: "nrf52840-dk",
        description: "Nordic nRF52840-DK: Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        folder: "firmware/nrf52840-dk",
        binary: "teff-nrf52840-dk",
        flash: 1 << 20,
        ram: 256 << 10,
    },
    Hardware {
        name: "rp2040",
        description: "Raspberry Pi Pico: Cortex-M0+",
        target: "thumbv6m-none-eabi",
        folder: "firmware/rp2040",
        binary: "teff-rp2040",
        flash: 2 << 20,
        ram: 256 << 10,
    },
    Hardware {
        name: "rp2350",
        description: "Raspberry Pi Pico 2: Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        folder: "firmware/rp2350",
        binary: "teff-rp2350",
        flash: 4 << 20,
        ram: 512 << 10,
    },
    Hardware {
        name: "rp2350-riscv",
        description: "Raspberry Pi Pico 2: RV32IMAC",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/rp2350",
        binary: "teff-rp2350",
        flash: 4 << 20,
        ram: 512 << 10,
    },
    Hardware {
        name: "hifive1",
        description: "SiFive HiFive1 rev B: RV32IMAC",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/hifive1",
        binary: "teff-hifive1",
        flash: 4 << 20,
        ram: 16 << 10,
    },
    Hardware {
        name: "esp32c3",
        description: "ESP32-C3: RV32IMC",
        target: "riscv32imc-unknown-none-elf",
        folder: "firmware/esp32c3",
        binary: "teff-esp32c3",
        flash: 4 << 20,
        ram: 400 << 10,
    },
    Hardware {
        name: "esp32c6",
        description: "ESP32-C6: RV32IMAC",
        target: "riscv32imac-unknown-none-elf",
        folder: "firmware/esp32c6",
        binary: "teff-esp32c6",
        flash: 4 << 20,
        ram: 512 << 10,
    },
];
