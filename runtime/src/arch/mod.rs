//! The one place that knows the target: it names, for each kernel family, the variant that the operators use.
//!
//! Every variant gives the bits of the family's `reference`; choosing among them changes speed only. `build.rs` tells
//! the cores of Arm's microcontrollers apart.

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub mod aarch64;
#[cfg(any(teff_core = "v6m", all(target_arch = "aarch64", target_feature = "neon")))]
mod alike;
#[cfg(teff_core = "dsp")]
#[macro_use]
mod asm;
pub mod dsp;
pub mod dsp_attention;
pub mod dsp_depthwise;
pub mod dsp_rows;
#[cfg(teff_mve)]
pub mod mve;
#[cfg(teff_mve)]
pub mod mve_elementwise;
#[cfg(all(target_arch = "riscv32", target_feature = "m"))]
mod rv32;
#[cfg(teff_core = "v6m")]
mod v6m;
#[cfg(teff_core = "v6m")]
mod v6m_planes;
#[cfg(teff_core = "v6m")]
mod v6m_results;
#[cfg(target_arch = "x86_64")]
pub mod x86;

#[cfg(teff_core = "dsp")]
pub use crate::kernels::attention::dsp as attention;
#[cfg(not(any(teff_core = "dsp", target_arch = "x86_64")))]
pub use crate::kernels::attention::portable as attention;
pub use crate::kernels::choice::portable as choice;
#[cfg(not(any(teff_mve, target_arch = "x86_64")))]
pub use crate::kernels::elementwise::portable as elementwise;
pub use crate::kernels::energy::portable as energy;
pub use crate::kernels::index::portable as index;
pub use crate::kernels::matmul::portable as matmul;
pub use crate::kernels::movement::portable as movement;
pub use crate::kernels::norm::portable as norm;
pub use crate::kernels::order::portable as order;
pub use crate::kernels::pool::portable as pool;
pub use crate::kernels::ratio::portable as ratio;
pub use crate::kernels::rectifier::portable as rectifier;
pub use crate::kernels::recurrence::portable as recurrence;
pub use crate::kernels::reduce::portable as reduce;
pub use crate::kernels::resample::portable as resample;
#[cfg(teff_core = "dsp")]
pub use crate::kernels::row_linear::dsp as row_linear;
#[cfg(not(any(teff_core = "dsp", teff_core = "v6m", target_arch = "x86_64")))]
pub use crate::kernels::row_linear::portable as row_linear;
#[cfg(teff_core = "v6m")]
pub use crate::kernels::row_linear::quads as row_linear;
#[cfg(not(target_arch = "x86_64"))]
pub use crate::kernels::rows::portable as rows;
pub use crate::kernels::scan::portable as scan;
pub use crate::kernels::softmax::portable as softmax;
#[cfg(teff_mve)]
pub use mve_elementwise as elementwise;
#[cfg(target_arch = "x86_64")]
pub use x86::{attention, elementwise, row_linear, rows};

#[cfg(not(any(teff_core = "v6m", all(target_arch = "riscv32", target_feature = "m"))))]
pub use crate::kernels::dot::block4 as dot4;
#[cfg(all(target_arch = "riscv32", target_feature = "m"))]
pub use rv32::dot4;
#[cfg(teff_core = "v6m")]
pub use v6m::{dot4, dot4_wide};

#[cfg(not(teff_core = "v6m"))]
pub use crate::kernels::dot::dot4_wide;

use crate::fixed::{self, Multiplier, Rounding};
use crate::kernels::conv::planar::{Channel, Outputs};
use crate::kernels::conv::{self, Conv2d, DepthwiseConv2d, Window};
use crate::kernels::elementwise::Add;
use crate::kernels::linear::{self, FullyConnected};
use crate::kernels::{Binary, Element, PerChannel, Unary};

