//! RISC-V of 32 bits with the M extension: loads at offsets of 12 bits, products into any of 31 registers.
#![allow(unsafe_code)]

/// Joins lines of assembler.
macro_rules! lines {
    ($($line:expr,)*) => { concat!($($line, "\n",)*) };
}

/// One element at an offset: 13 instructions for 4 products.
macro_rules! element {
    ($at:literal) => {
        lines!(
            concat!("lb {v}, ", $at, "({x})"),
            concat!("lb {t0}, ", $at, "({w0})"),
            concat!("lb {t1}, ", $at, "({w1})"),
            concat!("lb {t2}, ", $at, "({w2})"),
            concat!("lb {t3}, ", $at, "({w3})"),
            "mul {t0}, {t0}, {v}",
            "mul {t1}, {t1}, {v}",
            "mul {t2}, {t2}, {v}",
            "mul {t3}, {t3}, {v}",
            "add {a}, {a}, {t0}",
            "add {b}, {b}, {t1}",
            "add {c}, {c}, {t2}",
            "add {d}, {d}, {t3}",
        )
    };
}

/// `Σ_i w_r[i] · x[i]` for four rows r of `w`, each as long as `x`.
///
/// 110 instructions for the 32 products of eight elements: five loads, four products and four sums an element, and the
/// five pointers and the branch.
#[inline(always)]
pub fn dot4(x: &[i8], w: [&[i8]; 4]) -> [i32; 4] {
    let n = x.len();
    let [mut a, mut b, mut c, mut d] = [0_i32; 4];
    if w.iter().any(|w| w.len() != n) {
        return [a, b, c, d];
    }
    let rounds = n / 8;
    let [mut w0, mut w1, mut w2, mut w3] = w.map(|w| w.as_ptr());
    let mut x = x.as_ptr();
    // SAFETY: the first loop reads eight bytes at each pointer `rounds` times, the second one byte `n − 8 · rounds` times:
    // all of `x` and of the rows, which are as long. Neither is entered with a count of 0.
    unsafe {
        if rounds > 0 {
            core::arch::asm!(
                "2:",
                element!("0"), element!("1"), element!("2"), element!("3"),
                element!("4"), element!("5"), element!("6"), element!("7"),
                "addi {x}, {x}, 8",
                "addi {w0}, {w0}, 8",
                "addi {w1}, {w1}, 8",
                "addi {w2}, {w2}, 8",
                "addi {w3}, {w3}, 8",
                "bne {x}, {end}, 2b",
                x = inout(reg) x,
                w0 = inout(reg) w0, w1 = inout(reg) w1, w2 = inout(reg) w2, w3 = inout(reg) w3,
                end = in(reg) x.wrapping_add(8 * rounds),
                a = inout(reg) a, b = inout(reg) b, c = inout(reg) c, d = inout(reg) d,
                v = out(reg) _, t0 = out(reg) _, t1 = out(reg) _, t2 = out(reg) _, t3 = out(reg) _,
                options(readonly, nostack),
            );
        }
        if n % 8 != 0 {
            core::arch::asm!(
                "2:",
                element!("0"),
                "addi {x}, {x}, 1",
                "addi {w0}, {w0}, 1",
                "addi {w1}, {w1}, 1",
                "addi {w2}, {w2}, 1",
                "addi {w3}, {w3}, 1",
                "bne {x}, {end}, 2b",
                x = inout(reg) x => _,
                w0 = inout(reg) w0 => _, w1 = inout(reg) w1 => _, w2 = inout(reg) w2 => _, w3 = inout(reg) w3 => _,
                end = in(reg) x.wrapping_add(n % 8),
                a = inout(reg) a, b = inout(reg) b, c = inout(reg) c, d = inout(reg) d,
                v = out(reg) _, t0 = out(reg) _, t1 = out(reg) _, t2 = out(reg) _, t3 = out(reg) _,
                options(readonly, nostack),
            );
        }
    }
    [a, b, c, d]
}
