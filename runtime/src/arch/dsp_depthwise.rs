//! What the DSP extension does for convolutions channel by channel: tiles of 3×3 windows, windows of any other size four channels
//! at a time, and the copies around them.
//!
//! As in [`super::dsp`], the same names compute the same values elsewhere.
#![allow(unsafe_code)]

#[cfg(teff_core = "dsp")]
use crate::fixed::{Rounding, TFLITE_FLAG};
#[cfg(teff_core = "dsp")]
use crate::kernels::conv::planar::{Channel, Outputs, gather_fits};

/// The outputs of one channel over a tile, 3×3 windows: rows of `plane` are `pitch` elements apart, outputs `stride`. `None`,
/// with nothing done, for another stride than 1 or 2, an odd pitch, a shift that is not from 33 to 52, and for
/// [`Rounding::TfLite`] unless results of negative sums are all the smallest, so that their halves do not matter.
///
/// Two outputs cost 15 (stride 2: 18) instructions for their sums and 16 for the rest: in each row the inputs x0 … x3 and
/// the weights as the pairs (w0, w1) and (w1, w2) give `x0·w0 + x1·w1`, `x2·w2`, `x1·w0` and `x2·w1 + x3·w2`. The results are
/// made as in [`super::dsp::block_product`], but for [`Rounding::TfLite`] the sums are twice as large, with twice the weights and the
/// bias: then `⌊(2^32·(2^(e−1) + z·2^e) + 2a·m + 2^31) / 2^32⌋`, one `SMMLAR`, is shifted by e = shift − 31.
#[cfg(teff_core = "dsp")]
pub fn tile3x3(
    channel: &Channel,
    plane: &[i16],
    pitch: usize,
    stride: usize,
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    const MAX_BIAS: u32 = 1 << 29;
    let Channel { weights, bias, output, m } = *channel;
    let (shift, double) = match m.rounding() {
        Rounding::Once => (m.shift.checked_sub(32)?, 0),
        // 2 · (2^29 + 9 · 2^14) < 2^31
        Rounding::TfLite if bias.unsigned_abs() <= MAX_BIAS && i32::from(output.min) >= output.zero_point => {
            ((m.shift & !TFLITE_FLAG).checked_sub(31)?, 1)
        }
        Rounding::TfLite => return None,
    };
    #[repr(C)]
    struct Arguments {
        mult: i32,
        offset: i32,
        out: *mut i8,
        /// 0 while the last output of an odd row is made.
        step: usize,
        bias: i32,
        shift: u32,
        row: *const i16,
        pitch: usize,
        pairs: usize,
        /// `step`, if rows are odd.
        odd: usize,
        row_step: usize,
        rows: usize,
    }
    let [rows, columns] = outputs.size;
    // Of the last row of windows the last element read is that behind the last pair: 4 · stride elements a pair.
    let read = ((rows.checked_sub(1)? * stride) + 2) * pitch + columns.div_ceil(2) * 2 * stride + 3;
    let written = rows.checked_sub(1)? * outputs.row_step + columns.checked_sub(1)? * outputs.step + 1;
    let fits = plane.len() >= read && y.len() >= written && plane.as_ptr().align_offset(4) == 0;
    if !fits || !(1..=20).contains(&shift) || !pitch.is_multiple_of(2) || outputs.step == 0 {
        return None;
    }
    let shift = u32::from(shift);
    let even = columns / 2 * 2;
    let arguments = Arguments {
        mult: m.mult,
        offset: (2 * output.zero_point + 1) << (shift - 1),
        out: y.as_mut_ptr(),
        step: outputs.step,
        bias: bias << double,
        shift,
        row: plane.as_ptr(),
        pitch: 2 * pitch,
        pairs: columns / 2,
        odd: if even == columns { 0 } else { outputs.step },
        row_step: outputs.row_step.wrapping_sub(even * outputs.step),
        rows,
    };
    let pair = |a: i16, b: i16| u32::from(a.cast_unsigned()) | u32::from(b.cast_unsigned()) << 16;
    let [a0, a1, a2, b0, b1, b2, c0, c1, c2] = weights.map(|w| w << double);
    /// A row of inputs at $row, onto two sums.
    macro_rules! taps1 {
        ($row:literal, $w01:literal, $w12:literal, $first:literal) => {
            lines!(
                concat!("ldrd r2, r3, [", $row, "], #4"),
                concat!("smlad r4, r2, ", $w01, ", ", $first),
                concat!("smlatb r5, r2, ", $w01, ", r5"),
                concat!("smlabt r4, r3, ", $w12, ", r4"),
                concat!("smlad r5, r3, ", $w12, ", r5"),
            )
        };
    }
    macro_rules! taps2 {
        ($row:literal, $w01:literal, $w12:literal, $first:literal) => {
            lines!(
                concat!("ldrd r2, r3, [", $row, "], #8"),
                concat!("smlad r4, r2, ", $w01, ", ", $first),
                concat!("ldr r2, [", $row, "]"),
                concat!("smlad r5, r3, ", $w01, ", r5"),
                concat!("smlabt r4, r3, ", $w12, ", r4"),
                concat!("smlabt r5, r2, ", $w12, ", r5"),
            )
        };
    }
    macro_rules! run {
        ($taps:ident, $row_shift:literal, $multiply:literal) => {
            core::arch::asm!(
                // The arguments go to the stack: their register is the second row's.
                "push {{r6, r7}}",
                "ldmdb r1!, {{r2, r3, r4, r5, r6, r7}}",
                "push {{r2, r3, r4, r5, r6, r7}}",
                "ldmdb r1!, {{r2, r3, r4, r5, r6, r7}}",
                "push {{r2, r3, r4, r5, r6, r7}}",
                "2:",
                "ldrd r0, r3, [sp, #24]",
                "adds r1, r0, r3",
                "adds r7, r1, r3",
                concat!("add r2, r0, r3, lsl #", $row_shift),
                "str r2, [sp, #24]",
                "ldr r6, [sp, #32]",
                "cbz r6, 14f",
                "13:",
                "ldr r5, [sp, #16]",
                $taps!("r0", "r8", "r9", "r5"),
                $taps!("r1", "r10", "r11", "r4"),
                $taps!("r7", "r12", "lr", "r4"),
                "ldrd r2, r3, [sp]",
                concat!($multiply, " r4, r4, r2, r3"),
                concat!($multiply, " r5, r5, r2, r3"),
                "ldr r2, [sp, #20]",
                "asrs r4, r2",
                "asrs r5, r2",
                "ssat r4, #8, r4",
                "ssat r5, #8, r5",
                "ldrd r2, r3, [sp, #8]",
                // Where the step is 0, the first of the two stays.
                "strb r5, [r2, r3]",
                "strb r4, [r2]",
                "add r2, r2, r3, lsl #1",
                "str r2, [sp, #8]",
                "subs r6, #1",
                "bne 13b",
                "14:",
                "ldr r3, [sp, #36]",
                "cbz r3, 16f",
                "ldr r2, [sp, #12]",
                "cbz r2, 15f",
                "str r6, [sp, #12]",
                "movs r6, #1",
                "b 13b",
                "15:",
                "str r3, [sp, #12]",
                "16:",
                "ldr r2, [sp, #8]",
                "ldrd r3, r4, [sp, #40]",
                "adds r2, r3",
                "str r2, [sp, #8]",
                "subs r4, #1",
                "str r4, [sp, #44]",
                "bne 2b",
                "add sp, #48",
                "pop {{r6, r7}}",
                inout("r1") (&raw const arguments).wrapping_add(1) => _,
                out("r0") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
                in("r8") pair(a0, a1), in("r9") pair(a1, a2),
                in("r10") pair(b0, b1), in("r11") pair(b1, b2),
                in("r12") pair(c0, c1), in("lr") pair(c1, c2),
            )
        };
    }
    // SAFETY: each row of outputs reads three rows of the plane, to at most element `read`, and writes up to element
    // `written` of `y`: checked above. `plane` is aligned to 4 as LDRD wants, and rows are whole words apart. What goes to the
    // stack, the twelve words of the arguments among it, leaves it again. r6 and r7, which Rust may not name, are saved and
    // restored.
    unsafe {
        match (stride, double) {
            (1, 0) => run!(taps1, "0", "smmla"),
            (2, 0) => run!(taps2, "1", "smmla"),
            (1, _) => run!(taps1, "0", "smmlar"),
            (2, _) => run!(taps2, "1", "smmlar"),
            _ => return None,
        }
    }
    if !output.is_full() {
        for i in 0..rows {
            let row = y.get_mut(i * outputs.row_step..)?.iter_mut().step_by(outputs.step).take(columns);
            row.for_each(|y| *y = (*y).clamp(output.min, output.max.max(output.min)));
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
    if !gather_fits([x.len(), plane.len()], step, row_step, [rows, columns], pitch) {
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
