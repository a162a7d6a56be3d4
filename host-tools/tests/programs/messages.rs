//! What is said of wrong arguments, before anything is built, written or sent.

use std::fs;

use super::{Bench, shipped};

fn path(bench: &Bench, name: &str) -> String {
    bench.at(name).to_str().unwrap().to_string()
}

#[test]
fn boards_have_the_names_by_which_people_know_them() {
    let bench = Bench::with(&[]);
    let flash = |board: &str| bench.text(&["flash", "--board", board, &shipped(), "--dry-run"]);
    for (alias, name) in [("pico", "rp2040"), ("pico2", "rp2350"), ("nrf52840", "nrf52840-dk")] {
        assert_eq!(flash(alias), flash(name));
    }
    for (alias, target) in [("riscv-virt", "riscv32imac-unknown-none-elf"), ("mps2-an547", "thumbv8m.main-none-eabihf")]
    {
        let folder = path(&bench, &format!("my-{alias}"));
        bench.text(&["new", "--board", alias, "--model", &shipped(), &folder]);
        let config = fs::read_to_string(bench.at(&format!("my-{alias}/.cargo/config.toml"))).unwrap();
        assert!(config.contains(&format!("target = \"{target}\"")), "{config}");
    }
}
