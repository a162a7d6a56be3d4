//! The DSP extension of Armv7E-M and Armv8-M Main (Cortex-M4, M7, M33): pairs of 16-bit products.
//!
//! Elsewhere the same names compute the same values in plain Rust, so that the kernels built on them are tested on any
//! machine. A *lane pair* is a u32 that holds two i16, the first in the low half.
#![allow(unsafe_code)]

#[cfg(teff_core = "dsp")]
use crate::fixed::MAX_SHIFT;
use crate::fixed::{Multiplier, Rounding, TFLITE_FLAG};
#[cfg(teff_core = "dsp")]
use crate::kernels::Output;
use crate::kernels::PerChannel;

/// Words of a block of four vectors for a group of four elements.
///
/// A block holds, for each group of four elements, [`GROUP_WORDS`] lane pairs: elements 0 and 2 of each of the four
/// vectors, then elements 1 and 3 of each.
pub const GROUP_WORDS: usize = 8;

/// Products of vectors with the rows of a weight matrix, requantized: what the loops of this file work through.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// Biases, factors and output of the rows.
    pub requant: &'a PerChannel<'a, i8>,
    /// Elements of a vector, and weights of a row.
    pub depth: usize,
    /// `(rows, depth)`.
    pub w: &'a [i8],
    /// How all rows are rounded; [`Rounding::Once`] if not all as TensorFlow Lite does.
    pub rounding: Rounding,
    /// What [`super::vector_rounding`] says.
    pub vector_rounding: Option<Rounding>,
}

impl<'a> Product<'a> {
    /// The product; `None` if there are no weights or factors for all rows.
    pub fn new(requant: &'a PerChannel<'a, i8>, depth: usize, w: &'a [i8]) -> Option<Self> {
        let rows = requant.bias.len();
        let w = w.get(..rows.checked_mul(depth)?)?;
        let complete = requant.mult.len() == rows && requant.shift.len() == rows && depth > 0;
        let rounding = if all_tflite(requant.shift) { Rounding::TfLite } else { Rounding::Once };
        let vector_rounding = super::vector_rounding(requant.shift);
        complete.then_some(Self { requant, depth, w, rounding, vector_rounding })
    }

    /// Weights, bias and factor of a row.
    pub fn row(&self, row: usize) -> Option<(&'a [i8], i32, Multiplier)> {
        let w = self.w.get(row.checked_mul(self.depth)?..)?.get(..self.depth)?;
        let m = Multiplier { mult: *self.requant.mult.get(row)?, shift: *self.requant.shift.get(row)? };
        Some((w, *self.requant.bias.get(row)?, m))
    }

    /// `1 + 2 · zero point`: shifted left by s − 1 it is `2^(s−1) + z·2^s`.
    #[cfg(teff_core = "dsp")]
    fn odd_offset(&self) -> i32 {
        2 * self.requant.output.zero_point + 1
    }
}

/// Whether all factors, which verification has found valid, are rounded as TensorFlow Lite does. Looks at four at a time:
/// single vectors are short work.
fn all_tflite(shifts: &[u8]) -> bool {
    const FLAGS: u32 = u32::from_le_bytes([TFLITE_FLAG; 4]);
    let (words, rest) = shifts.as_chunks::<4>();
    let flagged = |&shift: &u8| shift & TFLITE_FLAG != 0;
    shifts.first().is_some_and(flagged)
        && words.iter().fold(FLAGS, |all, &word| all & u32::from_le_bytes(word)) == FLAGS
        && rest.iter().all(flagged)
}

/// The clamp behind saturation: none, or its ends.
#[cfg(teff_core = "dsp")]
#[repr(C)]
pub(super) struct Limits {
    needed: u32,
    min: i32,
    max: i32,
}

#[cfg(teff_core = "dsp")]
impl Limits {
    pub(super) fn of(output: Output<i8>) -> Self {
        Self { needed: u32::from(!output.is_full()), min: output.min.into(), max: output.max.into() }
    }

    /// Needed as well if not all results of negative sums are `min`, so that their halves matter.
    fn of_tflite(output: Output<i8>) -> Self {
        let needed = !output.is_full() || i32::from(output.min) < output.zero_point;
        Self { needed: u32::from(needed), ..Self::of(output) }
    }
}

/// Sign-extends bytes 0 and 2.
#[inline(always)]
pub fn sxtb16(x: u32) -> u32 {
    #[cfg(teff_core = "dsp")]
    {
        let y: u32;
        // SAFETY: one instruction on registers.
        unsafe { core::arch::asm!("sxtb16 {0}, {1}", out(reg) y, in(reg) x, options(pure, nomem, nostack)) };
        y
    }
    #[cfg(not(teff_core = "dsp"))]
    {
        let [a, _, c, _] = x.to_le_bytes();
        pair(a.cast_signed().into(), c.cast_signed().into())
    }
}

