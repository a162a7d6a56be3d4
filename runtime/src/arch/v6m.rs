//! Armv6-M (Cortex-M0, M0+): eight registers that can be loaded and multiplied, a 32-bit product without its high word.
#![allow(unsafe_code)]

/// The value in r6 times the weights of four rows, at index r5 of r1 to r4, onto the sums in r8 to r11.
macro_rules! four_products {
    () => {
        concat!(
            "ldrsb r7, [r1, r5]\n",
            "muls r7, r6, r7\n",
            "add r8, r8, r7\n",
            "ldrsb r7, [r2, r5]\n",
            "muls r7, r6, r7\n",
            "add r9, r9, r7\n",
            "ldrsb r7, [r3, r5]\n",
            "muls r7, r6, r7\n",
            "add r10, r10, r7\n",
            "ldrsb r7, [r4, r5]\n",
            "muls r7, r6, r7\n",
            "add r11, r11, r7\n",
        )
    };
}

pub(super) use four_products;

/// `Σ_i w_r[i] · x[i]` for four rows r of `w`, each as long as `x`.
///
/// For the few rows that are not rounded as [`super::row_quads`] does: one round at a time, 15 instructions for 4 products.
#[inline(always)]
pub fn dot4(x: &[i8], w: [&[i8]; 4]) -> [i32; 4] {
    let n = x.len();
    let (a, b, c, d): (i32, i32, i32, i32);
    if n == 0 || w.iter().any(|w| w.len() != n) {
        return [0; 4];
    }
    let [w0, w1, w2, w3] = w.map(|w| w.as_ptr().wrapping_add(n));
    // SAFETY: the index runs from −n to −1 against the ends of `x` and of the four rows, all of n bytes, so that exactly
    // their bytes are read. n is at least 1. r6 and r7, which Rust may not name, are saved and restored.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            "movs r6, #0",
            "mov r8, r6",
            "mov r9, r6",
            "mov r10, r6",
            "mov r11, r6",
            "2:",
            "ldrsb r6, [r0, r5]",
            four_products!(),
            "adds r5, #1",
            "bne 2b",
            "pop {{r6, r7}}",
            "mov r1, r8",
            "mov r2, r9",
            "mov r3, r10",
            "mov r4, r11",
            in("r0") x.as_ptr().wrapping_add(n),
            inout("r1") w0 => a,
            inout("r2") w1 => b,
            inout("r3") w2 => c,
            inout("r4") w3 => d,
            inout("r5") 0_usize.wrapping_sub(n) => _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            options(readonly),
        );
    }
    [a, b, c, d]
}

/// See [`crate::kernels::dot::dot4_wide`].
///
/// 15.25 instructions for 4 products: five loads, four products, four sums in the high registers, and two steps.
#[inline(always)]
pub fn dot4_wide(x: &[i16], w: &[u8]) -> Option<[i32; 4]> {
    let n = x.len();
    if w.len() != n.checked_mul(4)? {
        return None;
    }
    if n == 0 || n % 4 != 0 {
        return crate::kernels::dot::dot4_wide(x, w);
    }
    let (a, b, c, d): (i32, i32, i32, i32);
    let ends = w.as_ptr();
    // SAFETY: the index runs from −n to −1 against the ends of the four rows, all of n bytes, so that exactly their bytes are
    // read; r0 starts n bytes behind the start of `x` and advances by one byte a step, so that r0 plus the index goes
    // through the n values of `x`. n is a multiple of 4 and at least 4. r6 and r7, which Rust may not name, are saved and
    // restored.
    unsafe {
        core::arch::asm!(
            "push {{r6, r7}}",
            "movs r6, #0",
            "mov r8, r6",
            "mov r9, r6",
            "mov r10, r6",
            "mov r11, r6",
            "4:",
            ".rept 4",
            "ldrsh r6, [r0, r5]",
            four_products!(),
            "adds r0, #1",
            "adds r5, #1",
            ".endr",
            "bne 4b",
            "pop {{r6, r7}}",
            "mov r1, r8",
            "mov r2, r9",
            "mov r3, r10",
            "mov r4, r11",
            inout("r0") x.as_ptr().cast::<u8>().wrapping_add(n) => _,
            inout("r1") ends.wrapping_add(n) => a,
            inout("r2") ends.wrapping_add(2 * n) => b,
            inout("r3") ends.wrapping_add(3 * n) => c,
            inout("r4") ends.wrapping_add(4 * n) => d,
            inout("r5") 0_usize.wrapping_sub(n) => _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            options(readonly),
        );
    }
    Some([a, b, c, d])
}
