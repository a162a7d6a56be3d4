//! Rows of weights of 8, 4 or 2 bits times 16-bit integers, by the DSP extension.
//!
//! Elsewhere the same names compute the same values in plain Rust, so that the kernels built on them are tested on any
//! machine. The integers come as lane pairs in the order of [`crate::kernels::row_linear::lanes`].
#![allow(unsafe_code)]

use super::dsp::{smlad, sxtb16, sxtb16_odd};

/// Four columns of four rows of int8: the words at r1, `r1 + r3`, `r1 + 2·r3` and r2 times the lane pairs at r0, onto the
/// sums in r9 to r12.
#[cfg(teff_core = "dsp")]
macro_rules! four_columns {
    () => {
        concat!(
            "ldrd r6, r7, [r0], #8\n",
            "ldr r5, [r1, r3]\n",
            "sxtb16 r8, r5\n",
            "sxtb16 r5, r5, ror #8\n",
            "smlad r10, r8, r6, r10\n",
            "smlad r10, r5, r7, r10\n",
            "ldr r5, [r1, r3, lsl #1]\n",
            "sxtb16 r8, r5\n",
            "sxtb16 r5, r5, ror #8\n",
            "smlad r11, r8, r6, r11\n",
            "smlad r11, r5, r7, r11\n",
            "ldr r5, [r1], #4\n",
            "sxtb16 r8, r5\n",
            "sxtb16 r5, r5, ror #8\n",
            "smlad r9, r8, r6, r9\n",
            "smlad r9, r5, r7, r9\n",
            "ldr r5, [r2], #4\n",
            "sxtb16 r8, r5\n",
            "sxtb16 r5, r5, ror #8\n",
            "smlad r12, r8, r6, r12\n",
            "smlad r12, r5, r7, r12\n",
        )
    };
}

