//! Embeds the model; links for the ESP32-C3.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 3 << 20, ram: 256 << 10 });
    for script in ["-Tdefmt.x", "-Tlinkall.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
