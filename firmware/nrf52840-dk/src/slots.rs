//! Model slots in the upper half of the flash.
#![allow(unsafe_code)]

use nrf52840_hal::nvmc::Nvmc;
use nrf52840_hal::pac::NVMC;
use teff_probe::slots::Mapped;

include!(concat!(env!("OUT_DIR"), "/slots.rs"));

const _: () = assert!(MEMORY_LEN >= crate::model::MEMORY_LEN, "the firmware's own model runs in the same memory");

/// The flash that has the slots, and where the processor reads it.
pub(crate) fn flash(nvmc: NVMC) -> (Nvmc<NVMC>, Mapped) {
    // SAFETY: these bytes are flash, which any program may read; the linker refuses a firmware that reaches into them, so
    // that they belong to no other item, and `nvmc`, of which there is one, shows that this is the only call.
    let storage = unsafe { core::slice::from_raw_parts_mut(ADDRESS as *mut u8, LEN) };
    // SAFETY: the flash is in the processor's memory at its own addresses, and the only handle to write it goes with it.
    let mapped = unsafe { Mapped::new(ADDRESS as *const u8, LEN) };
    (Nvmc::new(nvmc, storage), mapped)
}
