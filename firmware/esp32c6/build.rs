//! Embeds the model; links for the ESP32-C6.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 3 << 20, ram: 320 << 10 });
    for script in ["-Tdefmt.x", "-Tlinkall.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
    if cfg!(feature = "slots") {
        // The boot loader maps the firmware from wherever it lies in the flash.
        teff_build::slots(teff_build::Slots { address: 0x20_0000, len: 2 << 20, ram: 96 << 10, linked: false });
    }
}
