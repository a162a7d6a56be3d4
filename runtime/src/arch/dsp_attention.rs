//! The loops of attention over cached rows, by the DSP extension.
//!
//! Elsewhere the same names compute the same values in plain Rust, so that the kernels built on them are tested on any
//! machine. The integers come as lane pairs in the order of [`crate::kernels::row_linear::lanes`].
#![allow(unsafe_code)]

#[cfg(teff_core = "dsp")]
use crate::fixed::exp2::POWERS;
#[cfg(not(teff_core = "dsp"))]
use crate::kernels::attention::drive::{any_powers, score_of};

/// Elements of a head that [`scores`] knows.
pub const DIM: usize = 8;

/// The scores of the first rows of `keys`, `stride` bytes apart, under the query in `pairs`, until one has a scale that
/// would shift it up; gives how many were written. See
/// [`crate::kernels::attention::drive::Dots::scores`].
///
/// 22 instructions a row.
#[inline(always)]
pub fn scores(pairs: &[u32; 4], (keys, stride): (&[i8], usize), scales: &[u8], down: i32, out: &mut [i32]) -> usize {
    let count = out.len().min(scales.len());
    let reached = count.checked_sub(1).and_then(|last| last.checked_mul(stride)?.checked_add(DIM));
    if reached.is_none_or(|bytes| bytes > keys.len()) {
        return 0;
    }
    #[cfg(teff_core = "dsp")]
    {
        let mut at = scales.as_ptr();
        let stopped: u32;
        let [a, b, c, d] = *pairs;
        // SAFETY: `count` rows of `DIM` bytes are read, the last of which ends within `keys`, as many scales and sums written,
        // which `scales` and `out` hold; count is at least 1, and the loop ends where the scales do. r6 and r7, which Rust
        // may not name, are saved and restored.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "2:",
                "ldrd r6, r7, [r0]",
                "add r0, r1",
                "sxtb16 r12, r6",
                "sxtb16 r6, r6, ror #8",
                "smuad lr, r12, r8",
                "smlad lr, r6, r9, lr",
                "sxtb16 r12, r7",
                "sxtb16 r7, r7, ror #8",
                "smlad lr, r12, r10, lr",
                "smlad lr, r7, r11, lr",
                "ldrb r6, [r2], #1",
                "and r7, r6, #7",
                "orr r7, #8",
                "mul lr, lr, r7",
                // Far shifts leave −1 or 0, which round to 0.
                "subs r6, r5, r6, lsr #3",
                "bmi 3f",
                "asr lr, r6",
                "add lr, #1",
                "asr lr, #1",
                "str lr, [r3], #4",
                "cmp r2, r4",
                "bne 2b",
                "movs r6, #0",
                "3:",
                "mov r5, r6",
                "pop {{r6, r7}}",
                inout("r0") keys.as_ptr() => _,
                in("r1") stride,
                inout("r2") at,
                inout("r3") out.as_mut_ptr() => _,
                in("r4") scales.as_ptr().wrapping_add(count),
                inout("r5") 23 - down => stopped,
                in("r8") a,
                in("r9") b,
                in("r10") c,
                in("r11") d,
                out("r12") _,
                out("lr") _,
            );
        }
        at = if stopped >> 31 == 0 { at } else { at.wrapping_sub(1) };
        at.addr() - scales.as_ptr().addr()
    }
    #[cfg(not(teff_core = "dsp"))]
    {
        for (place, ((out, &code), key)) in out.iter_mut().zip(scales).zip(keys.chunks(stride.max(1))).enumerate() {
            if 24 - down - i32::from(code >> 3) < 1 {
                return place;
            }
            let dot =
                super::dsp_rows::one_row::<8>(zerocopy::IntoBytes::as_bytes(key.get(..DIM).unwrap_or_default()), pairs);
            *out = score_of(dot, code, down);
        }
        count
    }
}

