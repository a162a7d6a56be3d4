//! Embeds the model; links for RISC-V.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 6 << 20, ram: 6 << 20 });
    for script in ["-Tmemory.x", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
