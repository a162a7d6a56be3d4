//! Model slots in the upper half of the flash. The processor's window on the flash shows the firmware alone: a model is copied to RAM.

use esp_hal::peripherals::FLASH;
use esp_storage::FlashStorage;
use teff_probe::ConstStaticCell;
use teff_probe::slots::{Copied, Region, region};

include!(concat!(env!("OUT_DIR"), "/slots.rs"));

const _: () = assert!(MEMORY_LEN >= crate::model::MEMORY_LEN, "the firmware's own model runs in the same memory");

/// Bytes of the largest model.
const MODEL_LEN: usize = 128 << 10;

static MODEL: ConstStaticCell<teff::Aligned<[u8; MODEL_LEN]>> = ConstStaticCell::new(teff::Aligned([0; MODEL_LEN]));

/// The flash that has the slots, and the memory for a model out of it; to be called once.
pub(crate) fn flash(flash: FLASH<'static>) -> (Region<FlashStorage<'static>>, Copied) {
    (region(FlashStorage::new(flash), ADDRESS, LEN), Copied::new(MODEL.take()))
}
