//! Links for Cortex-M.

fn main() {
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    for script in ["--nmagic", "-Tlink.x"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
}
