//! Armv6-M: 3×3 depthwise convolution in a plane, and copies.
#![allow(unsafe_code)]

use super::alike::{first, last};
use super::v6m_results::{clamped, once, product, rounded, tflite};
use crate::fixed::{Multiplier, Rounding};
use crate::kernels::Output;
use crate::kernels::conv::planar::{Channel, Outputs, gather_fits};

/// What the loop over the outputs of a row of a channel reads and advances.
#[repr(C)]
struct Neighbours {
    weights: [i32; 9],
    /// Behind the weights: the halves of the factor at 0 and 4, what to shift by at 8.
    lower: i32,
    upper: i32,
    shift: i32,
    /// At 12, 16, 20.
    max: i32,
    min: i32,
    zero_point: i32,
    /// At 24, 28: the next output, and bytes to the one after it.
    out: *mut i8,
    step: usize,
    /// At 32: outputs left.
    left: i32,
    /// At 36: from the last tap of four outputs to the first of the next four, bytes.
    next: isize,
    /// At 40: bias.
    bias: i32,
    /// At 44: bytes from each output's first tap to the next one's: 0, 1, 2 and 3 times the stride.
    offsets: [usize; 4],
}

/// Four outputs at one tap, to the next tap in the way $next.
macro_rules! tap {
    ($next:literal) => {
        concat!(
            "ldm r7!, {{r5}}\n",
            "ldrsh r6, [r0, r1]\n",
            "muls r6, r5, r6\n",
            "add r8, r8, r6\n",
            "ldrsh r6, [r0, r2]\n",
            "muls r6, r5, r6\n",
            "add r9, r9, r6\n",
            "ldrsh r6, [r0, r3]\n",
            "muls r6, r5, r6\n",
            "add r10, r10, r6\n",
            "ldrsh r6, [r0, r4]\n",
            "muls r6, r5, r6\n",
            "add r11, r11, r6\n",
            $next,
        )
    };
}

/// The result of the sum in $sum, to where r6 points; r7 points behind the weights.
macro_rules! neighbour_result {
    ($sum:literal, $round:ident) => {
        concat!(
            "mov r1, ",
            $sum,
            "\n",
            "ldr r3, [r7]\n",
            "ldr r4, [r7, #4]\n",
            product!("r1", "r2", "r3", "r4", "r5"),
            $round!("r1", "r2"),
            "ldr r4, [r7, #8]\n",
            rounded!("r1", "r4"),
            "ldr r4, [r7, #20]\n",
            "adds r1, r1, r4\n",
            clamped!("r1", "r7", "12", "16", "r4"),
            "strb r1, [r6]\n",
            "ldr r4, [r7, #28]\n",
            "adds r6, r6, r4\n",
        )
    };
}

