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
    ///
    /// SRSHL rounds half up and does not overflow on the way. Once: of the product the high word is enough, see
    /// [`crate::fixed::requantize`]. As TensorFlow Lite: SQRDMULH is `⌊(2 · acc · mult + 2^31) / 2^32⌋`, which is q; it
    /// saturates for the invalid factor −2^31 only. A half of a negative q goes down, as of q − 1 it does.
    #[inline(always)]
    pub(super) fn finish(self, sums: int32x4_t, [bias, mult]: [&[i32; 4]; 2], shift: [u8; 4]) -> [i8; 4] {
        let shift = shift.map(i32::from);
        // SAFETY: the target has NEON, and each array holds four numbers.
        let y: int32x4_t = unsafe {
            let acc = vaddq_s32(sums, vld1q_s32(bias.as_ptr()));
            let mult = vld1q_s32(mult.as_ptr());
            let unshift = vsubq_s32(self.unshift, vld1q_s32(shift.as_ptr()));
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
            let y = vqaddq_s32(vrshlq_s32(y, unshift), self.zero_point);
            vmaxq_s32(vminq_s32(y, self.max), self.min)
        };
        let mut results = [0; 4];
        // SAFETY: it takes four numbers.
        unsafe { vst1q_s32(results.as_mut_ptr(), y) };
        results.map(|y| y as i8)
    }
}
