//! The model of a slot, in place of the firmware's own.
#![allow(unsafe_code)]

use core::fmt::Debug;
use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use teff::{Model, Session};
use teff_app::digits::Embedded;
use teff_slots::{Installed, Store};

/// The slots as the processor reads them: model files are used where they lie.
#[derive(Debug)]
pub struct Mapped {
    start: *const u8,
    len: usize,
}

impl Mapped {
    /// # Safety
    /// `start` is the address of the first byte of the flash that is given to [`select`], `len` its size; it is a multiple
    /// of 16, reading there gives what the flash holds, and after [`select`] nothing writes to that flash.
    pub const unsafe fn new(start: *const u8, len: usize) -> Self {
        Self { start, len }
    }

    /// The bytes of a model that is installed.
    fn bytes(&self, range: &Range<u32>) -> Option<&'static [u8]> {
        let (start, end) = (range.start as usize, range.end as usize);
        let len = end.checked_sub(start).filter(|_| end <= self.len)?;
        // SAFETY: the range is within the mapped flash, as `new` was promised. A store writes to the bytes of a model only
        // before it is installed, or while the other one is active; `select` gives the store away before it returns,
        // and keeps no slice across a call of it.
        Some(unsafe { core::slice::from_raw_parts(self.start.add(start), len) })
    }
}

/// The model that the slots in `flash` select, or `own` where they hold none that `key` signed and that works here: with
/// the operators of `own`, the only ones that the firmware links, and within `memory`.
pub fn select<F: NorFlash<Error: Debug>>(
    flash: F,
    mapped: &Mapped,
    key: &[u8; 32],
    own: Embedded,
    memory: &mut [u8],
) -> Embedded {
    let works = |_: &mut F, installed: &Installed| {
        let Some(bytes) = mapped.bytes(&installed.range) else { return false };
        let Ok(model) = Model::verify_with(bytes, own.ops) else { return false };
        Session::new(&model, memory).is_ok_and(|mut session| session.self_test().is_ok())
    };
    let installed = match Store::open(flash, key, works) {
        Ok(store) => store.active().cloned(),
        Err(error) => {
            defmt::error!("model slots: {}", defmt::Display2Format(&error));
            None
        }
    };
    match installed.and_then(|installed| Some((installed.version, mapped.bytes(&installed.range)?))) {
        Some((version, model)) => {
            defmt::info!("model slots: version {=u32}", version);
            Embedded { model, ops: own.ops }
        }
        None => {
            defmt::info!("model slots: none that works, the firmware's own model runs");
            own
        }
    }
}
