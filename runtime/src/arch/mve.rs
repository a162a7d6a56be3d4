//! The vector extension of Armv8.1-M (MVE, "Helium": Cortex-M52, M55, M85): 16 bytes at a time.
//!
//! A result is the high word of the product (`VMULH`) rounded by `VRSHL`: `⌊(h + 2^(s−1)) / 2^s⌋`, which is
//! [`crate::fixed::requantize`] for shifts from 33, s = shift − 32. With [`Rounding::TfLite`] it is the doubled high word, rounded
//! (`VQRDMULH`), less 1 if that is negative, rounded by `VRSHL` to `shift − 31` bits less. To add `⌊2·1·q / 2^32⌋` (`VQDMLAH` by 1) takes
//! that 1 off.
#![allow(unsafe_code)]

use super::dsp::Product;
use super::dsp_depthwise::Taps;
use crate::fixed::{MAX_SHIFT, MIN_TFLITE_SHIFT, Rounding, TFLITE_FLAG};
use crate::kernels::conv::planar::{Channel, Outputs, gather_fits};
use crate::kernels::linear::dsp::vector_slowly;
use crate::kernels::rows::side_by_side;
use crate::kernels::{Output, PerChannel};

/// How vector instructions round with all of these shifts, if they do.
pub fn vector_rounding(shifts: &[u8]) -> Option<Rounding> {
    let (min, max) = shifts.iter().fold((u8::MAX, 0), |(min, max), &shift| (min.min(shift), max.max(shift)));
    let within = |first: u8, last: u8| first <= min && max <= last;
    match (within(33, MAX_SHIFT), within(MIN_TFLITE_SHIFT | TFLITE_FLAG, MAX_SHIFT | TFLITE_FLAG)) {
        (true, _) => Some(Rounding::Once),
        (_, true) => Some(Rounding::TfLite),
        _ => None,
    }
}

/// Less this is the negated shift of `VRSHL`.
pub(super) const fn base(rounding: Rounding) -> i32 {
    match rounding {
        Rounding::Once => 32,
        Rounding::TfLite => 31 + TFLITE_FLAG as i32,
    }
}

/// Before `VRSHL`: sums in q0 times factors in the register $factors; $one holds 1.
macro_rules! multiply_once {
    ($factors:literal, $one:literal) => {
        lines!(concat!("vmulh.s32 q0, q0, ", $factors),)
    };
}

macro_rules! multiply_tflite {
    ($factors:literal, $one:literal) => {
        lines!(concat!("vqrdmulh.s32 q0, q0, ", $factors), concat!("vqdmlah.s32 q0, q0, ", $one),)
    };
}

/// As [`multiply_tflite`], with a free vector register in place of a 1.
macro_rules! multiply_tflite_in_vectors {
    ($factors:literal, $spare:literal) => {
        lines!(
            concat!("vqrdmulh.s32 q0, q0, ", $factors),
            concat!("vshr.s32 ", $spare, ", q0, #31"),
            concat!("vadd.i32 q0, q0, ", $spare),
        )
    };
}

/// Four sums in q0 to results at r3: factors at $mult, shifts at r2, all three advanced; $one holds 1, q4 [`base`], q5 to q7 zero
/// point and limits.
macro_rules! four_results {
    ($mult:literal, $one:literal, $multiply:ident) => {
        lines!(
            concat!("vldrw.u32 q1, [", $mult, "], #16"),
            "vldrb.u32 q2, [r2], #4",
            $multiply!("q1", $one),
            "vsub.i32 q2, q4, q2",
            "vrshl.s32 q0, q0, q2",
            "vadd.i32 q0, q0, q5",
            "vmax.s32 q0, q0, q6",
            "vmin.s32 q0, q0, q7",
            "vstrb.32 q0, [r3], #4",
        )
    };
}

/// Zero point and limits, four times each.
#[repr(C)]
struct Ends([[i32; 4]; 3]);

impl Ends {
    fn of(output: Output<i8>) -> Self {
        Self([[output.zero_point; 4], [output.min.into(); 4], [output.max.into(); 4]])
    }
}