#[cfg(not(any(teff_core = "dsp", teff_core = "v6m")))]
pub use crate::kernels::conv::planar::gather_plain as gather_plane;
#[cfg(not(teff_mve))]
pub use crate::kernels::linear::dsp::{vector, vectors};
#[cfg(teff_mve)]
pub use mve::{vectors, vectors as vector};
#[cfg(teff_core = "v6m")]
pub use v6m_planes::gather_plane;

/// The instructions that the products of the int8 kernels were chosen for, here and now.
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return x86::instructions();
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    return aarch64::instructions();
    #[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
    if cfg!(teff_mve) {
        "MVE"
    } else if cfg!(teff_core = "dsp") {
        "DSP"
    } else {
        "plain"
    }
}

/// `run` with each choice that there is on this machine: see [`instructions`]. For tests, of this thread.
#[cfg(test)]
pub(crate) fn each_level(#[allow(unused_mut)] mut run: impl FnMut()) {
    #[cfg(target_arch = "x86_64")]
    x86::each_level(run);
    #[cfg(not(target_arch = "x86_64"))]
    run();
}

/// Whether matrix products are fastest for blocks of vectors.
pub const VECTOR_BLOCKS: bool = cfg!(not(teff_mve));

#[cfg(all(teff_core = "dsp", not(teff_mve)))]
pub use dsp_depthwise::gather_plane;
#[cfg(teff_mve)]
pub use mve::gather_plane;

/// The outputs of one channel over a tile: see [`conv::planar`]. `None` for a pitch or stride that no kernel knows.
pub fn tile3x3(
    channel: &Channel,
    plane: &[i16],
    pitch: usize,
    stride: usize,
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    #[cfg(teff_core = "v6m")]
    if v6m_planes::tile3x3(channel, plane, pitch, stride, outputs, y).is_some() {
        return Some(());
    }
    #[cfg(teff_mve)]
    if mve::tile3x3(channel, plane, pitch, stride, outputs, y).is_some() {
        return Some(());
    }
    #[cfg(all(teff_core = "dsp", not(teff_mve)))]
    if dsp_depthwise::tile3x3(channel, plane, pitch, stride, outputs, y).is_some() {
        return Some(());
    }
    tile3x3_plain(channel, plane, pitch, stride, outputs, y)
}

/// [`tile3x3`] with distances that the compiler knows.
#[cfg(not(any(teff_core = "dsp", teff_core = "v6m")))]
fn tile3x3_plain(
    channel: &Channel,
    plane: &[i16],
    pitch: usize,
    stride: usize,
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    #[inline(never)]
    fn of<const PITCH: usize, const STRIDE: usize>(
        c: &Channel,
        plane: &[i16],
        to: &Outputs,
        y: &mut [i8],
    ) -> Option<()> {
        conv::planar::tile3x3_plain(c, plane, PITCH, STRIDE, to, y)
    }
    match (pitch, stride) {
        (16, 1) => of::<16, 1>(channel, plane, outputs, y),
        (32, 1) => of::<32, 1>(channel, plane, outputs, y),
        (64, 1) => of::<64, 1>(channel, plane, outputs, y),
        (16, 2) => of::<16, 2>(channel, plane, outputs, y),
        (32, 2) => of::<32, 2>(channel, plane, outputs, y),
        _ => None,
    }
}

/// [`tile3x3`] where the assembler does nearly all: plain Rust is for the other shifts, once for all distances.
#[cfg(any(teff_core = "dsp", teff_core = "v6m"))]
#[cold]
#[inline(never)]
fn tile3x3_plain(
    channel: &Channel,
    plane: &[i16],
    pitch: usize,
    stride: usize,
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    conv::planar::tile3x3_plain(channel, plane, pitch, stride, outputs, y)
}

/// How the kernels in assembler round with all of these shifts, if they do: asked once for many results.
#[cfg(not(any(teff_mve, teff_core = "v6m", all(target_arch = "aarch64", target_feature = "neon"))))]
pub const fn vector_rounding(_shifts: &[u8]) -> Option<Rounding> {
    None
}

