//! What the boards of this repository give to a model, for those who ask before they build.

use crate::Budget;

/// What the build script of the board in `firmware/FOLDER` gives to a model when it builds for `target`; `None` if there is
/// no such board. `tests/budgets.rs` holds it against what the scripts say.
pub fn budget(folder: &str, target: &str) -> Option<Budget> {
    let (flash, ram) = match (folder, target) {
        ("esp32c3", _) => (3 << 20, 256 << 10),
        ("esp32c6", _) => (3 << 20, 320 << 10),
        ("hifive1", _) => (3 << 20, 11 << 10),
        ("microbit", _) => (192 << 10, 12 << 10),
        ("mps2", "thumbv8m.main-none-eabi") => (3 << 20, 1 << 20),
        ("mps2", "thumbv8m.main-none-eabihf") => (384 << 10, 384 << 10),
        ("mps2", _) => (3 << 20, 3 << 20),
        ("nrf52840-dk", _) => (768 << 10, 224 << 10),
        ("riscv-virt", _) => (6 << 20, 6 << 20),
        ("rp2040", _) => (1536 << 10, 192 << 10),
        ("rp2350", _) => (3 << 20, 448 << 10),
        ("stm32f405", _) => (768 << 10, 96 << 10),
        _ => return None,
    };
    Some(Budget { flash, ram })
}