/// See [`crate::kernels::linear::dsp::vectors`].
pub fn vectors(p: &Product, x: &[i8], out: &mut [i8], _scratch: &mut [u32]) -> Option<()> {
    let rows = p.requant.bias.len();
    for (x, out) in side_by_side((x, p.depth), (out, rows)) {
        let done = p.vector_rounding.map_or(0, |rounding| product(p, rounding, x, out));
        for row in done..rows {
            vector_slowly(p, row, x, out)?;
        }
    }
    Some(())
}

/// One vector times rows of weights, four rows at a time: gives how many rows, from the first, are done. `rounding` is that of all
/// shifts.
///
/// Four rows cost 10 instructions for each 16 elements, or part of 16, and 21 for the rest; 22 with [`Rounding::TfLite`].
fn product(p: &Product, rounding: Rounding, x: &[i8], out: &mut [i8]) -> usize {
    #[repr(C)]
    struct Arguments {
        x: *const i8,
        shift: *const u8,
        out: *mut i8,
        one: i32,
        end: *const i32,
        mult: *const i32,
        zero_point: i32,
        min: i32,
        max: i32,
    }
    let quads = p.requant.bias.len() / 4;
    if x.len() != p.depth || out.len() != p.requant.bias.len() || quads == 0 {
        return 0;
    }
    let bias = p.requant.bias.as_ptr();
    let mut arguments = Arguments {
        x: x.as_ptr(),
        shift: p.requant.shift.as_ptr(),
        out: out.as_mut_ptr(),
        one: 1,
        end: bias.wrapping_add(4 * quads),
        mult: p.requant.mult.as_ptr(),
        zero_point: p.requant.output.zero_point,
        min: p.requant.output.min.into(),
        max: p.requant.output.max.into(),
    };
    macro_rules! run {
        ($multiply:ident) => {
        core::arch::asm!(
            "push {{r6, r7}}",
            "mov r7, r2",
            "mov r6, r8",
            "ldrd r0, r3, [r11, #24]",
            "ldr r4, [r11, #32]",
            "vdup.32 q5, r0",
            "vdup.32 q6, r3",
            "vdup.32 q7, r4",
            "vdup.32 q4, r10",
            "ldr r0, [r11]",
            "2:",
            "add r2, r1, r9",
            "add r3, r2, r9",
            "add r5, r3, r9",
            "ldm r7!, {{r4, r8, r10, r12}}",
            "dlstp.8 lr, r9",
            "3:",
            "vldrb.u8 q0, [r0], #16",
            "vldrb.u8 q1, [r1], #16",
            "vmladava.s8 r4, q0, q1",
            "vldrb.u8 q2, [r2], #16",
            "vmladava.s8 r8, q0, q2",
            "vldrb.u8 q3, [r3], #16",
            "vmladava.s8 r10, q0, q3",
            "vldrb.u8 q1, [r5], #16",
            "vmladava.s8 r12, q0, q1",
            "letp lr, 3b",
            "add r1, r5, r6",
            "vmov d0, r4, r8",
            "vmov d1, r10, r12",
            // The arguments up to the factors, in their order.
            "ldm r11, {{r0, r2, r3, r4, r5, r12}}",
            four_results!("r12", "r4", $multiply),
            "stm r11, {{r0, r2, r3, r4, r5, r12}}",
            "cmp r7, r5",
            "bne 2b",
            "pop {{r6, r7}}",
            in("r11") &raw mut arguments,
            in("r9") p.depth,
            inout("r1") p.w.as_ptr() => _,
            inout("r2") bias => _,
            // From the end of the fourth row's last 16 elements to the end of the row.
            inout("r8") p.depth.wrapping_sub(p.depth.next_multiple_of(16)) => _,
            out("r0") _, out("r3") _, out("r4") _, out("r5") _, inout("r10") base(rounding) => _, out("r12") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _, out("d15") _,
        )
        };
    }
    // SAFETY: `Product::new` proved `4 · quads` values at `bias`, `mult` and `shift`, and `4 · quads · depth` weights, depth at
    // least 1; `x` holds `depth` elements, and no more are loaded from it or from a row (DLSTP); `out` has room for a
    // result a row. r6 and r7, which Rust may not name, are saved and restored.
    unsafe {
        match rounding {
            Rounding::Once => run!(multiply_once),
            Rounding::TfLite => run!(multiply_tflite),
        }
    }
    4 * quads
}

