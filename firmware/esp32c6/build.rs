//! Embeds the model; links for the ESP32-C6.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 3 << 20, ram: 320 << 10 });
    for script in ["-Tdefmt.x", "-Tlinkall.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
