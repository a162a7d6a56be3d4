//! Embeds the model; links for the HiFive1.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 3 << 20, ram: 11 << 10 });
    for script in ["-Thifive1-link.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