/// The results of an accumulator for each channel: see [`crate::kernels::PerChannel::finish_all`]. `None`, with nothing done, unless
/// there are as many factors and results. `rounding` is that of all shifts.
///
/// 11 instructions for four results; 12 with [`Rounding::TfLite`].
pub fn finish_all(requant: &PerChannel<i8>, rounding: Rounding, acc: &[i32], out: &mut [i8]) -> Option<()> {
    let channels = out.len();
    let complete = [acc.len(), requant.mult.len(), requant.shift.len()] == [channels; 3];
    if !complete || channels == 0 {
        return None;
    }
    let ends = Ends::of(requant.output);
    macro_rules! run {
        ($multiply:ident) => {
        core::arch::asm!(
            "vldrw.u32 q5, [r4]",
            "vldrw.u32 q6, [r4, #16]",
            "vldrw.u32 q7, [r4, #32]",
            "vdup.32 q4, r5",
            "dlstp.32 lr, lr",
            "2:",
            "vldrw.u32 q0, [r0], #16",
            four_results!("r1", "r8", $multiply),
            "letp lr, 2b",
            inout("lr") channels => _,
            inout("r0") acc.as_ptr() => _,
            inout("r1") requant.mult.as_ptr() => _,
            inout("r2") requant.shift.as_ptr() => _,
            inout("r3") out.as_mut_ptr() => _,
            in("r4") &raw const ends,
            in("r5") base(rounding),
            in("r8") 1,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            options(nostack),
        )
        };
    }
    // SAFETY: each slice has `channels` elements, and no more are loaded or stored (DLSTP); `ends` is three vectors.
    unsafe {
        match rounding {
            Rounding::Once => run!(multiply_once),
            Rounding::TfLite => run!(multiply_tflite),
        }
    }
    Some(())
}