/// Adds to each score `⌊Σ part·turns / 2^shift + ½⌋`, shift in `[1, 255]`, saturating, `turns` four lane pairs a score; gives the
/// largest sum, or `None` if the turns are too few or there is no score.
///
/// 16 instructions a row.
#[inline(always)]
pub fn add_part(part: &[u32; 4], turns: &[u32], shift: i32, scores: &mut [i32]) -> Option<i32> {
    if scores.is_empty() || turns.len() / 4 < scores.len() || !(1..256).contains(&shift) {
        return None;
    }
    #[cfg(teff_core = "dsp")]
    {
        let mut max = i32::MIN;
        let [a, b, c, d] = *part;
        let range = scores.as_mut_ptr_range();
        // SAFETY: the scores are read and written from their start to their end, of which there is at least one, and for each
        // four words of `turns`, which holds as many. r6 and r7, which Rust may not name, are saved and restored.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "2:",
                "ldm r0!, {{r5, r6, r7, r12}}",
                "smuad r5, r5, r8",
                "smlad r5, r6, r9, r5",
                "smlad r5, r7, r10, r5",
                "smlad r5, r12, r11, r5",
                "ldr r6, [r1]",
                "asr r5, r3",
                "add r5, #1",
                "asr r5, #1",
                "qadd r6, r6, r5",
                "str r6, [r1], #4",
                "cmp r6, r4",
                "it gt",
                "movgt r4, r6",
                "cmp r1, r2",
                "bne 2b",
                "pop {{r6, r7}}",
                inout("r0") turns.as_ptr() => _,
                inout("r1") range.start => _,
                in("r2") range.end,
                in("r3") shift - 1,
                inout("r4") max,
                out("r5") _,
                in("r8") a,
                in("r9") b,
                in("r10") c,
                in("r11") d,
                out("r12") _,
            );
        }
        Some(max)
    }
    #[cfg(not(teff_core = "dsp"))]
    {
        use super::dsp::smlad;
        let sums = scores.iter_mut().zip(turns.chunks_exact(4)).map(|(score, turns)| {
            let dot = part.iter().zip(turns).fold(0, |sum, (&part, &turn)| smlad(part, turn, sum));
            *score = score.saturating_add(((dot >> (shift - 1).min(31)) + 1) >> 1);
            *score
        });
        sums.max()
    }
}

/// See [`crate::kernels::attention::drive::Dots::powers`].
///
/// 27 instructions a row.
#[inline(always)]
pub fn powers(scores: &[i32], scales: &[u8], (max, finest): (i32, i32), weights: &mut [i16]) -> u32 {
    let count = scores.len().min(scales.len()).min(weights.len());
    #[cfg(teff_core = "dsp")]
    {
        let mut total = 0_u32;
        let Some(scores) = scores.get(..count).filter(|scores| !scores.is_empty()) else { return 0 };
        let range = scores.as_ptr_range();
        // SAFETY: `count` scores and scales are read, and as many weights written, which the slices hold; count is at least 1,
        // and the loop ends where the scores do. Of `POWERS` two neighbours of 65 are read from index 0 to 63 on. r6 and r7,
        // which Rust may not name, are saved and restored.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "2:",
                "ldr r6, [r0], #4",
                "sub r6, r4, r6",
                "lsr r7, r6, #16",
                // Far shifts leave nothing: an octave of 31 stands for all beyond.
                "usat r7, #5, r7",
                "ubfx r10, r6, #10, #6",
                "add r10, r8, r10, lsl #2",
                "ldrd r10, r11, [r10]",
                "ubfx r6, r6, #0, #10",
                "sub r11, r10, r11",
                "mul r6, r11, r6",
                "sub r10, r10, r6, lsr #10",
                "lsr r10, r7",
                "add r10, #1",
                "lsr r10, #1",
                "ldrb r7, [r1], #1",
                "add r9, r10",
                "and r11, r7, #7",
                "orr r11, #8",
                "mul r10, r10, r11",
                "sub r7, r5, r7, lsr #3",
                "lsr r10, r7",
                "add r10, #1",
                "lsr r10, #1",
                "strh r10, [r2], #2",
                "cmp r0, r3",
                "bne 2b",
                "pop {{r6, r7}}",
                inout("r0") range.start => _,
                inout("r1") scales.as_ptr() => _,
                inout("r2") weights.as_mut_ptr() => _,
                in("r3") range.end,
                in("r4") max,
                in("r5") 27 - finest,
                in("r8") POWERS.as_ptr(),
                inout("r9") total,
                out("r10") _,
                out("r11") _,
            );
        }
        total
    }
    #[cfg(not(teff_core = "dsp"))]
    any_powers(scores.get(..count).unwrap_or_default(), scales, (max, finest), weights)
}
