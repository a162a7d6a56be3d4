//! Sums of products of bytes, and results of four sums.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::arch::alike::first;
use crate::fixed::Rounding;
use crate::kernels::PerChannel;

/// Adds the sixteen products of `x` and `w` to the four sums; which ones to which sum differs.
#[inline(always)]
pub(super) fn add_products<const SDOT: bool>(acc: &mut int32x4_t, x: int8x16_t, w: int8x16_t) {
    if SDOT {
        // SAFETY: who asks for it has found that the processor has SDOT; it touches nothing but the sums.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {acc:v}.4s, {x:v}.16b, {w:v}.16b",
                acc = inout(vreg) *acc,
                x = in(vreg) x,
                w = in(vreg) w,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        return;
    }
    // SAFETY: the target has NEON. A product is at most 2^14 in 16 bits; it is added to 32 bits.
    unsafe {
        *acc = vpadalq_s16(*acc, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
        *acc = vpadalq_s16(*acc, vmull_high_s8(x, w));
    }
}

/// Where results land.
#[derive(Clone, Copy)]
pub(super) struct Landing {
    rounding: Rounding,
    /// Plus a shift, the negative number of bits that are rounded away.
    unshift: int32x4_t,
    zero_point: int32x4_t,
    min: int32x4_t,
    max: int32x4_t,
}

impl Landing {
    #[inline(always)]
    pub(super) fn new(requant: &PerChannel<i8>, rounding: Rounding) -> Self {
        // SAFETY: the target has NEON.
        unsafe {
            Self {
                rounding,
                unshift: vdupq_n_s32(i32::from(first(rounding)) - 1),
                zero_point: vdupq_n_s32(requant.output.zero_point),
                min: vdupq_n_s32(requant.output.min.into()),
                max: vdupq_n_s32(requant.output.max.into()),
            }
        }
    }

    /// Four results of sums without biases: [`PerChannel::finish`].
    #[inline(always)]
    pub(super) fn finish(self, sums: int32x4_t, [bias, mult]: [&[i32; 4]; 2], shift: [u8; 4]) -> [i8; 4] {
        // SAFETY: the target has NEON, and each array holds four numbers.
        let y: int32x4_t = unsafe {
            let acc = vaddq_s32(sums, vld1q_s32(bias.as_ptr()));
            let y = self.rescale(acc, vld1q_s32(mult.as_ptr()), self.unshift(shift));
            let y = vqaddq_s32(y, self.zero_point);
            vmaxq_s32(vminq_s32(y, self.max), self.min)
        };
        let mut results = [0; 4];
        // SAFETY: it takes four numbers.
        unsafe { vst1q_s32(results.as_mut_ptr(), y) };
        results.map(|y| y as i8)
    }

    /// Eight results of sums with their biases. What saturates to 16 bits is beyond the ends of 8 with any zero point.
    #[inline(always)]
    pub(super) fn finish8(self, [low, high]: [int32x4_t; 2], factors: &Factors) -> int8x8_t {
        let ([a, b], [up_a, up_b]) = (factors.mult, factors.unshift);
        // SAFETY: the target has NEON.
        unsafe {
            let y = vqmovn_high_s32(vqmovn_s32(self.rescale(low, a, up_a)), self.rescale(high, b, up_b));
            let y = vqaddq_s16(y, vdupq_n_s16(vgetq_lane_s32::<0>(self.zero_point) as i16));
            let [min, max] = [self.min, self.max].map(|end| vdup_n_s8(vgetq_lane_s32::<0>(end) as i8));
            vmax_s8(vmin_s8(vqmovn_s16(y), max), min)
        }
    }

    /// Shifts as SRSHL takes them: to the left.
    #[inline(always)]
    fn unshift(self, shift: [u8; 4]) -> int32x4_t {
        let shift = shift.map(i32::from);
        // SAFETY: the target has NEON, and it is four numbers.
        unsafe { vsubq_s32(self.unshift, vld1q_s32(shift.as_ptr())) }
    }

    /// Four sums times their factors, rounded.
    ///
    /// SRSHL rounds half up and does not overflow on the way. Once: of the product the high word is enough, see
    /// [`crate::fixed::requantize`]. As TensorFlow Lite: SQRDMULH is `⌊(2 · acc · mult + 2^31) / 2^32⌋`, which is q; it
    /// saturates for the invalid factor −2^31 only. A half of a negative q goes down, as of q − 1 it does.
    #[inline(always)]
    fn rescale(self, acc: int32x4_t, mult: int32x4_t, unshift: int32x4_t) -> int32x4_t {
        // SAFETY: the target has NEON.
        unsafe {
            let y = match self.rounding {
                Rounding::Once => {
                    let low = vmull_s32(vget_low_s32(acc), vget_low_s32(mult));
                    let high = vmull_high_s32(acc, mult);
                    vuzp2q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high))
                }
                Rounding::TfLite => {
                    let q = vqrdmulhq_s32(acc, mult);
                    vaddq_s32(q, vshrq_n_s32::<31>(q))
                }
            };
            vrshlq_s32(y, unshift)
        }
    }
}

/// Biases and factors of eight channels.
pub(super) struct Factors {
    pub(super) bias: [int32x4_t; 2],
    mult: [int32x4_t; 2],
    unshift: [int32x4_t; 2],
}

impl Factors {
    /// From channel `first` on; `None` if there are not so many.
    #[inline(always)]
    pub(super) fn new(requant: &PerChannel<i8>, landing: Landing, first: usize) -> Option<Self> {
        let (bias, mult) = (requant.bias.get(first..)?.first_chunk()?, requant.mult.get(first..)?.first_chunk()?);
        let &[a, b, c, d, e, f, g, h] = requant.shift.get(first..)?.first_chunk()?;
        // SAFETY: the target has NEON, and each array holds eight numbers.
        let halves = |x: &[i32; 8]| unsafe { [vld1q_s32(x.as_ptr()), vld1q_s32(x.as_ptr().add(4))] };
        let unshift = [landing.unshift([a, b, c, d]), landing.unshift([e, f, g, h])];
        Some(Self { bias: halves(bias), mult: halves(mult), unshift })
    }
}