/// See [`super::dsp_depthwise::quad_taps`]: 7 instructions for the four products of a tap, and 9 for each quad. As there, `x` and `w` hold what is
/// read, `count` is not 0.
///
/// # Safety
/// `x` and `w` must hold `count` times four bytes, `steps` apart, for each quad, `quad_step` or 4 apart.
pub unsafe fn quad_taps(taps: &Taps, x: *const i8, w: *const i8, acc: &mut [[i32; 4]]) {
    let Taps { count, steps: [x_step, w_step], quad_step } = *taps;
    // SAFETY: what is read is the caller's promise; the sums are loaded and stored from the first to the last of `acc`.
    unsafe {
        core::arch::asm!(
            "2:",
            "vldrw.u32 q0, [r2]",
            "dls lr, r3",
            "3:",
            "vldrb.s32 q1, [r0]",
            "add r0, r8",
            "vldrb.s32 q2, [r1]",
            "add r1, r9",
            "vmul.i32 q1, q1, q2",
            "vadd.i32 q0, q0, q1",
            "le lr, 3b",
            "vstrw.32 q0, [r2], #16",
            "add r0, r4",
            "add r1, r5",
            "cmp r2, r10",
            "bne 2b",
            inout("r0") x => _,
            inout("r1") w => _,
            inout("r2") acc.as_mut_ptr() => _,
            in("r3") count,
            in("r4") quad_step.wrapping_sub(count.wrapping_mul(x_step)),
            in("r5") 4_usize.wrapping_sub(count.wrapping_mul(w_step)),
            in("r8") x_step,
            in("r9") w_step,
            in("r10") acc.as_ptr_range().end,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}

/// The outputs of one channel over a tile, 3×3 windows: rows of `plane` are `pitch` elements apart, outputs `stride` (1 or 2).
/// `None`, with nothing done, for a shift below 33.
///
/// Four neighbouring outputs cost 28 instructions (stride 2: 37): 18 (27) for their 36 products, each of a vector with a weight in
/// a register, and 10 for the rest.
pub fn tile3x3(
    channel: &Channel,
    plane: &[i16],
    pitch: usize,
    stride: usize,
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    #[repr(C)]
    struct Arguments {
        bias: [i32; 4],
        mult: [i32; 4],
        shift: [i32; 4],
        ends: Ends,
        columns_at: [u32; 4],
        advance: [u32; 4],
        // At 128.
        weights: [i32; 9],
        // At 164.
        plane: *const i16,
        pitch: usize,
        row_step: usize,
        // At 176.
        out: *mut i8,
        out_step: usize,
        columns: usize,
        rows: usize,
    }
    let [rows, columns] = outputs.size;
    let last_row = rows.checked_sub(1)?;
    let read = (last_row.checked_mul(stride)? + 2) * pitch + columns * stride + 3;
    let written = last_row * outputs.row_step + columns.checked_sub(1)? * outputs.step + 1;
    let aligned = plane.as_ptr().align_offset(4) == 0 && pitch.is_multiple_of(2);
    let fits = plane.len() >= read && y.len() >= written && aligned;
    let rounding = vector_rounding(&[channel.m.shift])?;
    if !fits || !(1..=2).contains(&stride) {
        return None;
    }
    let step = u32::try_from(outputs.step).ok()?;
    let mut arguments = Arguments {
        bias: [channel.bias; 4],
        mult: [channel.m.mult; 4],
        shift: [base(rounding) - i32::from(channel.m.shift); 4],
        ends: Ends::of(channel.output),
        columns_at: [0, step, step.wrapping_mul(2), step.wrapping_mul(3)],
        advance: [step.wrapping_mul(4); 4],
        weights: channel.weights.map(i32::from),
        plane: plane.as_ptr(),
        pitch: 2 * pitch,
        row_step: 2 * pitch * stride,
        out: y.as_mut_ptr(),
        out_step: outputs.row_step,
        columns,
        rows,
    };
    /// A row of inputs at $row, times three weights, onto q0.
    macro_rules! taps1 {
        ($row:literal, $a:literal, $b:literal, $c:literal) => {
            lines!(
                concat!("vldrh.s32 q1, [", $row, "], #8"),
                concat!("vmla.s32 q0, q1, ", $a),
                concat!("vldrh.s32 q1, [", $row, ", #-6]"),
                concat!("vmla.s32 q0, q1, ", $b),
                concat!("vldrh.s32 q1, [", $row, ", #-4]"),
                concat!("vmla.s32 q0, q1, ", $c),
            )
        };
    }
    macro_rules! taps2 {
        ($row:literal, $a:literal, $b:literal, $c:literal) => {
            lines!(
                concat!("vldrw.u32 q1, [", $row, "], #16"),
                "vmovlb.s16 q1, q1",
                concat!("vmla.s32 q0, q1, ", $a),
                concat!("vldrw.u32 q1, [", $row, ", #-16]"),
                "vmovlt.s16 q1, q1",
                concat!("vmla.s32 q0, q1, ", $b),
                concat!("vldrw.u32 q1, [", $row, ", #-12]"),
                "vmovlb.s16 q1, q1",
                concat!("vmla.s32 q0, q1, ", $c),
            )
        };
    }
    macro_rules! run {
        ($taps:ident, $multiply:ident) => {
            core::arch::asm!(
                "push {{r6, r7}}",
                "vldrw.u32 q0, [r0]",
                "vldrw.u32 q4, [r0, #16]",
                "vldrw.u32 q5, [r0, #32]",
                "vldrw.u32 q1, [r0, #48]",
                "vldrw.u32 q6, [r0, #64]",
                "vldrw.u32 q7, [r0, #80]",
                "vldrw.u32 q3, [r0, #112]",
                "push {{r0, r1}}",
                "vpush {{d0, d1, d2, d3}}",
                "add r1, r0, #128",
                "ldm r1, {{r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
                "2:",
                "ldr lr, [sp, #32]",
                "vldrw.u32 q2, [lr, #96]",
                "ldrd r0, r1, [lr, #164]",
                "ldr r2, [lr, #172]",
                "add r2, r0",
                "str r2, [lr, #164]",
                "ldrd r12, r2, [lr, #176]",
                "add r2, r12",
                "str r2, [lr, #176]",
                "add r2, r0, r1, lsl #1",
                "add r1, r0",
                "ldr lr, [lr, #184]",
                "dlstp.32 lr, lr",
                "3:",
                "vldrw.u32 q0, [sp]",
                $taps!("r0", "r3", "r4", "r5"),
                $taps!("r1", "r6", "r7", "r8"),
                $taps!("r2", "r9", "r10", "r11"),
                $multiply!("q4", "q1"),
                "vldrw.u32 q1, [sp, #16]",
                "vrshl.s32 q0, q0, q5",
                "vadd.i32 q0, q0, q1",
                "vmax.s32 q0, q0, q6",
                "vmin.s32 q0, q0, q7",
                "vstrb.32 q0, [r12, q2]",
                "vadd.i32 q2, q2, q3",
                "letp lr, 3b",
                "ldr lr, [sp, #32]",
                "ldr r0, [lr, #188]",
                "subs r0, #1",
                "str r0, [lr, #188]",
                "bne 2b",
                "add sp, #40",
                "pop {{r6, r7}}",
                inout("r0") &raw mut arguments => _,
                out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _,
                out("r11") _, out("r12") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            )
        };
    }
    // SAFETY: each row of outputs reads three rows of the plane, to at most element `read`, and writes up to element
    // `written` of `y`: checked above, and behind the last column nothing is loaded or stored (DLSTP). Words are loaded from a plane
    // that is aligned to 4, rows whole words apart. r6 and r7, which Rust may not name, are saved and restored.
    unsafe {
        match (stride, rounding) {
            (1, Rounding::Once) => run!(taps1, multiply_once),
            (1, Rounding::TfLite) => run!(taps1, multiply_tflite_in_vectors),
            (_, Rounding::Once) => run!(taps2, multiply_once),
            (_, Rounding::TfLite) => run!(taps2, multiply_tflite_in_vectors),
        }
    }
    Some(())
}

/// See [`crate::kernels::conv::planar::gather_plain`]: an instruction an element.
pub fn gather_plane(
    x: &[i8],
    step: usize,
    row_step: usize,
    [rows, columns]: [usize; 2],
    pitch: usize,
    plane: &mut [i16],
) -> Option<()> {
    if !gather_fits([x.len(), plane.len()], step, row_step, [rows, columns], pitch) {
        return None;
    }
    let step = u32::try_from(step).ok()?;
    let columns_at = [0, step, step.wrapping_mul(2), step.wrapping_mul(3)];
    // SAFETY: the last element that is read, and the last that is written, lie within the slices, as checked, and none
    // behind them is touched (DLSTP); no count is 0.
    unsafe {
        core::arch::asm!(
            "vldrw.u32 q3, [r4]",
            "vdup.32 q2, r5",
            "2:",
            "mov r0, r3",
            "vmov q1, q3",
            "dlstp.32 lr, r8",
            "3:",
            "vldrb.s32 q0, [r1, q1]",
            "vadd.i32 q1, q1, q2",
            "vstrh.32 q0, [r0], #8",
            "letp lr, 3b",
            "add r1, r9",
            "add r3, r10",
            "subs r2, #1",
            "bne 2b",
            out("r0") _,
            inout("r1") x.as_ptr() => _,
            inout("r2") rows => _,
            inout("r3") plane.as_mut_ptr() => _,
            in("r4") &raw const columns_at,
            in("r5") step.wrapping_mul(4),
            in("r8") columns,
            in("r9") row_step,
            in("r10") 2 * pitch,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            options(nostack),
        );
    }
    Some(())
}
