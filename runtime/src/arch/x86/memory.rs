#![allow(unsafe_code)]
//! Memory of the kernels on the stack, written before it is read, and what they copy to it.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::set::Set;
use crate::kernels::conv::Window;

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

/// Copies these columns of row `row` of the padded image to a row of a ring.
///
/// # Safety
/// `image` holds the window's whole input, and the columns lie within the padded image. There is room for them at `to`, and for what
/// [`Set::copy`] writes behind them.
#[inline(always)]
pub(super) unsafe fn gather<S: Set>(
    image: &[i8],
    window: &Window,
    channels: usize,
    pad_value: i8,
    row: usize,
    columns: Range<usize>,
    to: *mut S::Input,
) {
    let Window { input: [in_h, in_w], pad, .. } = *window;
    let (begin, pixels, c) = (columns.start, columns.len(), channels);
    // Those of the image begin at `pad`.
    let left = pad[1].saturating_sub(begin).min(pixels);
    let right = (pad[1] + in_w).saturating_sub(begin).clamp(left, pixels);
    // SAFETY: each part lies within the row of the ring, and within the image's row.
    unsafe {
        let Some(y) = row.checked_sub(pad[0]).filter(|&y| y < in_h) else {
            S::fill(to, pixels * c, pad_value);
            return;
        };
        S::fill(to, left * c, pad_value);
        if right > left {
            let from = (y * in_w + begin + left - pad[1]) * c;
            debug_assert!(from + (right - left) * c <= image.len());
            S::copy(image.as_ptr().add(from), to.add(left * c), (right - left) * c);
        }
        S::fill(to.add(right * c), (pixels - right) * c, pad_value);
    }
}
