//! What is said of wrong arguments, before anything is built, written or sent.

use std::fs;

use super::{Bench, model, shipped};

fn path(bench: &Bench, name: &str) -> String {
    bench.at(name).to_str().unwrap().to_string()
}

#[test]
fn no_key_replaces_another() {
    let bench = Bench::with(&[]);
    let named = bench.failure(&["keygen", &path(&bench, "a.pub")]);
    assert!(named.contains("a.pub is named as a public key is") && named.contains("a.pem"), "{named}");
    assert!(!bench.at("a.pub").exists());
    fs::write(bench.at("b.pub"), "of devices in the field").unwrap();
    let taken = bench.failure(&["keygen", &path(&bench, "b.pem")]);
    assert!(taken.contains("b.pub exists already") && taken.contains("choose another name"), "{taken}");
    assert!(!bench.at("b.pem").exists());
    assert_eq!(fs::read_to_string(bench.at("b.pub")).unwrap(), "of devices in the field");
    bench.text(&["keygen", &path(&bench, "c.pem")]);
    assert!(bench.failure(&["keygen", &path(&bench, "c.pem")]).contains("c.pem exists already"));
}

#[test]
fn what_is_no_public_key_is_refused_before_the_build() {
    let bench = Bench::with(&["cargo", "probe-rs"]);
    let key = path(&bench, "key.pub");
    fs::write(&key, "no key").unwrap();
    let args = ["flash", "--board", "nrf52840-dk", &shipped(), "--public-key", &key];
    for more in [&[][..], &["--dry-run"]] {
        let said = bench.failure(&[&args[..], more].concat());
        assert!(said.contains("key.pub: no public key") && said.contains("64 hexadecimal digits"), "{said}");
    }
    fs::remove_file(&key).unwrap();
    let said = bench.failure(&[&args[..], &["--dry-run"]].concat());
    assert!(said.contains("cannot read the public key"), "{said}");
    assert_eq!(bench.calls(), [""; 0]);
}

#[test]
fn a_signed_model_is_named_as_one() {
    let bench = Bench::with(&[]);
    let (key, signed, made) = (path(&bench, "key.pem"), path(&bench, "m.teffs"), path(&bench, "made"));
    bench.text(&["keygen", &key]);
    bench.text(&["sign", &shipped(), "--key", &key, "--version", "2", "-o", &signed]);
    for args in [
        &["inspect", &signed][..],
        &["sign", &signed, "--key", &key, "--version", "3"],
        &["flash", "--board", "rp2040", &signed, "--dry-run"],
        &["new", "--board", "rp2040", "--model", &signed, &made],
    ] {
        let said = bench.failure(args);
        assert!(said.contains("m.teffs is signed") && said.contains("use the .teff that was signed"), "{said}");
    }
}

/// The line is opened once the model is signed: here there is none.
#[test]
fn push_signs_on_the_way() {
    let bench = Bench::with(&[]);
    let (key, signed) = (path(&bench, "key.pem"), path(&bench, "m.teffs"));
    bench.text(&["keygen", &key]);
    bench.text(&["sign", &shipped(), "--key", &key, "--version", "2", "-o", &signed]);
    let push = |model: &str, more: &[&str]| bench.failure(&[&["push", "--port", "tcp:nohost", model], more].concat());
    let with_key = ["--key", &key, "--version", "3"];
    assert!(push(&shipped(), &with_key).contains("tcp:nohost is no line: wanted is tcp:HOST:PORT"));
    assert!(push(&signed, &[]).contains("tcp:nohost is no line"));
    assert!(push(&signed, &with_key).contains("is signed already"));
    let unsigned = push(&shipped(), &[]);
    assert!(unsigned.contains("is not signed") && unsigned.contains("--key KEY.pem --version N"), "{unsigned}");
    let other = push(&model("storyteller/model.teff"), &with_key);
    assert!(other.contains("no model for the application digits"), "{other}");
    let storyteller = push(&model("storyteller/model.teff"), &[&with_key[..], &["--app", "storyteller"]].concat());
    assert!(storyteller.contains("tcp:nohost is no line"), "{storyteller}");
    let keyword = push(&model("keyword/streaming.teff"), &[&with_key[..], &["--app", "keyword"]].concat());
    assert!(keyword.contains("no model slots"), "{keyword}");
}

#[test]
fn compare_names_a_wrong_device_before_a_missing_input() {
    let bench = Bench::with(&[]);
    let compare = |device: &str| bench.failure(&["compare", "--device", device, &shipped(), "absent.npy"]);
    assert!(compare("usb:1").contains("no device usb:1"));
    assert!(compare("qemu:mps9").contains("no emulated board mps9"));
    assert!(compare("qemu:mps2-an547").contains("absent.npy"));
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

#[test]
fn a_dry_run_can_be_pasted_anywhere() {
    let bench = Bench::with(&[]);
    let spaced = path(&bench, "my model.teff");
    fs::copy(shipped(), &spaced).unwrap();
    let shown = bench.text(&["flash", "--board", "rp2040", &spaced, "--dry-run"]);
    assert!(shown.starts_with("cd /") && shown.contains(&format!(" TEFF_MODEL='{spaced}' cargo build")), "{shown}");
}