/// Sign-extends bytes 1 and 3.
#[inline(always)]
pub fn sxtb16_odd(x: u32) -> u32 {
    #[cfg(teff_core = "dsp")]
    {
        let y: u32;
        // SAFETY: one instruction on registers.
        unsafe { core::arch::asm!("sxtb16 {0}, {1}, ror #8", out(reg) y, in(reg) x, options(pure, nomem, nostack)) };
        y
    }
    #[cfg(not(teff_core = "dsp"))]
    sxtb16(x.rotate_right(8))
}

/// `acc + a.low · b.low + a.high · b.high`.
#[inline(always)]
pub fn smlad(a: u32, b: u32, acc: i32) -> i32 {
    #[cfg(teff_core = "dsp")]
    {
        let sum: i32;
        // SAFETY: one instruction on registers; it sets the Q flag, which no Rust code reads.
        unsafe {
            core::arch::asm!("smlad {0}, {1}, {2}, {3}", out(reg) sum, in(reg) a, in(reg) b, in(reg) acc,
                options(pure, nomem, nostack));
        };
        sum
    }
    #[cfg(not(teff_core = "dsp"))]
    {
        let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
        acc.wrapping_add(a0 * b0).wrapping_add(a1.wrapping_mul(b1))
    }
}

#[cfg(not(teff_core = "dsp"))]
fn pair(low: i16, high: i16) -> u32 {
    u32::from(low.cast_unsigned()) | u32::from(high.cast_unsigned()) << 16
}

#[cfg(not(teff_core = "dsp"))]
fn halves(x: u32) -> [i32; 2] {
    let [a, b, c, d] = x.to_le_bytes();
    [i16::from_le_bytes([a, b]).into(), i16::from_le_bytes([c, d]).into()]
}

/// Four elements of the four vectors at r0, a block, times one row of weights at r1: 13 instructions, 16 products.
#[cfg(teff_core = "dsp")]
macro_rules! block_group {
    () => {
        lines!(
            "ldr r12, [r1], #4",
            "ldm r0!, {{r2, r3, r4, r5}}",
            "sxtb16 r6, r12",
            "smlad r8, r6, r2, r8",
            "smlad r9, r6, r3, r9",
            "smlad r10, r6, r4, r10",
            "smlad r11, r6, r5, r11",
            "ldm r0!, {{r2, r3, r4, r5}}",
            "sxtb16 r12, r12, ror #8",
            "smlad r8, r12, r2, r8",
            "smlad r9, r12, r3, r9",
            "smlad r10, r12, r4, r10",
            "smlad r11, r12, r5, r11",
        )
    };
}

/// Four rows of weights at r1, r1 + r12, r1 + 2·r12 and lr, four weights of each, times the pairs r2 and r3.
#[cfg(teff_core = "dsp")]
macro_rules! four_rows {
    () => {
        lines!(
            "ldr r4, [r1, r12]",
            "sxtb16 r5, r4, ror #8",
            "sxtb16 r4, r4",
            "smlad r9, r4, r2, r9",
            "smlad r9, r5, r3, r9",
            "ldr r4, [r1, r12, lsl #1]",
            "sxtb16 r5, r4, ror #8",
            "sxtb16 r4, r4",
            "smlad r10, r4, r2, r10",
            "smlad r10, r5, r3, r10",
            "ldr r4, [r1], #4",
            "sxtb16 r5, r4, ror #8",
            "sxtb16 r4, r4",
            "smlad r8, r4, r2, r8",
            "smlad r8, r5, r3, r8",
            "ldr r4, [lr], #4",
            "sxtb16 r5, r4, ror #8",
            "sxtb16 r4, r4",
            "smlad r11, r4, r2, r11",
            "smlad r11, r5, r3, r11",
        )
    };
}

/// Four elements at r0 times four rows of weights: 23 instructions, 16 products.
#[cfg(teff_core = "dsp")]
macro_rules! vector_group {
    () => {
        concat!(lines!("ldr r2, [r0], #4", "sxtb16 r3, r2, ror #8", "sxtb16 r2, r2",), four_rows!())
    };
}

/// Four elements at r0, widened to lane pairs, times four rows of weights: 21 instructions, 16 products.
#[cfg(teff_core = "dsp")]
macro_rules! wide_group {
    () => {
        concat!(lines!("ldrd r2, r3, [r0], #8",), four_rows!())
    };
}

