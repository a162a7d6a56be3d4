//! Embeds the model; links for the machine that stands for the target's core.

use std::path::Path;
use std::{env, fs};

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 3 << 20, ram: 3 << 20 });
    let target = env::var("TARGET").unwrap_or_default();
    let (memory, scripts): (_, &[&str]) = match target.as_str() {
        "thumbv8m.main-none-eabi" => ("mps2-an505.x", &["--nmagic", "-Tlink.x"]),
        "thumbv8m.main-none-eabihf" => ("mps3-an547.x", &["--nmagic", "-Tlink.x"]),
        target if target.starts_with("thumb") => ("mps2.x", &["--nmagic", "-Tlink.x"]),
        _ => ("riscv-virt.x", &["-Tmemory.x", "-Tlink.x"]),
    };
    let out = env::var("OUT_DIR").unwrap_or_default();
    let (from, to) = (Path::new("memory").join(memory), Path::new(&out).join("memory.x"));
    if let Err(error) = fs::copy(&from, to) {
        println!("cargo::error={}: {error}", from.display());
    }
    // What `cortex-m-rt` asks for a table of interrupts of one's own: names for handlers, of which there are none.
    if let Err(error) = fs::write(Path::new(&out).join("device.x"), "") {
        println!("cargo::error=device.x: {error}");
    }
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rustc-link-search={out}");
    for script in scripts {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
