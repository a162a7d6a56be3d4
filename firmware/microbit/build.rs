//! Embeds the model; links for Cortex-M.

fn main() {
    // 64 KB of flash stay for code, 4 KB of RAM for the stack.
    teff_build::firmware(teff_build::Budget { flash: 192 << 10, ram: 12 << 10 });
    for script in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
