//! Embeds the model; links for the board whose core the target names.

use std::path::Path;
use std::{env, fs};

use teff_build::Budget;

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    // The images AN385, AN386 and AN500 differ in their core only.
    let (map, flash, ram) = match target.as_str() {
        "thumbv8m.main-none-eabi" => ("an505", 3 << 20, 1 << 20),
        "thumbv8m.main-none-eabihf" => ("an547", 384 << 10, 384 << 10),
        _ => ("mps2", 3 << 20, 3 << 20),
    };
    teff_build::firmware(Budget { flash, ram });
    println!("cargo::rustc-check-cfg=cfg(map, values(\"mps2\", \"an505\", \"an547\"))");
    println!("cargo::rustc-cfg=map=\"{map}\"");
    let out = env::var("OUT_DIR").unwrap_or_default();
    let from = Path::new("memory").join(map).with_extension("x");
    if let Err(error) = fs::copy(&from, Path::new(&out).join("memory.x")) {
        println!("cargo::error={}: {error}", from.display());
    }
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rustc-link-search={out}");
    for script in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