/// Repeats a group r7 times, four to a round.
#[cfg(teff_core = "dsp")]
macro_rules! repeat_groups {
    ($group:ident) => {
        lines!(
            "subs r7, #4",
            "blt 14f",
            "13:",
            concat!($group!(), $group!(), $group!(), $group!()),
            "subs r7, #4",
            "bge 13b",
            "14:",
            "adds r7, #4",
            "beq 16f",
            "15:",
            $group!(),
            "subs r7, #1",
            "bne 15b",
            "16:",
        )
    };
}

/// A line for each of the registers r8 to r11, `\\r` in it.
#[cfg(teff_core = "dsp")]
macro_rules! each_result {
    ($line:literal) => {
        lines!(".irp r, r8, r9, r10, r11", $line, ".endr",)
    };
}

/// Four vectors, widened to `block`, times rows of weights; `out` holds a vector of results for each of the four, one
/// after another. Begins with row `first` and gives the first row that is not done: one whose shift is below 33, the
/// last if its weights do not fill whole words, and `first` itself on processors without these instructions.
///
/// A row costs 13 instructions for each group of four elements, and about 46 for its four results.
///
/// The results are those of [`crate::fixed::requantize`], which for shifts from 33 takes `⌊(h + 2^(s−1)) / 2^s⌋` of the high
/// word h of the product, s = shift − 32. The zero point goes in front of the shift, `⌊(h + 2^(s−1) + z·2^s) / 2^s⌋`:
/// with `abs(h) ≤ 2^30`, `abs(z) ≤ 2^7` and `s ≤ 20` the sum, an `SMMLA`, stays within i32. For larger s the high word
/// is shifted by s − 20 and then, rounded, by 20: the same, since the rounding term is a multiple of 2^(s−20).
///
/// Where all rows are rounded as TensorFlow Lite does, `q = ⌊(2^32·a + a·(2m − 2^32) + 2^31) / 2^32⌋` for a sum a and the
/// factor m is one `SMMLAR`, and the result `⌊(⌊q / 2^(e−1)⌋ + 1 + 2z) / 2⌋`, e = shift − 31, of q − 1 for a negative q:
/// then a row costs 2 instructions more, or, where results of negative sums are not all the smallest, 6.
#[cfg_attr(not(teff_core = "dsp"), allow(unused_variables))]
pub fn block_product(p: &Product, first: usize, block: &[u32], out: &mut [i8]) -> usize {
    #[cfg(not(teff_core = "dsp"))]
    return first;
    #[cfg(teff_core = "dsp")]
    {
        #[repr(C)]
        struct Arguments {
            block: *const u32,
            groups: usize,
            bias: *const i32,
            mult: *const i32,
            shift: *const u8,
            out: *mut i8,
            stride: usize,
            odd_offset: i32,
            limits: Limits,
            w_step: usize,
            w_end: *const i8,
        }
        let all = p.requant.bias.len();
        // Beyond the end of a row that ends within a word the load reads the row after it, against lanes of zeros.
        let rows = if p.depth % 4 == 0 { all } else { all.saturating_sub(1) };
        let groups = p.depth.div_ceil(4);
        if first >= rows || block.len() != groups * GROUP_WORDS || out.len() != 4 * all {
            return first;
        }
        let mut arguments = Arguments {
            block: block.as_ptr(),
            groups,
            bias: p.requant.bias.as_ptr().wrapping_add(first),
            mult: p.requant.mult.as_ptr().wrapping_add(first),
            shift: p.requant.shift.as_ptr().wrapping_add(first),
            out: out.as_mut_ptr().wrapping_add(first),
            stride: all,
            odd_offset: p.odd_offset(),
            limits: match p.rounding {
                Rounding::Once => Limits::of(p.requant.output),
                Rounding::TfLite => Limits::of_tflite(p.requant.output),
            },
            w_step: p.depth.wrapping_sub(4 * groups),
            w_end: p.w.as_ptr().wrapping_add(rows * p.depth),
        };
        let refused: usize;
        /// Four sums in r8 to r11 of each row, rescaled by $rescale, which leaves in r0 whether to clamp them.
        macro_rules! run {
            ($rescale:expr, $apart:expr) => {
                core::arch::asm!(
                    "push {{r6, r7}}",
                    "2:",
                    "ldrd r0, r7, [lr]",
                    "ldr r2, [lr, #8]",
                    "ldr r8, [r2], #4",
                    "str r2, [lr, #8]",
                    "mov r9, r8",
                    "mov r10, r8",
                    "mov r11, r8",
                    repeat_groups!(block_group),
                    "ldrd r2, r3, [lr, #12]",
                    "ldr r4, [r2], #4",
                    "ldrb r5, [r3], #1",
                    "strd r2, r3, [lr, #12]",
                    "ldrd r6, r0, [lr, #28]",
                    $rescale,
                    "cbz r0, 3f",
                    "ldrd r2, r3, [lr, #36]",
                    clamp!("r8"),
                    clamp!("r9"),
                    clamp!("r10"),
                    clamp!("r11"),
                    "3:",
                    "ldrd r2, r3, [lr, #20]",
                    "add r0, r2, r3, lsl #1",
                    "strb r9, [r2, r3]",
                    "strb r8, [r2], #1",
                    "strb r10, [r0]",
                    "strb r11, [r0, r3]",
                    "str r2, [lr, #20]",
                    "ldrd r0, r2, [lr, #44]",
                    "add r1, r0",
                    "cmp r1, r2",
                    "bne 2b",
                    "movs r4, #0",
                    $apart,
                    "6:",
                    "pop {{r6, r7}}",
                    inout("lr") &raw mut arguments => _,
                    inout("r1") p.w.as_ptr().wrapping_add(first * p.depth) => _,
                    out("r0") _, out("r2") _, out("r3") _, out("r4") refused, out("r5") _,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
                )
            };
        }
        // SAFETY: `Product::new` proved `rows` values at `bias`, `mult` and `shift` and `rows · depth` weights, and of a
        // row that does not fill its words at least one more row follows. The block holds `groups` times 32 bytes; LDM
        // wants words, which u32 are. Results go to `out[v · all + row]` for v < 4 and row < all. r6 and r7, which Rust
        // may not name, are saved and restored.
        unsafe {
            match p.rounding {
                Rounding::Once => run!(
                    lines!(
                        "sub r5, #33",
                        "cmp r5, #20",
                        "bhs 4f",
                        "lsl r6, r5",
                        "add r5, #1",
                        each_result!("smmla \\r, \\r, r4, r6"),
                        each_result!("asr \\r, r5"),
                        "5:",
                        each_result!("ssat \\r, #8, \\r"),
                    ),
                    // Shifts of 53 and more: s − 20, then 20. Those below 33, and above 62, are left to others.
                    lines!(
                        "b 6f",
                        "4:",
                        "cmp r5, #30",
                        "itt hs",
                        "movhs r4, #1",
                        "bhs 6f",
                        "subs r5, #19",
                        "lsl r6, #19",
                        each_result!("smmul \\r, \\r, r4"),
                        each_result!("asr \\r, r5"),
                        each_result!("add \\r, r6"),
                        each_result!("asr \\r, #20"),
                        "b 5b",
                    )
                ),
                Rounding::TfLite => run!(
                    lines!(
                        "sub r5, #160",
                        "lsl r4, #1",
                        each_result!("smmlar \\r, \\r, r4, \\r"),
                        "cbz r0, 4f",
                        each_result!("add \\r, \\r, \\r, asr #31"),
                        "4:",
                        each_result!("asr \\r, r5"),
                        each_result!("add \\r, r6"),
                        each_result!("ssat \\r, #8, \\r, asr #1"),
                    ),
                    ""
                ),
            }
        }
        // The bias of a refused row has been read.
        let read = arguments.bias.addr() - p.requant.bias.as_ptr().addr();
        read / size_of::<i32>() - refused
    }
}

