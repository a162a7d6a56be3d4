//! Embeds the model; links for Cortex-M.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 3 << 20, ram: 3 << 20 });
    for script in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
