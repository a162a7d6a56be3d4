//! Names the instruction set to the runtime.
//!
//! The compiler does not show a crate the target features of Arm's microcontrollers (they are unstable in Rust), so they
//! are told from the target and from `-Ctarget-cpu`. `cfg(teff_core = …)` is one of
//!
//! * `dsp`: Armv7E-M and Armv8-M Main with the DSP extension (Cortex-M4, M7, M33, M35P; Cortex-M52, M55 and M85 have it too)
//! * `v6m`: Armv6-M and Armv8-M Baseline (Cortex-M0, M0+, M1, M23)
//!
//! or absent. `cfg(teff_mve)` is set for cores with the vector extension of Armv8.1-M (Cortex-M52, M55, M85), unless
//! `-Ctarget-feature=-mve` says that this one was made without. Only `src/arch` looks at these.

use std::env;

/// Between the flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: char = '\u{1f}';

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(teff_core, values(\"dsp\", \"v6m\"))");
    println!("cargo::rustc-check-cfg=cfg(teff_mve)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if let Some(core) = core(&target, cpu(&flags)) {
        println!("cargo::rustc-cfg=teff_core=\"{core}\"");
    }
    if matches!(cpu(&flags), Some("cortex-m52" | "cortex-m55" | "cortex-m85")) && !flags.contains("-mve") {
        println!("cargo::rustc-cfg=teff_mve");
    }
}

/// The last `target-cpu` among the flags: `-Ctarget-cpu=…`, or `-C` and `target-cpu=…` apart.
fn cpu(flags: &str) -> Option<&str> {
    let flag = |flag: &'_ str| -> Option<usize> {
        let value = flag.strip_prefix("-C").unwrap_or(flag).trim_start().strip_prefix("target-cpu=")?;
        Some(value.len())
    };
    flags.split(SEPARATOR).filter_map(|f| flag(f).map(|len| &f[f.len() - len..])).next_back()
}

fn core(target: &str, cpu: Option<&str>) -> Option<&'static str> {
    match (target, cpu) {
        (_, Some("cortex-m4" | "cortex-m7" | "cortex-m33" | "cortex-m35p")) => Some("dsp"),
        (_, Some("cortex-m52" | "cortex-m55" | "cortex-m85")) => Some("dsp"),
        _ if target.starts_with("thumbv7em") => Some("dsp"),
        _ if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") => Some("v6m"),
        _ => None,
    }
}
