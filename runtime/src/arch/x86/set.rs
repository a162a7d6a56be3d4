#![allow(unsafe_code)]
//! A set of instructions as the kernels of CNNs use it: sixteen sums at a time.

use core::arch::x86_64::__m128i;

use crate::kernels::Output;

/// Outputs of a vector of sums.
pub(super) const LANES: usize = 16;
/// Most rows of the window of a convolution.
pub(super) const LINES: usize = 16;
/// Inputs behind a place written by [`Set::copy`] or [`Set::fill`] that may be overwritten: whole vectors are, because what is
/// read soon after from a vector that was written in part waits for it.
pub(super) const SPILL: usize = 64;

/// As many bytes of each of up to sixteen rows of weights.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) from: *const i8,
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) count: usize,
}

impl Rows {
    /// Whether there are sixteen bytes of sixteen rows.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.rows >= LANES && self.count == LANES
    }

    /// The bytes of row `r`, zeros behind them; zeros for a row that there is not. With `FULL`, there are all.
    ///
    /// # Safety
    /// `count ≤ 16` bytes can be read in each of `rows`.
    #[inline(always)]
    pub(super) unsafe fn get<S: Set, const FULL: bool>(&self, r: usize) -> __m128i {
        let count = if FULL { LANES } else { self.count };
        // SAFETY: as the caller promises.
        unsafe { S::part(self.from.wrapping_add(r * self.stride), if FULL || r < self.rows { count } else { 0 }) }
    }
}

/// Instructions. Only functions that have them may call what is here: see `at_widest!`.
pub(super) trait Set {
    /// Sixteen 32-bit numbers, all arithmetic modulo 2^32; which lane holds which is the set's own matter.
    type Words: Copy;
    /// An input in a ring of rows.
    type Input: Copy;
    /// Inputs of one window's row side by side, for all lanes.
    type Inputs: Copy;
    /// Weights that [`Set::Inputs`] meet, of sixteen outputs.
    type Weights: Copy;
    /// Zero point and ends of an output.
    type Ends: Copy;

    /// Weights of one output in [`Set::Weights`], at most four.
    const GROUP: usize;
    /// Outputs of a tile, and of a small one.
    const TILES: [usize; 2];
    /// Whether a tile is of two times sixteen outputs where there are so many.
    const PAIRS: bool;

    /// All lanes alike.
    fn splat(x: i32) -> Self::Words;
    /// Sixteen numbers.
    fn words(x: &[i32; LANES]) -> Self::Words;
    /// Sixteen bytes, with their signs.
    fn widen(x: __m128i) -> Self::Words;
    /// `a + b`
    fn add(a: Self::Words, b: Self::Words) -> Self::Words;
    /// `a − b`
    fn sub(a: Self::Words, b: Self::Words) -> Self::Words;
    /// `a · b`
    fn mul(a: Self::Words, b: Self::Words) -> Self::Words;
    /// `⌊a · b / 2^32⌋`
    fn multiply_high(a: Self::Words, b: Self::Words) -> Self::Words;
    /// `⌊a · b / 2^31 + ½⌋`
    fn doubled_high(a: Self::Words, b: Self::Words) -> Self::Words;
    /// `a · 2^by`, `by ∈ [0, 31]`
    fn up(a: Self::Words, by: i32) -> Self::Words;
    /// `⌊a / 2^by⌋`, `by ∈ [0, 31]`
    fn down(a: Self::Words, by: i32) -> Self::Words;
    /// `2^by`, each by its own, `by ∈ [0, 31]`
    fn power(by: Self::Words) -> Self::Words;
    /// `⌊a / 2^by⌋`, each by its own, `by ∈ [0, 31]`
    fn down_each(a: Self::Words, by: Self::Words) -> Self::Words;

    /// What [`Set::land`] takes.
    fn ends(output: &Output<i8>) -> Self::Ends;
    /// Adds the zero point to numbers of at most 2^30, and clamps them.
    fn land(y: Self::Words, ends: &Self::Ends) -> __m128i;

    /// `count ≤ 16` bytes, zeros behind them.
    ///
    /// # Safety
    /// `count` bytes can be read at `from`, which may point anywhere if that is 0.
    unsafe fn part(from: *const i8, count: usize) -> __m128i;
    /// Writes the first of sixteen results.
    ///
    /// # Safety
    /// `count` bytes can be written at `to`.
    unsafe fn store(to: *mut i8, count: usize, y: __m128i);

    /// Inputs of a row of the ring.
    ///
    /// # Safety
    /// `len` bytes can be read at `from` and, with [`SPILL`] behind them, as many inputs be written at `to`; they do not overlap.
    unsafe fn copy(from: *const i8, to: *mut Self::Input, len: usize);
    /// `len` inputs, all alike; as [`Set::copy`].
    ///
    /// # Safety
    /// They can be written at `to`, with [`SPILL`] behind them.
    unsafe fn fill(to: *mut Self::Input, len: usize, value: i8);

    /// Packs rows of weights, one for each output, to groups; gives `bias` less what [`Set::plus`] adds because inputs are raised.
    ///
    /// # Safety
    /// [`Rows::get`]'s, `FULL` only if [`Rows::is_full`], and `16 · GROUP` bytes for each group, of which there are `⌈count / GROUP⌉`, can be written at `to`.
    unsafe fn pack<const FULL: bool>(rows: &Rows, bias: Self::Words, to: *mut u8) -> Self::Words;
    /// Weights that [`Set::pack`] has written.
    ///
    /// # Safety
    /// `from` is where a group begins.
    unsafe fn weights(from: *const u8) -> Self::Weights;
    /// [`Set::GROUP`] inputs.
    ///
    /// # Safety
    /// They can be read at `from`.
    unsafe fn inputs(from: *const Self::Input) -> Self::Inputs;
    /// Adds the products of a group.
    fn plus(acc: Self::Words, x: Self::Inputs, w: Self::Weights) -> Self::Words;

    /// The first [`Set::GROUP`] of these bytes of each of sixteen channels side by side.
    fn side_by_side(w: [__m128i; 4]) -> Self::Words;
    /// `bias` less what [`Set::plus_each`] adds because inputs are raised.
    fn lower(bias: Self::Words, w: Self::Words) -> Self::Words;
    /// Drops the first of [`Set::GROUP`] inputs of each of sixteen channels; that at `x` becomes the last.
    ///
    /// # Safety
    /// Sixteen inputs can be read at `x`.
    unsafe fn push(inputs: Self::Words, x: *const Self::Input) -> Self::Words;
    /// Adds the products of a group, inputs and weights of sixteen channels.
    fn plus_each(acc: Self::Words, x: Self::Words, w: Self::Words) -> Self::Words;

    /// `Σ x·w` of sixteen rows of `x.len()` weights.
    ///
    /// # Safety
    /// They can be read at each of `rows`.
    unsafe fn dots(x: &[i8], rows: [*const i8; LANES]) -> Self::Words;
}
