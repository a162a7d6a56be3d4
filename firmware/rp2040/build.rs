//! Embeds the model; links for Cortex-M.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 1536 << 10, ram: 192 << 10 });
    for script in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