#[cfg(any(teff_core = "v6m", all(target_arch = "aarch64", target_feature = "neon")))]
pub use alike::vector_rounding;
#[cfg(teff_mve)]
pub use mve::vector_rounding;

/// Results of an int8 vector and rows of weights, from output channel `first` on, four at a time: how many there are.
/// `rounding` is what [`vector_rounding`] says of all shifts.
#[cfg_attr(not(any(teff_core = "v6m", all(target_arch = "aarch64", target_feature = "neon"))), allow(unused_variables))]
#[inline(always)]
pub fn row_quads(
    requant: &PerChannel<i8>,
    rounding: Option<Rounding>,
    first: usize,
    x: &[i8],
    w: &[i8],
    out: &mut [i8],
) -> usize {
    #[cfg(teff_core = "v6m")]
    if let Some(done) = rounding.and_then(|rounding| v6m_results::row_quads(requant, rounding, first, x, w, out)) {
        return done;
    }
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    if let Some(done) = rounding.and_then(|rounding| aarch64::row_quads(requant, rounding, first, x, w, out)) {
        return done;
    }
    0
}

/// See [`PerChannel::finish_all`]; `rounding` is what [`vector_rounding`] says of the shifts.
#[cfg_attr(not(teff_mve), allow(unused_variables))]
pub fn finish_all(requant: &PerChannel<i8>, rounding: Option<Rounding>, acc: &[i32], out: &mut [i8]) {
    #[cfg(teff_mve)]
    if rounding.and_then(|rounding| mve::finish_all(requant, rounding, acc, out)).is_some() {
        return;
    }
    requant.finish_all(acc, out);
}

/// Copies `rows` lines of `len` elements each, `row_step` apart in `from`, to fill `to`. `None` if there are not so many.
#[cfg_attr(not(teff_core = "v6m"), allow(unused_variables))]
#[inline(always)]
pub fn copy_lines<E: Element>(from: &[E], row_step: usize, [rows, len]: [usize; 2], to: &mut [E]) -> Option<()> {
    #[cfg(teff_core = "v6m")]
    {
        let size = size_of::<E>();
        v6m_planes::copy_rows(from.as_bytes(), row_step * size, [rows, len * size], to.as_mut_bytes())
    }
    #[cfg(not(teff_core = "v6m"))]
    {
        for (i, line) in to.chunks_exact_mut(len.max(1)).enumerate() {
            let values = from.get(i * row_step..)?.get(..line.len())?;
            line.iter_mut().zip(values).for_each(|(to, &from)| *to = from);
        }
        Some(())
    }
}

/// The high 32 bits of the product: `⌊a · b / 2^32⌋`.
#[cfg(not(teff_core = "v6m"))]
#[inline(always)]
pub const fn multiply_high(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64) >> 32) as i32
}

#[cfg(teff_core = "v6m")]
pub use crate::fixed::multiply_high_by_halves as multiply_high;

/// `⌊a / b⌋` for `b > 0`: bit by bit on microcontrollers, where the compiler's division of 64 bits takes 0.9 KB of flash.
#[cfg(all(any(target_arch = "arm", target_arch = "riscv32"), target_os = "none"))]
#[inline(never)]
pub const fn divide(a: u64, b: u64) -> u64 {
    if b == 0 || a < b {
        return 0;
    }
    // Without leading zeros, for which not all have an instruction, and without a counter, by which loops are unrolled.
    let (mut rest, mut quotient, mut divisor) = (a, 0, b);
    while divisor <= a >> 1 {
        divisor <<= 1;
    }
    while divisor >= b {
        quotient <<= 1;
        if rest >= divisor {
            rest -= divisor;
            quotient |= 1;
        }
        divisor >>= 1;
    }
    quotient
}

/// `⌊a / b⌋` for `b > 0`.
#[cfg(not(all(any(target_arch = "arm", target_arch = "riscv32"), target_os = "none")))]
pub const fn divide(a: u64, b: u64) -> u64 {
    match a.checked_div(b) {
        Some(quotient) => quotient,
        None => 0,
    }
}

