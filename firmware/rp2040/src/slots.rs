//! Model slots in the upper half of the flash.
#![allow(unsafe_code)]

use rp2040_hal::pac::XIP_SSI;
use teff_probe::rom_flash::{self, RomFlash};
use teff_probe::slots::Mapped;

include!(concat!(env!("OUT_DIR"), "/slots.rs"));

const _: () = assert!(MEMORY_LEN >= crate::model::MEMORY_LEN, "the firmware's own model runs in the same memory");

/// The flash that has the slots, and where the processor reads it. `_ssi`, of which there is one, shows that nothing else
/// drives the flash.
pub(crate) fn flash(_ssi: XIP_SSI) -> (RomFlash, Mapped) {
    // SAFETY: the linker refuses a firmware that reaches into the slots. This firmware uses no DMA and no second core.
    unsafe { rom_flash::slots(teff_probe::rom_functions!(rp2040_hal::rom_data), ADDRESS, LEN) }
}