/// A vector of a product.
#[derive(Debug, Clone, Copy)]
pub enum Vector<'a> {
    /// As it lies in the arena.
    Bytes(&'a [i8]),
    /// For each group of four elements the lane pairs of elements 0 and 2, and 1 and 3.
    Pairs(&'a [u32]),
}

/// One vector times rows of weights, four rows at a time, while the shifts are at least 33. Begins with row `first` and
/// gives the first row that is not done; see [`block_product`]. Here the rounding shift and the zero point are
/// `z + ⌊(h + 2^(s−1)) / 2^s⌋ = ⌊(⌊h / 2^(s−1)⌋ + 1 + 2z) / 2⌋`.
///
/// Four rows cost 23 instructions for each group of four elements, 21 if it is widened, and about 63 for their results.
#[cfg_attr(not(teff_core = "dsp"), allow(unused_variables))]
pub fn vector_product(p: &Product, first: usize, x: Vector<'_>, out: &mut [i8]) -> usize {
    #[cfg(not(teff_core = "dsp"))]
    return first;
    #[cfg(teff_core = "dsp")]
    {
        #[repr(C)]
        struct Arguments {
            x: *const u8,
            groups: usize,
            bias: *const i32,
            mult: *const i32,
            shift: *const u8,
            out: *mut i8,
            quads: usize,
            odd_offset: i32,
            tflite: u32,
            limits: Limits,
            wide: u32,
        }
        /// Rescales four sums, each by its $multiply of the factor in r0: factor at r3, shift at r4, and
        /// 1 + 2z in r7. $base is taken off the shift.
        macro_rules! rescale {
            ($base:literal, $multiply:expr) => {
                lines!(
                    ".irp r, r8, r9, r10, r11",
                    "ldr r0, [r3], #4",
                    "ldrb r5, [r4], #1",
                    concat!("sub r5, #", $base),
                    $multiply,
                    "asr \\r, r5",
                    "add \\r, r7",
                    "ssat \\r, #8, \\r, asr #1",
                    ".endr",
                )
            };
        }
        let long = match x {
            Vector::Bytes(x) => x.len() == p.depth,
            Vector::Pairs(x) => x.len() == p.depth / 2,
        };
        let fits = p.depth.is_multiple_of(4) && long && out.len() == p.requant.bias.len();
        let shifts = p.requant.shift.get(first..).unwrap_or(&[]);
        let tflite = p.rounding == Rounding::TfLite;
        let slow = shifts.iter().position(|shift| !(tflite || (33..=MAX_SHIFT).contains(shift)));
        let quads = slow.unwrap_or(shifts.len()) / 4;
        if !fits || quads == 0 {
            return first;
        }
        let mut arguments = Arguments {
            x: match x {
                Vector::Bytes(x) => x.as_ptr().cast(),
                Vector::Pairs(x) => x.as_ptr().cast(),
            },
            groups: p.depth / 4,
            bias: p.requant.bias.as_ptr().wrapping_add(first),
            mult: p.requant.mult.as_ptr().wrapping_add(first),
            shift: shifts.as_ptr(),
            out: out.as_mut_ptr().wrapping_add(first),
            quads,
            odd_offset: p.odd_offset(),
            tflite: tflite.into(),
            limits: Limits::of(p.requant.output),
            wide: matches!(x, Vector::Pairs(_)).into(),
        };
        // SAFETY: `Product::new` proved that behind row `first` there are `4 · quads` values at `bias`, `mult` and `shift`
        // and `4 · quads · depth` weights; `x` holds `depth` elements, a multiple of 4 above 0 (LDRD
        // wants words, which pairs are), and `out` a result a row. r6 and r7, which Rust
        // may not name, are saved and restored.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "mov r6, r2",
                "2:",
                "ldrd r0, r7, [r6]",
                "ldr r2, [r6, #8]",
                "ldm r2!, {{r8, r9, r10, r11}}",
                "str r2, [r6, #8]",
                "add lr, r1, r12",
                "add lr, lr, r12, lsl #1",
                "ldr r2, [r6, #48]",
                "cmp r2, #0",
                "beq 7f",
                repeat_groups!(wide_group),
                "b 8f",
                "7:",
                repeat_groups!(vector_group),
                "8:",
                "mov r1, lr",
                "ldrd r3, r4, [r6, #12]",
                "ldrd r7, r0, [r6, #28]",
                "cmp r0, #0",
                "bne 5f",
                rescale!("33", "smmul \\r, \\r, r0"),
                "b 6f",
                "5:",
                rescale!("160", "lsl r0, #1\nsmmlar \\r, \\r, r0, \\r\nadd \\r, \\r, \\r, asr #31"),
                "6:",
                "strd r3, r4, [r6, #12]",
                "ldr r0, [r6, #36]",
                "cbz r0, 3f",
                "ldrd r2, r3, [r6, #40]",
                clamp!("r8"),
                clamp!("r9"),
                clamp!("r10"),
                clamp!("r11"),
                "3:",
                "ldrd r2, r3, [r6, #20]",
                "strb r8, [r2], #1",
                "strb r9, [r2], #1",
                "strb r10, [r2], #1",
                "strb r11, [r2], #1",
                "subs r3, #1",
                "strd r2, r3, [r6, #20]",
                "bne 2b",
                "pop {{r6, r7}}",
                inout("r2") &raw mut arguments => _,
                inout("r1") p.w.as_ptr().wrapping_add(first * p.depth) => _,
                in("r12") p.depth,
                out("r0") _, out("r3") _, out("r4") _, out("r5") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            );
        }
        first + 4 * quads
    }
}

/// Up to four bytes as a word, zeros above.
#[inline(always)]
pub fn word(bytes: &[i8]) -> u32 {
    let mut all = [0; 4];
    all.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from.cast_unsigned());
    u32::from_le_bytes(all)
}
