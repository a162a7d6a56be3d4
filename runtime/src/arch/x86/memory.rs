//! Memory of the kernels on the stack, written before it is read.

use core::mem::MaybeUninit;

/// Bytes of [`Panels`].
const PANELS: usize = 128 * 1_024;
/// Bytes of [`Ring`].
pub(super) const RING: usize = 32 * 1_024;

/// Packed weights.
#[repr(C, align(64))]
pub(super) struct Panels([MaybeUninit<u8>; PANELS]);

impl Panels {
    pub(super) const fn new() -> Self {
        Self([MaybeUninit::uninit(); PANELS])
    }

    /// The first byte, at a multiple of 64, if there is room for so many.
    #[inline(always)]
    pub(super) fn room(&mut self, bytes: usize) -> Option<*mut u8> {
        self.0.get_mut(..bytes).map(|room| room.as_mut_ptr().cast())
    }
}

/// A ring of rows of inputs.
#[repr(C, align(64))]
pub(super) struct Ring([MaybeUninit<u8>; RING]);

impl Ring {
    pub(super) const fn new() -> Self {
        Self([MaybeUninit::uninit(); RING])
    }

    /// The first of so many inputs, if there is room for them: zeros.
    #[inline(always)]
    pub(super) fn room<T>(&mut self, len: usize) -> Option<*mut T> {
        let room = self.0.get_mut(..len.checked_mul(size_of::<T>())?)?;
        room.fill(MaybeUninit::new(0));
        Some(room.as_mut_ptr().cast())
    }
}
