//! Embeds the model; links for the processor that is built for.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 3 << 20, ram: 448 << 10 });
    let riscv = std::env::var("TARGET").is_ok_and(|target| target.starts_with("riscv"));
    let memory = if riscv { "-Tmemory-riscv.x" } else { "--nmagic" }; // link.x of Cortex-M includes memory.x
    println!("cargo::rerun-if-changed=memory-riscv.x");
    for script in [memory, "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
    // After the script whose sections it speaks of.
    if cfg!(feature = "slots") {
        teff_build::slots(teff_build::Slots { address: 0x1020_0000, len: 2 << 20, ram: 448 << 10, linked: true });
    }
}
