//! Model slots in the upper half of the flash.
#![allow(unsafe_code)]

use rp235x_hal::pac::QMI;
use rp235x_hal::rom_data;
use teff_probe::rom_flash::{Functions, RomFlash};
use teff_probe::slots::Mapped;

include!(concat!(env!("OUT_DIR"), "/slots.rs"));

const _: () = assert!(MEMORY_LEN >= crate::model::MEMORY_LEN, "the firmware's own model runs in the same memory");

/// Where the processor reads the flash: addresses there are not translated unless a partition table says so.
const FLASH: usize = 0x1000_0000;

/// The flash that has the slots, and where the processor reads it. `_qmi`, of which there is one, shows that nothing else drives
/// the flash.
pub(crate) fn flash(_qmi: QMI) -> (RomFlash, Mapped) {
    let functions = Functions {
        connect_internal_flash: rom_data::connect_internal_flash::ptr(),
        flash_exit_xip: rom_data::flash_exit_xip::ptr(),
        flash_range_erase: rom_data::flash_range_erase::ptr(),
        flash_range_program: rom_data::flash_range_program::ptr(),
        flash_flush_cache: rom_data::flash_flush_cache::ptr(),
        flash_enter_cmd_xip: rom_data::flash_enter_cmd_xip::ptr(),
    };
    let mapped = ADDRESS as *const u8;
    // SAFETY: the flash is mapped at `FLASH`; the linker refuses a firmware that reaches into the slots. This firmware uses
    // no DMA and no second core.
    let Some(flash) = (unsafe { RomFlash::new(functions, mapped, (ADDRESS - FLASH) as u32, LEN) }) else {
        teff_probe::fail(&"the slots are no whole sectors")
    };
    // SAFETY: the slots are in the processor's memory at `ADDRESS`, and the only handle to write them goes with it.
    (flash, unsafe { Mapped::new(mapped, LEN) })
}
