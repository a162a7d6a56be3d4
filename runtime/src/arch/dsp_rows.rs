//! Rows of weights of 8, 4 or 2 bits times 16-bit integers, by the DSP extension.
//!
//! Elsewhere the same names compute the same values in plain Rust, so that the kernels built on them are tested on any
//! machine. The integers come as lane pairs in the order of [`crate::kernels::row_linear::lanes`].
#![allow(unsafe_code)]

use super::dsp::{smlad, sxtb16, sxtb16_odd};

/// `Σ w·x` of four rows of int8, `stride` bytes apart; `pairs`: two for each four weights. `None` if `w` is too short.
///
/// 23 instructions for 16 products.
#[inline(always)]
pub fn four_rows(w: &[u8], stride: usize, pairs: &[u32]) -> Option<[i32; 4]> {
    let [row, _] = spans(w, stride, 3, pairs.len() / 2)?;
    if row == 0 {
        return Some([0; 4]);
    }
    #[cfg(teff_core = "dsp")]
    {
        let (mut a, mut b, mut c, mut d) = (0_i32, 0_i32, 0_i32, 0_i32);
        let start = w.as_ptr();
        let end = pairs.as_ptr().wrapping_add(row / 2);
        // SAFETY: `row` bytes are read of each of the four rows, which `spans` has found in `w`, and `row / 2` words of
        // `pairs`, which holds at least as many; the loop ends when x reaches the end of those, and runs at least once.
        // r6 and r7, which Rust may not name, are saved and restored.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "2:",
                "ldrd r6, r7, [r0], #8",
                "ldr r5, [r1, r3]",
                "sxtb16 r8, r5",
                "sxtb16 r5, r5, ror #8",
                "smlad r10, r8, r6, r10",
                "smlad r10, r5, r7, r10",
                "ldr r5, [r1, r3, lsl #1]",
                "sxtb16 r8, r5",
                "sxtb16 r5, r5, ror #8",
                "smlad r11, r8, r6, r11",
                "smlad r11, r5, r7, r11",
                "ldr r5, [r1], #4",
                "sxtb16 r8, r5",
                "sxtb16 r5, r5, ror #8",
                "smlad r9, r8, r6, r9",
                "smlad r9, r5, r7, r9",
                "ldr r5, [r2], #4",
                "sxtb16 r8, r5",
                "sxtb16 r5, r5, ror #8",
                "smlad r12, r8, r6, r12",
                "smlad r12, r5, r7, r12",
                "cmp r0, r4",
                "bne 2b",
                "pop {{r6, r7}}",
                inout("r0") pairs.as_ptr() => _,
                inout("r1") start => _,
                inout("r2") start.wrapping_add(3 * stride) => _,
                in("r3") stride,
                in("r4") end,
                out("r5") _,
                out("r8") _,
                inout("r9") a,
                inout("r10") b,
                inout("r11") c,
                inout("r12") d,
                options(readonly),
            );
        }
        Some([a, b, c, d])
    }
    #[cfg(not(teff_core = "dsp"))]
    {
        let mut sums = [0; 4];
        for (r, sum) in sums.iter_mut().enumerate() {
            *sum = one_row::<8>(w.get(r * stride..r * stride + row)?, pairs);
        }
        Some(sums)
    }
}