/// See [`super::tile3x3`]. `None` for a shift that the assembler does not know, or a plane that is too small for it.
///
/// 14 instructions for the four products of a tap; 35 (40) for a result; 17 for four outputs.
#[inline(never)]
pub(super) fn tile3x3(
    channel: &Channel,
    plane: &[i16],
    pitch: usize,
    stride: usize,
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    let Channel { weights, bias, m: Multiplier { mult, shift }, output: Output { zero_point, min, max } } = *channel;
    let rounding = channel.m.rounding();
    let [rows, columns] = outputs.size;
    let (last_row, last_column) = (rows.checked_sub(1)?, columns.checked_sub(1)?);
    let fours = columns.checked_next_multiple_of(4)?;
    let read = last_row.checked_mul(stride * pitch)?.checked_add(2 * pitch + (fours - 1) * stride + 3)?;
    let written = last_row.checked_mul(outputs.row_step)?.checked_add(last_column.checked_mul(outputs.step)?)?;
    let known = shift >= first(rounding) && shift <= last(rounding) && (3..=128).contains(&pitch);
    if !known || read > plane.len() || written >= y.len() {
        return None;
    }
    let mut state = Neighbours {
        weights: weights.map(i32::from),
        lower: mult & 0xffff,
        upper: mult >> 16,
        shift: i32::from(shift) - i32::from(first(rounding)),
        max: max.into(),
        min: min.into(),
        zero_point,
        out: y.as_mut_ptr(),
        step: outputs.step,
        left: 0,
        // In bytes: four outputs on, from the third tap of the third row.
        next: (8 * stride).cast_signed() - (4 * pitch + 4).cast_signed(),
        bias,
        offsets: [0, 2 * stride, 4 * stride, 6 * stride],
    };
    macro_rules! run {
        ($plane:expr, $round:ident) => {
            core::arch::asm!(
                "push {{r6, r7}}",
                "mov r12, r1",
                "mov lr, r2",
                "8:",
                "mov r7, r12",
                "adds r7, #76",
                "ldm r7!, {{r1}}",
                "mov r8, r1",
                "mov r9, r1",
                "mov r10, r1",
                "mov r11, r1",
                "ldm r7!, {{r1, r2, r3, r4}}",
                "mov r7, r12",
                tap!("adds r0, #2\n"), tap!("adds r0, #2\n"), tap!("add r0, r0, lr\n"),
                tap!("adds r0, #2\n"), tap!("adds r0, #2\n"), tap!("add r0, r0, lr\n"),
                tap!("adds r0, #2\n"), tap!("adds r0, #2\n"), tap!(""),
                "ldr r5, [r7, #36]",
                "adds r0, r0, r5",
                "ldr r6, [r7, #24]",
                "ldr r5, [r7, #32]",
                "cmp r5, #4",
                "bge 3f",
                "b 4f",
                "3:",
                "subs r5, #4",
                "str r5, [r7, #32]",
                neighbour_result!("r8", $round),
                neighbour_result!("r9", $round),
                neighbour_result!("r10", $round),
                neighbour_result!("r11", $round),
                "str r6, [r7, #24]",
                "ldr r5, [r7, #32]",
                "cmp r5, #0",
                "beq 9f",
                "b 8b",
                // Fewer than four are wanted, one at a time.
                "4:",
                neighbour_result!("r8", $round),
                "mov r8, r9",
                "mov r9, r10",
                "ldr r5, [r7, #32]",
                "subs r5, #1",
                "str r5, [r7, #32]",
                "bne 4b",
                "9:",
                "pop {{r6, r7}}",
                inout("r0") $plane => _,
                inout("r1") &raw mut state => _,
                inout("r2") 2 * pitch - 4 => _,
                out("r3") _, out("r4") _, out("r5") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            )
        };
    }
    for row in 0..rows {
        let from = plane.as_ptr().wrapping_add(row * stride * pitch);
        state.out = y.as_mut_ptr().wrapping_add(row * outputs.row_step);
        state.left = i32::try_from(columns).ok()?;
        // SAFETY: the last row's last four outputs read to `read`, and the last output is at `written`: both were looked at
        // above, and others lie before them. `columns ≥ 1`, so that the loop ends after ⌈columns / 4⌉ rounds, and no more
        // than `columns` results are written. r6 and r7, which Rust may not name, are saved and restored.
        unsafe {
            match rounding {
                Rounding::Once => run!(from, once),
                Rounding::TfLite => run!(from, tflite),
            }
        }
    }
    Some(())
}

