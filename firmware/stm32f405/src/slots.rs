//! Model slots in sectors 6 to 11 of the flash, of 128 KB each.
#![allow(unsafe_code)]

use stm32f4xx_hal::flash::FlashExt;
use stm32f4xx_hal::pac::FLASH;
use teff_app::digits::Embedded;
use teff_probe::slots::{Mapped, select as select_in};
use teff_slots::Region;

include!(concat!(env!("OUT_DIR"), "/slots.rs"));

const _: () = assert!(MEMORY_LEN >= crate::model::MEMORY_LEN, "the firmware's own model runs in the same memory");

/// The model to run; to be called once.
pub(crate) fn select(mut flash: FLASH, own: Embedded, memory: &mut [u8]) -> Embedded {
    let start = (ADDRESS - flash.address()) as u32;
    let Some(region) = Region::new(flash.unlocked(), start, LEN as u32) else { return own };
    // SAFETY: the flash is in the processor's memory at `ADDRESS`, the region begins there, and the only handle to write
    // it ends in `select`.
    let mapped = unsafe { Mapped::new(ADDRESS as *const u8, LEN) };
    select_in(region, &mapped, &crate::model::PUBLIC_KEY, own, memory)
}