/// `fixed::requantize_tflite`: inline where the plain kernels make most results, and a long product is short.
#[cfg_attr(any(teff_core = "dsp", teff_core = "v6m"), inline(never))]
#[cfg_attr(not(any(teff_core = "dsp", teff_core = "v6m")), inline(always))]
pub const fn requantize_tflite(acc: i32, m: Multiplier) -> i32 {
    fixed::requantize_tflite(acc, m)
}

/// The kernels that differ by element type: int8 has variants of its own for some targets.
///
/// Scratch memory starts at a multiple of 16; what each kernel needs at least is told by the `…_scratch_len` of its
/// family.
pub trait Products: Element {
    /// See [`conv::reference::conv2d`].
    fn conv2d(p: &Conv2d<Self>, operands: Unary<'_, Self>, w: &[i8], scratch: &mut [u8]) -> Option<()> {
        conv::portable::conv2d(p, operands, w, elements(scratch))
    }

    /// Inputs whose place the output of a depthwise convolution may take, where [`Products::depthwise_in_place`] holds.
    const DEPTHWISE_IN_PLACE: &'static [u8] = &[];

    /// Whether the output of this depthwise convolution may take the place of the input.
    fn depthwise_in_place(_window: &Window, _multiplier: usize) -> bool {
        false
    }

    /// Bytes of scratch memory of [`Products::depthwise_conv2d`].
    fn depthwise_scratch_len(p: &DepthwiseConv2d<Self>, _in_place: bool) -> Option<usize> {
        conv::portable::depthwise_conv2d_scratch_len(p)
    }

    /// See [`conv::reference::depthwise_conv2d`].
    fn depthwise_conv2d(
        p: &DepthwiseConv2d<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        match operands {
            Unary::Apart(x, out) => conv::portable::depthwise_conv2d(p, x, w, out, elements(scratch)),
            Unary::InPlace(_) | Unary::Overlapping { .. } => None,
        }
    }

    /// See [`crate::kernels::elementwise::reference::add`].
    fn add(p: &Add<Self>, operands: Binary<'_, Self>) -> Option<()> {
        elementwise::add(p, operands)
    }

    /// See [`linear::reference::fully_connected`].
    fn fully_connected(
        p: &FullyConnected<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        linear::portable::fully_connected(p, operands, w, elements(scratch))
    }

    /// [`Products::conv2d`] of one group.
    fn dense_conv2d(p: &Conv2d<Self>, operands: Unary<'_, Self>, w: &[i8], scratch: &mut [u8]) -> Option<()> {
        Self::conv2d(p, operands, w, scratch)
    }

    /// [`Products::depthwise_conv2d`] where [`conv::planar::applies`].
    fn planar_depthwise_conv2d(
        p: &DepthwiseConv2d<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        Self::depthwise_conv2d(p, operands, w, scratch)
    }

    /// [`Products::depthwise_conv2d`] where [`conv::planar::applies`] does not hold, of channels in fours.
    fn quad_depthwise_conv2d(
        p: &DepthwiseConv2d<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        Self::depthwise_conv2d(p, operands, w, scratch)
    }

    /// [`Products::fully_connected`] of one vector.
    fn vector_fully_connected(
        p: &FullyConnected<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        Self::fully_connected(p, operands, w, scratch)
    }
}

impl Products for i16 {}

impl Products for i32 {}

impl Products for i8 {
    const DEPTHWISE_IN_PLACE: &'static [u8] = &[0];

    fn depthwise_in_place(window: &Window, multiplier: usize) -> bool {
        conv::planar::applies_in_place(window, multiplier)
    }

    fn depthwise_scratch_len(p: &DepthwiseConv2d<Self>, in_place: bool) -> Option<usize> {
        match conv::planar::applies(&p.window, p.multiplier) {
            true => conv::planar::scratch_len(&p.window, in_place),
            false => conv::portable::depthwise_conv2d_scratch_len(p),
        }
    }