/// See [`super::gather_plane`]: 3 instructions a value, and three quarters.
pub fn gather_plane(
    x: &[i8],
    step: usize,
    row_step: usize,
    size: [usize; 2],
    pitch: usize,
    plane: &mut [i16],
) -> Option<()> {
    if !gather_fits([x.len(), plane.len()], step, row_step, size, pitch) {
        return None;
    }
    let [rows, columns] = size;
    let sizes = [columns, row_step, 2 * pitch];
    // SAFETY: `gather_fits` has proved that the last value read is in `x` and the last one written in `plane`, and that there
    // are rows and columns. r6, which Rust may not name, is saved and restored.
    unsafe {
        core::arch::asm!(
            "push {{r6}}",
            "ldm r4, {{r4, r5, r6}}",
            "mov r8, r4",
            "mov r9, r5",
            "mov r10, r6",
            "2:",
            "mov r11, r2",
            "movs r4, #0",
            "mov r5, r8",
            "subs r5, #4",
            "blt 4f",
            "3:",
            "ldrsb r6, [r0, r4]",
            "strh r6, [r2]",
            "adds r4, r4, r1",
            "ldrsb r6, [r0, r4]",
            "strh r6, [r2, #2]",
            "adds r4, r4, r1",
            "ldrsb r6, [r0, r4]",
            "strh r6, [r2, #4]",
            "adds r4, r4, r1",
            "ldrsb r6, [r0, r4]",
            "strh r6, [r2, #6]",
            "adds r4, r4, r1",
            "adds r2, #8",
            "subs r5, #4",
            "bge 3b",
            "4:",
            "adds r5, #4",
            "beq 6f",
            "5:",
            "ldrsb r6, [r0, r4]",
            "strh r6, [r2]",
            "adds r4, r4, r1",
            "adds r2, #2",
            "subs r5, #1",
            "bne 5b",
            "6:",
            "add r0, r0, r9",
            "mov r2, r11",
            "add r2, r2, r10",
            "subs r3, #1",
            "bne 2b",
            "pop {{r6}}",
            inout("r0") x.as_ptr() => _,
            in("r1") step,
            inout("r2") plane.as_mut_ptr() => _,
            inout("r3") rows => _,
            inout("r4") &raw const sizes => _,
            out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    Some(())
}

/// See [`super::copy_lines`], in bytes.
///
/// 1 instruction a byte where all is aligned to words, else 3.
pub(super) fn copy_rows(from: &[u8], row_step: usize, [rows, len]: [usize; 2], to: &mut [u8]) -> Option<()> {
    let (whole, last) = (len.checked_mul(rows)?, rows.checked_sub(1)?);
    if to.len() != whole || from.len() < last.checked_mul(row_step)?.checked_add(len)? {
        return None;
    }
    if len == 0 {
        return Some(());
    }
    let aligned = (from.as_ptr().addr() | to.as_mut_ptr().addr() | len | row_step).is_multiple_of(4);
    // SAFETY: `rows` lines of `len` bytes are read, the last of which ends within `from`, and `rows · len` bytes are written,
    // which fill `to`; neither count is 0. Words are read and written where every line begins and ends at a multiple of 4.
    // r6, which Rust may not name, is saved and restored.
    unsafe {
        core::arch::asm!(
            "push {{r6}}",
            "mov r8, r2",
            "cmp r5, #0",
            "beq 4f",
            // Lines of words.
            "2:",
            "mov r5, r0",
            "3:",
            "ldm r5!, {{r6}}",
            "stm r1!, {{r6}}",
            "subs r2, #4",
            "bne 3b",
            "mov r2, r8",
            "adds r0, r0, r4",
            "subs r3, #1",
            "bne 2b",
            "b 9f",
            // Lines of bytes, four at a time and then one by one.
            "4:",
            "mov r9, r0",
            "subs r2, #4",
            "blt 6f",
            "5:",
            ".irp at, 0, 1, 2, 3",
            "ldrb r6, [r0, #\\at]",
            "strb r6, [r1, #\\at]",
            ".endr",
            "adds r0, #4",
            "adds r1, #4",
            "subs r2, #4",
            "bge 5b",
            "6:",
            "adds r2, #4",
            "beq 8f",
            "7:",
            "ldrb r6, [r0]",
            "strb r6, [r1]",
            "adds r0, #1",
            "adds r1, #1",
            "subs r2, #1",
            "bne 7b",
            "8:",
            "mov r2, r8",
            "mov r0, r9",
            "adds r0, r0, r4",
            "subs r3, #1",
            "bne 4b",
            "9:",
            "pop {{r6}}",
            inout("r0") from.as_ptr() => _,
            inout("r1") to.as_mut_ptr() => _,
            inout("r2") len => _,
            inout("r3") rows => _,
            in("r4") row_step,
            inout("r5") u32::from(aligned) => _,
            out("r8") _, out("r9") _,
        );
    }
    Some(())
}
