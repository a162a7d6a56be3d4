//! Armv6-M: int8 results of four rows, from product to store; and the steps of a result.
//!
//! A sum takes 13 instructions to the parts of its 64-bit product with a factor (Hacker's Delight, 8-2: there is no long
//! product), 5 to the rounded result, 7 to the zero point and the clamp.
#![allow(unsafe_code)]

use super::v6m::four_products;
use crate::fixed::Rounding;
use crate::kernels::PerChannel;

/// Adds the products of the rows at r1 to r4 with the vector at r0, all of which r5 counts from −n up to 0, to r8 to r11: single
/// rounds until the rest is a multiple of eight, then eight at a time. Labels 2 to 5.
macro_rules! four_sums {
    () => {
        concat!(
            "2:\n",
            "movs r6, #7\n",
            "tst r5, r6\n",
            "beq 3f\n",
            "ldrsb r6, [r0, r5]\n",
            four_products!(),
            "adds r5, #1\n",
            "b 2b\n",
            "3:\n",
            "cmp r5, #0\n",
            "beq 5f\n",
            "4:\n",
            ".rept 8\n",
            "ldrsb r6, [r0, r5]\n",
            four_products!(),
            "adds r5, #1\n",
            ".endr\n",
            "bne 4b\n",
            "5:\n",
        )
    };
}

/// `acc = acc · factor`: the bits from 32 up of all but one product of halves in $acc, and bits 16 up of the rest in $lo.
/// The factor's lower half is in $b, unsigned, its upper half in $c; $b and $tmp are spoilt.
///
/// No step overflows: a product of a signed and an unsigned half lies in [−2^31 + 2^15, 2^31 − 2^16 − 2^15 + 1], and what is
/// added to it in [0, 2^16).
macro_rules! product {
    ($acc:literal, $lo:literal, $b:literal, $c:literal, $tmp:literal) => {
        concat!(
            "uxth ", $lo, ", ", $acc, "\n", "asrs ", $acc, ", ", $acc, ", #16\n", "mov ", $tmp, ", ", $lo, "\n",
            "muls ", $tmp, ", ", $b, ", ", $tmp, "\n", "muls ", $b, ", ", $acc, ", ", $b, "\n", "muls ", $lo, ", ", $c,
            ", ", $lo, "\n", "muls ", $acc, ", ", $c, ", ", $acc, "\n", "lsrs ", $tmp, ", ", $tmp, ", #16\n", "adds ",
            $b, ", ", $b, ", ", $tmp, "\n", "uxth ", $tmp, ", ", $b, "\n", "asrs ", $b, ", ", $b, ", #16\n", "adds ",
            $lo, ", ", $lo, ", ", $tmp, "\n", "adds ", $acc, ", ", $acc, ", ", $b, "\n",
        )
    };
}

/// After [`product`]: the high word, of which [`rounded`] makes `⌊h / 2^s + ½⌋`.
macro_rules! once {
    ($acc:literal, $lo:literal) => {
        concat!("asrs ", $lo, ", ", $lo, ", #16\n", "adds ", $acc, ", ", $acc, ", ", $lo, "\n")
    };
}

/// After [`product`]: TensorFlow Lite's `q = ⌊acc · factor / 2^31 + ½⌋`, less one if it is negative: see
/// [`crate::fixed::requantize_tflite`].
macro_rules! tflite {
    ($acc:literal, $lo:literal) => {
        concat!(
            "asrs ", $lo, ", ", $lo, ", #14\n", "adds ", $lo, ", #1\n", "asrs ", $lo, ", ", $lo, ", #1\n", "lsls ",
            $acc, ", ", $acc, ", #1\n", "adds ", $acc, ", ", $acc, ", ", $lo, "\n", "asrs ", $lo, ", ", $acc,
            ", #31\n", "adds ", $acc, ", ", $acc, ", ", $lo, "\n",
        )
    };
}

/// `⌊(⌊acc / 2^shift⌋ + 1) / 2⌋`.
macro_rules! rounded {
    ($acc:literal, $shift:literal) => {
        concat!(
            "asrs ", $acc, ", ", $acc, ", ", $shift, "\n", "adds ", $acc, ", #1\n", "asrs ", $acc, ", ", $acc,
            ", #1\n",
        )
    };
}

/// At most the word at $max of $base, then at least the one at $min.
macro_rules! clamped {
    ($acc:literal, $base:literal, $max:literal, $min:literal, $tmp:literal) => {
        concat!(
            "ldr ", $tmp, ", [", $base, ", #", $max, "]\n", "cmp ", $acc, ", ", $tmp, "\n", "ble 6f\n", "mov ", $acc,
            ", ", $tmp, "\n", "6:\n", "ldr ", $tmp, ", [", $base, ", #", $min, "]\n", "cmp ", $acc, ", ", $tmp, "\n",
            "bge 7f\n", "mov ", $acc, ", ", $tmp, "\n", "7:\n",
        )
    };
}

pub(super) use {clamped, once, product, rounded, tflite};