/// `Σ w·x` of four rows of int8, `stride` bytes apart; `pairs`: two for each four weights. `None` if `w` is too short.
///
/// 86 instructions for 64 products.
#[inline(always)]
pub fn four_rows(w: &[u8], stride: usize, pairs: &[u32]) -> Option<[i32; 4]> {
    let [row, _] = spans(w, stride, 3, pairs.len() / 2)?;
    #[cfg(teff_core = "dsp")]
    {
        let (mut a, mut b, mut c, mut d) = (0_i32, 0_i32, 0_i32, 0_i32);
        let start = w.as_ptr();
        let end = pairs.as_ptr().wrapping_add(row / 2);
        // SAFETY: `row` bytes are read of each of the four rows, which `spans` has found in `w`, and `row / 2` words of
        // `pairs`, which holds at least as many: rounds are of four columns until a multiple of 16 is left, then of 16, and
        // both loops end where x reaches the end of those. r6 and r7, which Rust may not name, are saved and restored.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "2:",
                "subs r5, r4, r0",
                "beq 5f",
                "tst r5, #24",
                "beq 4f",
                four_columns!(),
                "b 2b",
                "4:",
                ".rept 4",
                four_columns!(),
                ".endr",
                "cmp r0, r4",
                "bne 4b",
                "5:",
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

/// A row of weights in groups.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    /// Lane pairs of a group: a multiple of `16 / BITS`, above 0.
    pub span: usize,
    /// What each group's sum of products is brought to by, before its scale.
    pub offsets: &'a [i32],
}

/// `Σ_g scale[g] · (offset[g] + k·Σ code·x)` of two rows of unsigned codes of `BITS` 4 (k = 1) or 2 (k = 2), `stride` bytes
/// apart; `pairs`: `16 / BITS` for each four bytes. The scales of the second row stand behind those of the first, one for each of
/// `offsets`. `None` if `w`, the scales or the pairs are too few.
///
/// 21 instructions for 16 products of 4 bits, 35 for 32 of 2 bits; 15 and 18 for a group of both rows.
#[inline(always)]
pub fn two_rows<const BITS: usize>(
    w: &[u8],
    stride: usize,
    pairs: &[u32],
    groups: Groups,
    scales: &[i8],
) -> Option<[i32; 2]> {
    let per_word = 16 / BITS;
    let Groups { span, offsets } = groups;
    let count = offsets.len();
    let [row, words] = spans(w, stride, 1, pairs.len() / per_word)?;
    let whole = span > 0 && span % per_word == 0 && span.checked_mul(count)? == words * per_word;
    if !whole || count == 0 || scales.len() < count.checked_mul(2)? {
        return None;
    }
    #[cfg(teff_core = "dsp")]
    {
        let _ = row;
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
        /// The loop over groups of both rows, and words of a group. On the stack: number of groups, saved r6 and r7, bytes of a
        /// group's lane pairs, end of the pairs, both sums.
        macro_rules! rows {
            ($mask:literal, $begin:literal, $end:literal, $($products:expr),*) => {
                // SAFETY: `row` bytes are read of each of the two rows, which `spans` has found in `w`, as many lane pairs as
                // belong to them, all of which `pairs` holds, and for each group an offset and two scales, which were
                // counted; a group has at least one word, and the groups end where the pairs do. r6 and r7, which Rust
                // may not name, are saved and restored.
                unsafe {
                    core::arch::asm!(
                        "push {{r5, r6, r7, r8, r9, r10, r11}}",
                        "2:",
                        "ldr r3, [sp, #12]",
                        "add r3, r0",
                        $begin,
                        "3:",
                        "ldr r8, [r1, r2]",
                        "ldr r5, [r1], #4",
                        $($products,)*
                        "cmp r0, r3",
                        "bne 3b",
                        $end,
                        "ldr r6, [sp]",
                        "ldrsb r7, [lr, r6]",
                        "ldrsb r6, [lr], #1",
                        "ldrd r8, r9, [sp, #20]",
                        "mla r8, r10, r6, r8",
                        "mla r9, r11, r7, r9",
                        "strd r8, r9, [sp, #20]",
                        "ldr r5, [sp, #16]",
                        "cmp r0, r5",
                        "bne 2b",
                        "pop {{r5, r6, r7, r8, r9, r10, r11}}",
                        inout("r0") pairs.as_ptr() => _,
                        inout("r1") start => _,
                        in("r2") stride,
                        out("r3") _,
                        in("r4") $mask,
                        inout("r5") count => _,
                        inout("r8") span * 4 => _,
                        inout("r9") end => _,
                        inout("r10") a,
                        inout("r11") b,
                        inout("r12") offsets.as_ptr() => _,
                        inout("lr") scales.as_ptr() => _,
                        options(readonly),
                    );
                }
            };
        }
        if BITS == 4 {
            // The sums begin with the offset.
            rows!(
                0x000F_000F_u32,
                "ldr r10, [r12], #4\n mov r11, r10",
                "",
                products!("", ", lsr #4"),
                products!(", lsr #8", ", lsr #12")
            );
        } else {
            rows!(
                0x0003_0003_u32,
                "mov r10, #0\n mov r11, #0",
                "ldr r5, [r12], #4\n add r10, r5, r10, lsl #1\n add r11, r5, r11, lsl #1",
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
        let sum = |r: usize| {
            one_row_in_groups::<BITS>(w.get(r * stride..r * stride + row)?, pairs, groups, scales.get(r * count..)?)
        };
        Some([sum(0)?, sum(1)?])
    }
}

/// [`two_rows`] for a single row; codes of 8 bits are signed, and have no offsets.
pub fn one_row_in_groups<const BITS: usize>(w: &[u8], pairs: &[u32], groups: Groups, scales: &[i8]) -> Option<i32> {
    let Groups { span, offsets } = groups;
    let bytes = span.checked_mul(BITS)? / 4;
    let mut offsets = offsets.iter();
    let (mut sum, mut w, mut pairs) = (0_i32, w, pairs);
    for &scale in scales {
        let (Some(row), Some(x)) = (w.split_at_checked(bytes), pairs.split_at_checked(span)) else { break };
        let offset = offsets.next().copied().unwrap_or(0);
        let dot = one_row::<BITS>(row.0, x.0).wrapping_shl(u32::from(BITS == 2)).wrapping_add(offset);
        sum = sum.wrapping_add(dot.wrapping_mul(scale.into()));
        (w, pairs) = (row.1, x.1);
    }
    Some(sum)
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