/// `Σ code·x` of two rows of unsigned codes of `BITS` 4 or 2, `stride` bytes apart; `pairs`: `16 / BITS` for each four
/// bytes. `None` if `w` is too short.
///
/// 22 instructions for 16 products of 4 bits, 36 for 32 of 2 bits.
#[inline(always)]
pub fn two_rows<const BITS: usize>(w: &[u8], stride: usize, pairs: &[u32]) -> Option<[i32; 2]> {
    let per_word = 16 / BITS;
    let [row, words] = spans(w, stride, 1, pairs.len() / per_word)?;
    if row == 0 {
        return Some([0; 2]);
    }
    #[cfg(teff_core = "dsp")]
    {
        let (mut a, mut b) = (0_i32, 0_i32);
        let start = w.as_ptr();
        let end = pairs.as_ptr().wrapping_add(words * per_word);
        /// Two lane pairs times codes `$i` and `$j` of a word of each row.
        macro_rules! products {
            ($first:literal, $second:literal) => {
                concat!(
                    "ldrd r6, r7, [r0], #8\n",
                    "and r9, r4, r5",
                    $first,
                    "\n smlad r10, r9, r6, r10\n",
                    "and r9, r4, r8",
                    $first,
                    "\n smlad r11, r9, r6, r11\n",
                    "and r9, r4, r5",
                    $second,
                    "\n smlad r10, r9, r7, r10\n",
                    "and r9, r4, r8",
                    $second,
                    "\n smlad r11, r9, r7, r11"
                )
            };
        }
        /// The loop over words of both rows.
        macro_rules! rows {
            ($mask:literal, $($products:expr),*) => {
                // SAFETY: `row` bytes are read of each of the two rows, which `spans` has found in `w`, and as many lane
                // pairs as belong to them, all of which `pairs` holds; the loop ends when x reaches their end, and runs at
                // least once. r6 and r7, which Rust may not name, are saved and restored.
                unsafe {
                    core::arch::asm!(
                        "push {{r6, r7}}",
                        "2:",
                        "ldr r5, [r1]",
                        "ldr r8, [r1, r2]",
                        "adds r1, #4",
                        $($products,)*
                        "cmp r0, r3",
                        "bne 2b",
                        "pop {{r6, r7}}",
                        inout("r0") pairs.as_ptr() => _,
                        inout("r1") start => _,
                        in("r2") stride,
                        in("r3") end,
                        in("r4") $mask,
                        out("r5") _,
                        out("r8") _,
                        out("r9") _,
                        inout("r10") a,
                        inout("r11") b,
                        options(readonly),
                    );
                }
            };
        }
        if BITS == 4 {
            rows!(0x000F_000F_u32, products!("", ", lsr #4"), products!(", lsr #8", ", lsr #12"));
        } else {
            rows!(
                0x0003_0003_u32,
                products!("", ", lsr #2"),
                products!(", lsr #4", ", lsr #6"),
                products!(", lsr #8", ", lsr #10"),
                products!(", lsr #12", ", lsr #14")
            );
        }
        Some([a, b])
    }
    #[cfg(not(teff_core = "dsp"))]
    {
        let _ = words;
        Some([one_row::<BITS>(w.get(..row)?, pairs), one_row::<BITS>(w.get(stride..stride + row)?, pairs)])
    }
}

/// Bytes and words of a row, if `w` holds it and `more` others, `stride` bytes apart.
#[inline(always)]
fn spans(w: &[u8], stride: usize, more: usize, words: usize) -> Option<[usize; 2]> {
    let row = words.checked_mul(4)?;
    let last = stride.checked_mul(more)?;
    (last.checked_add(row)? <= w.len()).then_some([row, words])
}

/// `Σ code·x` of one row; codes of 8 bits are signed.
#[inline(always)]
pub fn one_row<const BITS: usize>(w: &[u8], pairs: &[u32]) -> i32 {
    let words = w.chunks_exact(4).filter_map(|w| Some(u32::from_le_bytes(*w.first_chunk::<4>()?)));
    words.zip(pairs.chunks_exact(16 / BITS)).fold(0, |acc, (w, pairs)| match (BITS, pairs) {
        (8, &[even, odd]) => smlad(sxtb16_odd(w), odd, smlad(sxtb16(w), even, acc)),
        (4, pairs) => (0..).zip(pairs).fold(acc, |acc, (k, &x)| smlad((w >> (4 * k)) & 0x000F_000F, x, acc)),
        (_, pairs) => (0..).zip(pairs).fold(acc, |acc, (k, &x)| smlad((w >> (2 * k)) & 0x0003_0003, x, acc)),
    })
}
