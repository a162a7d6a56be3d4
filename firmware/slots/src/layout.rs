//! Where things lie in the flash.
//!
//! ```text
//! rollback counter: two areas | slot A: header and marks, model | slot B: the same
//! ```
//!
//! Each of these begins at an erase boundary.

use core::marker::PhantomData;
use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::header::STORED;
use crate::marks::{MARK, MARKS};
use crate::store::Slot;

/// Bytes that the largest unit of reading or writing may have; a mark and a record of the counter have as many.
pub(crate) const WORD: u32 = MARK as u32;

/// The places for a flash of the type `F`.
#[derive(Debug)]
pub(crate) struct Layout<F> {
    /// Bytes of a slot.
    slot: u32,
    flash: PhantomData<F>,
}

impl<F: NorFlash> Layout<F> {
    const ERASE: u32 = F::ERASE_SIZE as u32;
    /// Bytes for the header and marks of a slot.
    pub(crate) const HEADER: u32 = round_up((STORED + MARKS * MARK) as u32, Self::ERASE);
    /// Bytes of one of the two areas of the counter.
    pub(crate) const COUNTER: u32 = round_up(2 * WORD, Self::ERASE);

    /// `None` if the flash is too small for two slots.
    pub(crate) fn new(flash: &F) -> Option<Self> {
        const {
            assert!(F::WRITE_SIZE > 0 && MARK.is_multiple_of(F::WRITE_SIZE), "words of a power of 2 up to 32 bytes");
            assert!(F::READ_SIZE > 0 && MARK.is_multiple_of(F::READ_SIZE), "words of a power of 2 up to 32 bytes");
            assert!(F::ERASE_SIZE > 0 && F::ERASE_SIZE.is_multiple_of(MARK), "sectors of a multiple of 32 bytes");
        }
        let capacity = u32::try_from(flash.capacity()).unwrap_or(u32::MAX);
        let half = capacity.checked_sub(2 * Self::COUNTER)? / 2;
        let slot = half - half % Self::ERASE;
        (slot > Self::HEADER).then_some(Self { slot, flash: PhantomData })
    }

    /// Area 0 or 1 of the counter.
    pub(crate) fn counter(&self, area: u32) -> Range<u32> {
        range(area * Self::COUNTER, Self::COUNTER)
    }

    /// Header and marks of a slot.
    pub(crate) fn header(&self, slot: Slot) -> Range<u32> {
        range(2 * Self::COUNTER + slot as u32 * self.slot, Self::HEADER)
    }

    /// The bytes for the model of a slot.
    pub(crate) fn model(&self, slot: Slot) -> Range<u32> {
        range(self.header(slot).end, self.slot - Self::HEADER)
    }
}

const fn range(start: u32, len: u32) -> Range<u32> {
    start..start.saturating_add(len)
}

const fn round_up(len: u32, unit: u32) -> u32 {
    len.div_ceil(unit) * unit
}