/// What the loop over rows reads and advances.
#[repr(C)]
struct Rows {
    /// Ends of the input and of four rows of weights, and the negated length.
    x: *const i8,
    w: [*const i8; 4],
    count: usize,
    /// At 24: constants of the next row.
    bias: *const i32,
    /// At 28: the next result, then more constants.
    out: *mut i8,
    mult: *const i32,
    shift: *const u8,
    /// At 40, 44.
    max: i32,
    min: i32,
    /// At 48: what is left, in fours.
    quads: usize,
    /// At 52: bytes of four rows.
    step: usize,
}

/// The result of the row whose sum is in $sum; r1, r2, r3 point to results, factors and shifts, r12 to [`Rows`]. $first is
/// [`super::alike::first`].
macro_rules! row_result {
    ($sum:literal, $at:literal, $word:literal, $round:ident, $first:literal) => {
        concat!(
            concat!("mov r5, ", $sum, "\n"),
            concat!("ldr r6, [r2, #", $word, "]\n"),
            "uxth r0, r6\n",
            "asrs r6, r6, #16\n",
            product!("r5", "r7", "r0", "r6", "r4"),
            $round!("r5", "r7"),
            "mov r0, r12\n",
            concat!("ldrb r6, [r3, #", $at, "]\n"),
            concat!("subs r6, #", $first, "\n"),
            rounded!("r5", "r6"),
            "add r5, r5, lr\n",
            clamped!("r5", "r0", "40", "44", "r4"),
            concat!("strb r5, [r1, #", $at, "]\n"),
        )
    };
}

/// As many fours of the rows of `w` as there are: their results from output channel `first_row` on. Gives how many results
/// there are.
///
/// 14 instructions for 4 products, an eighth of the branch, and for a result 38 (TensorFlow Lite's rounding: 43), of which 7
/// are a quarter of what four rows cost.
#[inline(never)]
pub(super) fn row_quads(
    requant: &PerChannel<i8>,
    rounding: Rounding,
    first_row: usize,
    x: &[i8],
    w: &[i8],
    out: &mut [i8],
) -> Option<usize> {
    let n = x.len();
    let quads = out.len() / 4;
    let done = quads * 4;
    let within = first_row..first_row.checked_add(done)?;
    let (bias, mult) = (requant.bias.get(within.clone())?, requant.mult.get(within.clone())?);
    let shift = requant.shift.get(within)?;
    if quads == 0 || n == 0 || w.len() < n.checked_mul(done)? {
        return Some(0);
    }
    let end = |row: usize| w.as_ptr().wrapping_add((row + 1) * n);
    let mut rows = Rows {
        x: x.as_ptr().wrapping_add(n),
        w: [end(0), end(1), end(2), end(3)],
        count: 0_usize.wrapping_sub(n),
        bias: bias.as_ptr(),
        out: out.as_mut_ptr(),
        mult: mult.as_ptr(),
        shift: shift.as_ptr(),
        max: requant.output.max.into(),
        min: requant.output.min.into(),
        quads,
        step: 4 * n,
    };
    macro_rules! run {
        ($round:ident, $first:literal) => {
            core::arch::asm!(
                "push {{r6, r7}}",
                "mov r12, r0",
                "mov lr, r1",
                "8:",
                "mov r0, r12",
                "ldr r1, [r0, #24]",
                "ldm r1!, {{r2, r3, r4, r5}}",
                "mov r8, r2",
                "mov r9, r3",
                "mov r10, r4",
                "mov r11, r5",
                "str r1, [r0, #24]",
                "ldm r0, {{r0, r1, r2, r3, r4, r5}}",
                four_sums!(),
                "mov r0, r12",
                "adds r0, #28",
                "ldm r0!, {{r1, r2, r3}}",
                row_result!("r8", "0", "0", $round, $first),
                row_result!("r9", "1", "4", $round, $first),
                row_result!("r10", "2", "8", $round, $first),
                row_result!("r11", "3", "12", $round, $first),
                "adds r1, #4",
                "adds r2, #16",
                "adds r3, #4",
                "adds r0, #28",
                "stm r0!, {{r1, r2, r3}}",
                "ldr r6, [r0, #12]",
                "ldr r7, [r0, #8]",
                "subs r7, #1",
                "str r7, [r0, #8]",
                "subs r0, #36",
                "ldm r0!, {{r1, r2, r3, r4}}",
                "subs r0, #16",
                "adds r1, r1, r6",
                "adds r2, r2, r6",
                "adds r3, r3, r6",
                "adds r4, r4, r6",
                "stm r0!, {{r1, r2, r3, r4}}",
                "cmp r7, #0",
                "beq 9f",
                "b 8b",
                "9:",
                "pop {{r6, r7}}",
                inout("r0") &raw mut rows => _,
                inout("r1") requant.output.zero_point => _,
                out("r2") _, out("r3") _, out("r4") _, out("r5") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            )
        };
    }
    // SAFETY: for each of `quads` fours of rows the index runs from −n to −1, n ≥ 1, against the ends of `x` and of the four
    // rows, which lie in `w` (`n · done` long at least), and advance by four rows; four biases, factors, shifts and results
    // are read or written, `done` of which the slices hold. r6 and r7, which Rust may not name, are saved and restored.
    unsafe {
        match rounding {
            Rounding::Once => run!(once, "33"),
            Rounding::TfLite => run!(tflite, "160"),
        }
    }
    Some(done)
}