    fn depthwise_conv2d(
        p: &DepthwiseConv2d<Self>,
        #[cfg_attr(
            not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))),
            allow(unused_mut)
        )]
        mut operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        #[cfg(target_arch = "x86_64")]
        if x86::depthwise::depthwise_conv2d(p, &mut operands, w).is_some() {
            return Some(());
        }
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        if aarch64::depthwise::depthwise_conv2d(p, &mut operands, w).is_some() {
            return Some(());
        }
        if conv::planar::applies(&p.window, p.multiplier) {
            return conv::planar::depthwise_conv2d(p, operands, w, scratch);
        }
        let Unary::Apart(x, out) = operands else { return None };
        #[cfg(teff_core = "dsp")]
        if conv::quads::depthwise_conv2d(p, x, w, out, elements(scratch)).is_some() {
            return Some(());
        }
        conv::portable::depthwise_conv2d(p, x, w, out, elements(scratch))
    }

    #[cfg(target_arch = "x86_64")]
    fn add(p: &Add<Self>, mut operands: Binary<'_, Self>) -> Option<()> {
        match x86::sums::add(p, &mut operands) {
            Some(()) => Some(()),
            None => elementwise::add(p, operands),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn conv2d(p: &Conv2d<Self>, mut operands: Unary<'_, Self>, w: &[i8], scratch: &mut [u8]) -> Option<()> {
        match x86::panels::conv2d(p, &mut operands, w) {
            Some(()) => Some(()),
            None => conv::portable::conv2d(p, operands, w, elements(scratch)),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn fully_connected(
        p: &FullyConnected<Self>,
        mut operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        match x86::panels::fully_connected(p, &mut operands, w) {
            Some(()) => Some(()),
            None => linear::portable::fully_connected(p, operands, w, elements(scratch)),
        }
    }

    #[cfg(teff_core = "dsp")]
    fn conv2d(p: &Conv2d<Self>, operands: Unary<'_, Self>, w: &[i8], scratch: &mut [u8]) -> Option<()> {
        conv::dsp::conv2d(p, operands, w, scratch)
    }

    #[cfg(teff_core = "dsp")]
    #[inline(always)]
    fn dense_conv2d(p: &Conv2d<Self>, operands: Unary<'_, Self>, w: &[i8], scratch: &mut [u8]) -> Option<()> {
        conv::dsp::dense_conv2d(p, operands, w, scratch)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn planar_depthwise_conv2d(
        p: &DepthwiseConv2d<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        conv::planar::depthwise_conv2d(p, operands, w, scratch)
    }

    #[cfg(teff_core = "dsp")]
    fn quad_depthwise_conv2d(
        p: &DepthwiseConv2d<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        let Unary::Apart(x, out) = operands else { return None };
        conv::quads::depthwise_conv2d(p, x, w, out, elements(scratch))
    }

    #[cfg(teff_core = "dsp")]
    fn vector_fully_connected(
        p: &FullyConnected<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        linear::dsp::vector_fully_connected(p, operands, w, scratch)
    }

    #[cfg(teff_core = "dsp")]
    fn fully_connected(
        p: &FullyConnected<Self>,
        operands: Unary<'_, Self>,
        w: &[i8],
        scratch: &mut [u8],
    ) -> Option<()> {
        linear::dsp::fully_connected(p, operands, w, scratch)
    }
}

/// Scratch memory as elements; what is left over at the end stays unused, and none are there if it is misaligned.
pub fn elements<T: FromBytes + IntoBytes + KnownLayout>(scratch: &mut [u8]) -> &mut [T] {
    let whole = scratch.len() & !(size_of::<T>() - 1);
    let whole = scratch.get_mut(..whole).unwrap_or_default();
    <[T]>::mut_from_bytes(whole).unwrap_or_default()
}
