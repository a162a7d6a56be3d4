//! Elementwise operators with the vector extension of Armv8.1-M: the plain ones; sums of tensors of the same shape.
#![allow(unsafe_code)]

pub use crate::kernels::elementwise::portable::{
    add, clamp, convert, interpolated, interpolated_wide, maximum, minimum, mul, octaves, requantize, table_s8,
};

use super::mve::base;
use crate::fixed::{Multiplier, Rounding};
use crate::kernels::elementwise::{AddTfLite, portable};
use crate::kernels::{Binary, Output, nest};

/// See [`crate::kernels::elementwise::reference::add_tflite`].
pub fn add_tflite(p: &AddTfLite, operands: Binary<'_, i8>) -> Option<()> {
    let count = |shape| nest::elements(shape);
    let alike = count(p.shape.a) == count(p.shape.out) && count(p.shape.b) == count(p.shape.out);
    let tflite = |m: Multiplier| m.rounding() == Rounding::TfLite && m.is_valid();
    if !alike || p.difference || !tflite(p.fine.0) || !tflite(p.sum) {
        return portable::add_tflite(p, operands);
    }
    let (a, b, y) = operands.parts();
    let complete = [a, b].iter().all(|x| x.is_none_or(|x| x.len() == y.len()));
    if !complete || count(p.shape.out) != Some(y.len()) {
        return None;
    }
    if y.is_empty() {
        return Some(());
    }
    let (from, to) = ([a, b].map(|x| x.map_or(y.as_ptr(), <[i8]>::as_ptr)), y.as_mut_ptr());
    let ([fine, coarse], [fine_zero, coarse_zero]) = match (p.fine_first, p.zero_points) {
        (true, zeros) => (from, zeros),
        (false, [a_zero, b_zero]) => ([from[1], from[0]], [b_zero, a_zero]),
    };
    // SAFETY: each operand is `y`, or a slice of its length.
    unsafe { sums(p, [fine, coarse], [fine_zero, coarse_zero], to, y.len()) };
    Some(())
}

/// `len` sums of elements at `from`: the operand with the smaller scale and the other one. 19 instructions for four.
///
/// # Safety
/// There must be `len` elements, not 0, at both of `from`, and room for as many at `to`, which may be one of the two.
unsafe fn sums(p: &AddTfLite, from: [*const i8; 2], zero_points: [i32; 2], to: *mut i8, len: usize) {
    /// Zero points of the larger scale, shifted, and of the output; limits.
    #[repr(C)]
    struct Vectors([[i32; 4]; 4]);
    let Output { zero_point, min, max } = p.output;
    let start = zero_points[1].wrapping_shl(19).wrapping_neg();
    let vectors = Vectors([[start; 4], [zero_point; 4], [min.into(); 4], [max.into(); 4]]);
    let ((fine, up), sum) = (p.fine, p.sum);
    let down = |m: Multiplier| base(Rounding::TfLite) - i32::from(m.shift);
    // SAFETY: `len` elements are loaded and stored, each quad before it is written (DLSTP), by the caller's promise; `vectors` is four
    // vectors.
    unsafe {
        core::arch::asm!(
            "vldrw.u32 q3, [r12]",
            "vldrw.u32 q4, [r12, #16]",
            "vldrw.u32 q5, [r12, #32]",
            "vldrw.u32 q6, [r12, #48]",
            "mov r12, #1",
            "dlstp.32 lr, lr",
            "2:",
            "vldrb.s32 q0, [r0], #4",
            "vldrb.s32 q1, [r1], #4",
            "vsub.i32 q0, q0, r3",
            "vshl.s32 q0, r4",
            "vqrdmulh.s32 q0, q0, r5",
            "vqdmlah.s32 q0, q0, r12",
            "vrshl.s32 q0, r8",
            "vmla.s32 q0, q1, r9",
            "vadd.i32 q0, q0, q3",
            "vqrdmulh.s32 q0, q0, r10",
            "vqdmlah.s32 q0, q0, r12",
            "vrshl.s32 q0, r11",
            "vadd.i32 q0, q0, q4",
            "vmax.s32 q0, q0, q5",
            "vmin.s32 q0, q0, q6",
            "vstrb.32 q0, [r2], #4",
            "letp lr, 2b",
            inout("lr") len => _,
            inout("r0") from[0] => _,
            inout("r1") from[1] => _,
            inout("r2") to => _,
            in("r3") zero_points[0],
            in("r4") i32::from(up.min(21)),
            in("r5") fine.mult,
            in("r8") down(fine),
            in("r9") 1 << 19,
            in("r10") sum.mult,
            in("r11") down(sum),
            inout("r12") &raw const vectors => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
            options(nostack),
        );
    }
}
