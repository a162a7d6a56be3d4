//! Embeds the model; links for Cortex-M.

fn main() {
    teff_build::firmware(teff_build::Budget { flash: 1536 << 10, ram: 192 << 10 });
    for script in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
    // After the script whose sections it speaks of.
    if cfg!(feature = "slots") {
        teff_build::slots(teff_build::Slots { address: 0x1010_0000, len: 1 << 20, ram: 192 << 10, linked: true });
    }
}
