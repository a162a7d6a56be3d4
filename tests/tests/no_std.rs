//! The runtime on bare metal: it builds without a standard library, and no panic can be reached in it.
//!
//! That it links without a heap is shown by the firmware of `boards.rs`, none of which has an allocator.

use std::path::Path;
use std::process::{Command, Output};

use teff_tests::root;
use teff_tools::board;

const TARGETS: [&str; 3] = ["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "riscv32imc-unknown-none-elf"];

#[test]
fn the_runtime_builds_for_bare_metal() {
    for target in TARGETS {
        if available(target) {
            let output = cargo(&root(), &["build", "--release", "--package", "teff", "--target", target]);
            assert!(output.status.success(), "{target}:\n{}", messages(&output));
        }
    }
}

/// `firmware/no-panic` calls the whole runtime, and links only if the optimizer finds no way to a panic.
#[test]
fn no_panic_can_be_reached() {
    for target in ["thumbv6m-none-eabi", "thumbv7em-none-eabihf"] {
        if !available(target) {
            continue;
        }
        let output = prove(target, &[]);
        assert!(output.status.success(), "{target}: see firmware/no-panic/src/main.rs\n{}", messages(&output));
        // The proof is worth nothing if it does not notice a panic.
        let output = prove(target, &["--features", "counterexample"]);
        let noticed = messages(&output).contains("undefined symbol: a_panic_can_be_reached");
        assert!(!output.status.success() && noticed, "{target}: the counterexample was not noticed");
    }
}

fn prove(target: &str, features: &[&str]) -> Output {
    let arguments = [&["build", "--release", "--target", target], features].concat();
    cargo(&root().join("firmware/no-panic"), &arguments)
}

fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo).current_dir(folder).args(arguments).output().expect("cargo starts")
}

fn messages(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether the compiler can build for `target`; if not, says why, and fails in CI.
fn available(target: &str) -> bool {
    teff_tests::available(target, board::target_availability(target))
}
