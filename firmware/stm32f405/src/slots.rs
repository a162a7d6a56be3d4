//! Model slots in sectors 6 to 11 of the flash, of 128 KB each.
#![allow(unsafe_code)]

use stm32f4xx_hal::flash::{FlashExt, UnlockedFlash};
use stm32f4xx_hal::pac::FLASH;
use teff_probe::slots::{Mapped, Region, region};

include!(concat!(env!("OUT_DIR"), "/slots.rs"));

const _: () = assert!(MEMORY_LEN >= crate::model::MEMORY_LEN, "the firmware's own model runs in the same memory");

/// The flash that has the slots, and where the processor reads it.
pub(crate) fn flash(flash: &mut FLASH) -> (Region<UnlockedFlash<'_>>, Mapped) {
    let start = ADDRESS - flash.address();
    let region = region(flash.unlocked(), start, LEN);
    // SAFETY: the flash is in the processor's memory at `ADDRESS`, the region begins there, and the only handle to write
    // it goes with it.
    (region, unsafe { Mapped::new(ADDRESS as *const u8, LEN) })
}
