//! Pieces of assembler that several files share.

/// Joins lines of assembler.
macro_rules! lines {
    ($($line:expr,)*) => { concat!($($line, "\n",)*) };
}

/// Clamps a register to [r2, r3].
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
