//! The DSP extension of Armv7E-M and Armv8-M Main (Cortex-M4, M7, M33): pairs of 16-bit products.
//!
//! Elsewhere the same names compute the same values in plain Rust, so that the kernels built on them are tested on any
//! machine. A *lane pair* is a u32 that holds two i16, the first in the low half.
#![allow(unsafe_code)]

#[cfg(teff_core = "dsp")]
use crate::fixed::{MAX_SHIFT, TFLITE_FLAG};
use crate::fixed::{Multiplier, Rounding};
#[cfg(teff_core = "dsp")]
use crate::kernels::Output;
use crate::kernels::PerChannel;
#[cfg(teff_core = "dsp")]
use crate::kernels::conv::planar::{Channel, Outputs};

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
        let factors = requant.mult.iter().zip(requant.shift).map(|(&mult, &shift)| Multiplier { mult, shift });
        let mut tflite = factors.map(|m| m.is_valid() && m.rounding() == Rounding::TfLite);
        let rounding = if tflite.all(|row| row) { Rounding::TfLite } else { Rounding::Once };
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

/// The clamp behind saturation: none, or its ends.
#[cfg(teff_core = "dsp")]
#[repr(C)]
struct Limits {
    needed: u32,
    min: i32,
    max: i32,
}

#[cfg(teff_core = "dsp")]
impl Limits {
    fn of(output: Output<i8>) -> Self {
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

/// Joins lines of assembler.
#[cfg(teff_core = "dsp")]
macro_rules! lines {
    ($($line:expr,)*) => { concat!($($line, "\n",)*) };
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
            $group!(),
            $group!(),
            $group!(),
            $group!(),
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

/// Clamps a register to [r2, r3].
#[cfg(teff_core = "dsp")]
macro_rules! clamp {
    ($register:literal) => {
        lines!(
            concat!("cmp ", $register, ", r2"),
            "it lt",
            concat!("movlt ", $register, ", r2"),
            concat!("cmp ", $register, ", r3"),
            "it gt",
            concat!("movgt ", $register, ", r3"),
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
/// Four rows cost 23 instructions for each group of four elements, and about 75 for their results.
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
        }
        /// Rescales four sums, each by its $multiply of the factor in r0: bias at r2, factor at r3, shift at r4, and
        /// 1 + 2z in r7. $base is taken off the shift.
        macro_rules! rescale {
            ($base:literal, $multiply:expr) => {
                lines!(
                    ".irp r, r8, r9, r10, r11",
                    "ldr r5, [r2], #4",
                    "add \\r, r5",
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
        };
        // SAFETY: `Product::new` proved that behind row `first` there are `4 · quads` values at `bias`, `mult` and `shift`
        // and `4 · quads · depth` weights; `x` holds `depth` elements, a multiple of 4 above 0 (LDRD
        // wants words, which pairs are), and `out` a result a row. r6 and r7, which Rust
        // may not name, are saved and restored.
        macro_rules! run {
            ($group:ident) => {
                core::arch::asm!(
                    "push {{r6, r7}}",
                    "mov r6, r2",
                    "2:",
                    "ldrd r0, r7, [r6]",
                    "movs r2, #0",
                    "mov r8, r2",
                    "mov r9, r2",
                    "mov r10, r2",
                    "mov r11, r2",
                    "add lr, r1, r12",
                    "add lr, lr, r12, lsl #1",
                    repeat_groups!($group),
                    "mov r1, lr",
                    "ldrd r2, r3, [r6, #8]",
                    "ldr r4, [r6, #16]",
                    "ldrd r7, r0, [r6, #28]",
                    "cmp r0, #0",
                    "bne 5f",
                    rescale!("33", "smmul \\r, \\r, r0"),
                    "b 6f",
                    "5:",
                    rescale!("160", "lsl r0, #1\nsmmlar \\r, \\r, r0, \\r\nadd \\r, \\r, \\r, asr #31"),
                    "6:",
                    "strd r2, r3, [r6, #8]",
                    "str r4, [r6, #16]",
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
                )
            };
        }
        unsafe {
            match x {
                Vector::Bytes(_) => run!(vector_group),
                Vector::Pairs(_) => run!(wide_group),
            }
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

/// The outputs of one channel over a tile, 3×3 windows: rows of `plane` are `PITCH` elements apart, outputs `STRIDE` (1 or
/// 2). `None`, with nothing done, for a shift that is not from 33 to 52, and for [`Rounding::TfLite`] unless results of
/// negative sums are all the smallest, so that their halves do not matter.
///
/// Two outputs cost 15 (stride 2: 19) instructions for their sums and 15 for the rest: in each row the inputs x0 … x3 and
/// the weights as the pairs (w0, w1) and (w1, w2) give `x0·w0 + x1·w1`, `x2·w2`, `x1·w0` and `x2·w1 + x3·w2`. The results are
/// made as in [`block_product`], but for [`Rounding::TfLite`] the sums are twice as large, with twice the weights and the
/// bias: then `⌊(2^32·(2^(e−1) + z·2^e) + 2a·m + 2^31) / 2^32⌋`, one `SMMLAR`, is shifted by e = shift − 31.
#[cfg(teff_core = "dsp")]
pub fn tile3x3<const PITCH: usize, const STRIDE: usize>(
    channel: &Channel,
    plane: &[i16],
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    const MAX_BIAS: u32 = 1 << 29;
    match channel.m.rounding() {
        Rounding::Once => {
            let shift = channel.m.shift.checked_sub(32)?;
            tile::<PITCH, STRIDE, false>(channel, shift, plane, outputs, y)
        }
        Rounding::TfLite => {
            let Channel { weights, bias, output, .. } = *channel;
            // 2 · (2^29 + 9 · 2^14) < 2^31
            let fits = bias.unsigned_abs() <= MAX_BIAS && i32::from(output.min) >= output.zero_point;
            let shift = (channel.m.shift & !TFLITE_FLAG).checked_sub(31).filter(|_| fits)?;
            let doubled = Channel { weights: weights.map(|w| 2 * w), bias: 2 * bias, ..*channel };
            tile::<PITCH, STRIDE, true>(&doubled, shift, plane, outputs, y)
        }
    }
}

/// [`tile3x3`] with this last shift, of 1 to 20.
#[cfg(teff_core = "dsp")]
fn tile<const PITCH: usize, const STRIDE: usize, const TFLITE: bool>(
    channel: &Channel,
    shift: u8,
    plane: &[i16],
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    #[repr(C)]
    struct Arguments {
        mult: i32,
        offset: i32,
        shift: u32,
        out: *mut i8,
        step: usize,
        row: *const i16,
        pairs: usize,
        odd: usize,
        row_step: usize,
        rows: usize,
        limits: Limits,
    }
    let [rows, columns] = outputs.size;
    // Of the last row of windows the last element read is that behind the last pair: 4 · STRIDE elements a pair.
    let read = ((rows.checked_sub(1)? * STRIDE) + 2) * PITCH + columns.div_ceil(2) * 2 * STRIDE + 3;
    let written = rows.checked_sub(1)? * outputs.row_step + columns.checked_sub(1)? * outputs.step + 1;
    let fits = plane.len() >= read && y.len() >= written && plane.as_ptr().align_offset(4) == 0;
    if !fits || !(1..=20).contains(&shift) {
        return None;
    }
    let shift = u32::from(shift);
    let even = columns / 2 * 2;
    let mut arguments = Arguments {
        mult: channel.m.mult,
        offset: (2 * channel.output.zero_point + 1) << (shift - 1),
        shift,
        out: y.as_mut_ptr(),
        step: outputs.step,
        row: plane.as_ptr(),
        pairs: columns / 2,
        odd: columns % 2,
        row_step: outputs.row_step.wrapping_sub(even * outputs.step),
        rows,
        limits: Limits::of(channel.output),
    };
    let pair = |a: i16, b: i16| u32::from(a.cast_unsigned()) | u32::from(b.cast_unsigned()) << 16;
    let [a0, a1, a2, b0, b1, b2, c0, c1, c2] = channel.weights;
    /// A row of inputs at an offset from r0, onto two sums.
    macro_rules! taps {
        ($load:literal, $w01:literal, $w12:literal, $first:literal, $second:literal) => {
            lines!(
                $load,
                concat!("smlad r4, r2, ", $w01, ", ", $first),
                concat!("smlatb r5, r2, ", $w01, ", ", $second),
                concat!("smlabt r4, r3, ", $w12, ", r4"),
                concat!("smlad r5, r3, ", $w12, ", r5"),
            )
        };
        ($load:literal, $more:literal, $w01:literal, $w12:literal, $first:literal, $second:literal) => {
            lines!(
                $load,
                concat!("smlad r4, r2, ", $w01, ", ", $first),
                $more,
                concat!("smlad r5, r3, ", $w01, ", ", $second),
                concat!("smlabt r4, r3, ", $w12, ", r4"),
                concat!("smlabt r5, r2, ", $w12, ", r5"),
            )
        };
    }
    macro_rules! sums1 {
        () => {
            concat!(
                taps!("ldrd r2, r3, [r0], #4", "r8", "r9", "r7", "r7"),
                taps!("ldrd r2, r3, [r0, #{p} - 4]", "r10", "r11", "r4", "r5"),
                taps!("ldrd r2, r3, [r0, #2 * {p} - 4]", "r12", "lr", "r4", "r5"),
            )
        };
    }
    macro_rules! sums2 {
        () => {
            concat!(
                taps!("ldrd r2, r3, [r0]", "ldr r2, [r0, #8]", "r8", "r9", "r7", "r7"),
                taps!("ldrd r2, r3, [r0, #{p}]", "ldr r2, [r0, #{p} + 8]", "r10", "r11", "r4", "r5"),
                taps!("ldrd r2, r3, [r0, #2 * {p}]", "ldr r2, [r0, #2 * {p} + 8]", "r12", "lr", "r4", "r5"),
                "add r0, #8\n",
            )
        };
    }
    /// Rescales by $multiply, clamps and stores: $one the first result, $both both.
    macro_rules! results {
        ($multiply:literal, $label:literal, $second:literal, $advance:literal) => {
            lines!(
                "ldrd r2, r3, [r1]",
                concat!($multiply, " r4, r4, r2, r3"),
                concat!($multiply, " r5, r5, r2, r3"),
                "ldr r2, [r1, #8]",
                "asr r4, r2",
                "asr r5, r2",
                "ssat r4, #8, r4",
                "ssat r5, #8, r5",
                "ldr r2, [r1, #40]",
                "cmp r2, #0",
                concat!("beq ", $label, "f"),
                "ldrd r2, r3, [r1, #44]",
                clamp!("r4"),
                clamp!("r5"),
                concat!($label, ":"),
                "ldrd r2, r3, [r1, #12]",
                "strb r4, [r2]",
                $second,
                $advance,
            )
        };
    }
    macro_rules! body {
        ($sums:ident, $multiply:literal) => {
            lines!(
                "push {{r6, r7}}",
                "mov r7, r2",
                "2:",
                "ldr r0, [r1, #20]",
                "add r2, r0, #{s}",
                "str r2, [r1, #20]",
                "ldr r6, [r1, #24]",
                "cmp r6, #0",
                "beq 14f",
                "13:",
                $sums!(),
                results!($multiply, "15", "strb r5, [r2, r3]", "add r2, r2, r3, lsl #1"),
                "str r2, [r1, #12]",
                "subs r6, #1",
                "bne 13b",
                "14:",
                "ldrd r6, r3, [r1, #28]",
                "ldr r2, [r1, #12]",
                "cmp r6, #0",
                "beq 16f",
                $sums!(),
                results!($multiply, "17", "", ""),
                "ldr r3, [r1, #32]",
                "16:",
                "add r2, r3",
                "str r2, [r1, #12]",
                "ldr r6, [r1, #36]",
                "subs r6, #1",
                "str r6, [r1, #36]",
                "bne 2b",
                "pop {{r6, r7}}",
            )
        };
    }
    macro_rules! run {
        ($body:expr) => {
            core::arch::asm!(
                $body,
                p = const 2 * PITCH,
                s = const 2 * PITCH * STRIDE,
                inout("r1") &raw mut arguments => _,
                inout("r2") channel.bias => _,
                out("r0") _, out("r3") _, out("r4") _, out("r5") _,
                in("r8") pair(a0, a1), in("r9") pair(a1, a2),
                in("r10") pair(b0, b1), in("r11") pair(b1, b2),
                in("r12") pair(c0, c1), in("lr") pair(c1, c2),
            )
        };
    }
    // SAFETY: each row of outputs reads three rows of the plane, to at most element `read`, and writes up to element
    // `written` of `y`: checked above. `plane` is aligned to 4 as LDRD wants, and rows are whole words apart. r6 and r7,
    // which Rust may not name, are saved and restored.
    unsafe {
        match (STRIDE, TFLITE) {
            (1, false) => run!(body!(sums1, "smmla")),
            (1, true) => run!(body!(sums1, "smmlar")),
            (_, false) => run!(body!(sums2, "smmla")),
            (_, true) => run!(body!(sums2, "smmlar")),
        }
    }
    Some(())
}

/// See [`crate::kernels::conv::planar::gather_plain`]: 5 instructions an element.
#[cfg(teff_core = "dsp")]
pub fn gather_plane(
    x: &[i8],
    step: usize,
    row_step: usize,
    [rows, columns]: [usize; 2],
    pitch: usize,
    plane: &mut [i16],
) -> Option<()> {
    let (last_row, last_column) = (rows.checked_sub(1)?, columns.checked_sub(1)?);
    if last_row * row_step + last_column * step >= x.len() || last_row * pitch + last_column >= plane.len() {
        return None;
    }
    // SAFETY: the last element that is read, and the last that is written, lie within the slices, as checked; steps only
    // go forward, and no count is 0.
    unsafe {
        core::arch::asm!(
            "2:",
            "mov {n}, {columns}",
            "3:",
            "ldrsb {value}, [{x}]",
            "add {x}, {step}",
            "strh {value}, [{to}], #2",
            "subs {n}, #1",
            "bne 3b",
            "add {x}, {x_step}",
            "add {to}, {to_step}",
            "subs {rows}, #1",
            "bne 2b",
            n = out(reg) _,
            value = out(reg) _,
            columns = in(reg) columns,
            step = in(reg) step,
            x = inout(reg) x.as_ptr() => _,
            to = inout(reg) plane.as_mut_ptr() => _,
            x_step = in(reg) row_step.wrapping_sub(columns * step),
            to_step = in(reg) 2 * (pitch - columns),
            rows = inout(reg) rows => _,
            options(nostack),
        );
    }
    Some(())
}

/// Taps of a depthwise convolution, of one row of a window, for four channels at a time.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    /// How many.
    pub count: usize,
    /// Elements from one tap to the next: inputs, 0 for padding, and weights.
    pub steps: [usize; 2],
    /// Input elements from four channels to the next: 4, or 0 for padding.
    pub quad_step: usize,
}

/// `acc[c] += Σ_t x[t · steps[0] + c] · w[t · steps[1] + c]` for channels c; their number is a multiple of 4, and a quad
/// of channels reads `quad_step` elements behind the one before. `None` if `x` or `w` is too short.
///
/// 14 instructions for the four products of a tap, and 9 for each quad.
pub fn quad_taps(taps: &Taps, x: &[i8], w: &[i8], acc: &mut [i32]) -> Option<()> {
    let Taps { count, steps: [x_step, w_step], quad_step } = *taps;
    let Some(last) = count.checked_sub(1) else { return Some(()) };
    let (acc, _) = acc.as_chunks_mut::<4>();
    let last_quad = acc.len().checked_sub(1)?;
    let x = x.get(..last.checked_mul(x_step)?.checked_add(last_quad.checked_mul(quad_step)?)?.checked_add(4)?)?;
    let w = w.get(..last.checked_mul(w_step)?.checked_add(4 * acc.len())?)?;
    #[cfg(teff_mve)]
    // SAFETY: `x` and `w` were cut to what is read, and `count` is not 0.
    unsafe {
        super::mve::quad_taps(taps, x.as_ptr(), w.as_ptr(), acc);
    }
    #[cfg(all(teff_core = "dsp", not(teff_mve)))]
    // SAFETY: a quad reads `count` words of `x` and of `w`, the last of the last quad within the slices as checked; LDR takes any
    // address, and steps only go forward. LDM and STM go over all of `acc`, words, from its start to its end. Neither
    // count is 0. r6 and r7, which Rust may not name, are saved and restored.
    unsafe {
        core::arch::asm!(
            "push {{r2, r3, r4, r5, r6, r7}}",
            "mov r6, r12",
            "mov r7, r8",
            "2:",
            "ldm r7, {{r8, r9, r10, r11}}",
            "ldr r12, [sp]",
            "3:",
            "ldr r2, [r0]",
            "add r0, lr",
            "ldr r3, [r1]",
            "add r1, r6",
            "sxtb16 r4, r2",
            "sxtb16 r5, r3",
            "smlabb r8, r4, r5, r8",
            "smlatt r10, r4, r5, r10",
            "sxtb16 r4, r2, ror #8",
            "sxtb16 r5, r3, ror #8",
            "smlabb r9, r4, r5, r9",
            "smlatt r11, r4, r5, r11",
            "subs r12, #1",
            "bne 3b",
            "stm r7!, {{r8, r9, r10, r11}}",
            "ldrd r2, r3, [sp, #4]",
            "add r0, r2",
            "add r1, r3",
            "ldr r2, [sp, #12]",
            "cmp r7, r2",
            "bne 2b",
            "add sp, #16",
            "pop {{r6, r7}}",
            in("lr") x_step,
            inout("r12") w_step => _,
            inout("r0") x.as_ptr() => _,
            inout("r1") w.as_ptr() => _,
            inout("r2") count => _,
            inout("r3") quad_step.wrapping_sub(count.wrapping_mul(x_step)) => _,
            inout("r4") 4_usize.wrapping_sub(count.wrapping_mul(w_step)) => _,
            inout("r5") acc.as_ptr_range().end => _,
            inout("r8") acc.as_mut_ptr() => _,
            out("r9") _, out("r10") _, out("r11") _,
        );
    }
    #[cfg(not(teff_core = "dsp"))]
    for (quad, sums) in acc.iter_mut().enumerate() {
        for tap in 0..count {
            let (x, w) = (x.get(tap * x_step + quad * quad_step..)?, w.get(tap * w_step + quad * 4..)?);
            for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
    }
    Some(())
}

/// Copies `rows` lines of `to.len() / rows` elements each, `row_step` apart in `from`. `None` if there are not so many.
///
/// For lines of a few bytes, which `memcpy` takes 40 instructions to begin with.
#[inline(always)]
pub fn copy_rows(from: &[i8], row_step: usize, rows: usize, to: &mut [i8]) -> Option<()> {
    let len = to.len().checked_div(rows)?;
    let to = to.get_mut(..len * rows)?;
    let from = from.get(..(rows - 1).checked_mul(row_step)?.checked_add(len)?)?;
    if len == 0 {
        return Some(());
    }
    #[cfg(teff_mve)]
    // SAFETY: `rows` times `len` bytes are read, the last of which ends `from`, and as many written, which fill `to`; neither count
    // is 0.
    unsafe {
        core::arch::asm!(
            "2:",
            "mov {line}, {from}",
            "dlstp.8 lr, {len}",
            "3:",
            "vldrb.u8 q0, [{line}], #16",
            "vstrb.8 q0, [{end}], #16",
            "letp lr, 3b",
            "add {to}, {len}",
            "mov {end}, {to}",
            "add {from}, {step}",
            "subs {rows}, #1",
            "bne 2b",
            line = out(reg) _,
            len = in(reg) len,
            step = in(reg) row_step,
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            end = inout(reg) to.as_mut_ptr() => _,
            rows = inout(reg) rows => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
    }
    #[cfg(all(teff_core = "dsp", not(teff_mve)))]
    // SAFETY: `rows` times `len` bytes are read, the last of which ends `from`, and as many written, which fill `to`; LDR and
    // STR take any address. Neither count is 0.
    unsafe {
        core::arch::asm!(
            "2:",
            "subs {n}, {len}, #16",
            "blt 4f",
            "3:",
            "ldr {a}, [{from}], #4",
            "ldr {b}, [{from}], #4",
            "str {a}, [{to}], #4",
            "str {b}, [{to}], #4",
            "ldr {a}, [{from}], #4",
            "ldr {b}, [{from}], #4",
            "str {a}, [{to}], #4",
            "str {b}, [{to}], #4",
            "subs {n}, #16",
            "bge 3b",
            "4:",
            "adds {n}, #12",
            "blt 6f",
            "5:",
            "ldr {a}, [{from}], #4",
            "str {a}, [{to}], #4",
            "subs {n}, #4",
            "bge 5b",
            "6:",
            "adds {n}, #4",
            "beq 8f",
            "7:",
            "ldrb {a}, [{from}], #1",
            "strb {a}, [{to}], #1",
            "subs {n}, #1",
            "bne 7b",
            "8:",
            "add {from}, {step}",
            "subs {rows}, #1",
            "bne 2b",
            n = out(reg) _,
            a = out(reg) _,
            b = out(reg) _,
            len = in(reg) len,
            step = in(reg) row_step.wrapping_sub(len),
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            rows = inout(reg) rows => _,
            options(nostack),
        );
    }
    #[cfg(not(teff_core = "dsp"))]
    for (row, to) in to.chunks_exact_mut(len).enumerate() {
        to.copy_from_slice(from.get(row * row_step..)?.get(..len)?);
    }
    Some(())
}
