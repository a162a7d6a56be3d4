//! `teff flash --model-only`, and which firmware has slots.

use std::convert::Infallible;
use std::fs;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use teff_slots::Store;
use teff_tools::board::{self, HARDWARE};

use super::{Bench, model, shipped};

/// The flash of the nRF52840: words of 4 bytes, pages of 4096.
struct Flash(Vec<u8>);

#[derive(Debug)]
struct Never(Infallible);

impl NorFlashError for Never {
    fn kind(&self) -> NorFlashErrorKind {
        match self.0 {}
    }
}

impl ErrorType for Flash {
    type Error = Never;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Never> {
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Never> {
        self.0[from as usize..to as usize].fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Never> {
        let target = &mut self.0[offset as usize..][..bytes.len()];
        assert!(target.iter().all(|&byte| byte == 0xFF), "only erased words are written");
        target.copy_from_slice(bytes);
        Ok(())
    }
}

/// With a pair of keys, and a probe-rs that keeps what it was to write.
fn bench() -> Bench {
    let bench = Bench::with(&[]);
    let kept = bench.at("written.bin");
    // Its last argument is the file.
    let script = format!("case $1 in download) for file; do :; done; /bin/cp \"$file\" '{}';; esac", kept.display());
    bench.program("probe-rs", &script);
    bench.text(&["keygen", bench.at("key.pem").to_str().unwrap()]);
    bench
}

fn path(bench: &Bench, name: &str) -> String {
    bench.at(name).to_str().unwrap().to_string()
}

#[test]
fn applications_with_a_line_may_have_slots_and_others_are_refused() {
    let bench = bench();
    let [public, private] = ["key.pub", "key.pem"].map(|name| path(&bench, name));
    let storyteller = model("storyteller/model.teff");
    let args = |app| ["flash", "--board", "rp2040", storyteller.as_str(), "--dry-run", "--app", app];
    let firmware = ["--public-key", public.as_str()];
    let shown = bench.text(&[&args("storyteller")[..], &firmware].concat());
    let build = shown.lines().next().unwrap();
    assert!(build.contains("--bin teff-rp2040-storyteller ") && build.ends_with(" --features slots"), "{shown}");
    let model_only = ["--model-only", "--key", private.as_str(), "--version", "1"];
    let shown = bench.text(&[&args("storyteller")[..], &model_only].concat());
    assert!(shown.contains(" of model slots at "), "{shown}");
    let refused = bench.failure(&[&args("digits")[..], &model_only].concat());
    assert!(refused.contains("no model for the application digits"), "{refused}");
    for app in ["keyword", "vibration"] {
        for rest in [&firmware[..], &model_only] {
            let refused = bench.failure(&[&args(app)[..], rest].concat());
            assert!(refused.contains(app) && refused.contains("no model slots"), "{refused}");
        }
    }
}

#[test]
fn the_board_finds_in_its_slots_what_was_signed_here() {
    let bench = bench();
    let (model, key) = (shipped(), path(&bench, "key.pem"));
    let args = ["flash", "--board", "nrf52840-dk", &model, "--model-only", "--key", &key, "--version", "7"];
    let shown = bench.text(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(bench.calls(), [""; 0]);
    bench.text(&args);
    let calls = bench.calls();
    let shown: Vec<_> = shown.lines().skip(1).collect();
    assert_eq!(calls, shown);
    assert!(
        calls[0].starts_with("probe-rs download --chip nRF52840_xxAA --binary-format bin --base-address 0x00080000 ")
    );
    assert_eq!(calls[1], "probe-rs reset --chip nRF52840_xxAA");

    let public = fs::read_to_string(bench.at("key.pub")).unwrap();
    let public = teff_tools::update::key::parse_public(&public).unwrap();
    let flash = Flash(fs::read(bench.at("written.bin")).unwrap());
    assert_eq!(flash.0.len(), 512 << 10);
    let store = Store::open(flash, &public, |_, _| true).unwrap();
    let active = store.active().expect("a model").clone();
    assert_eq!((active.version, store.confirmed()), (7, 7));
    let bytes = store.into_flash().0[active.range.start as usize..active.range.end as usize].to_vec();
    assert_eq!(bytes, fs::read(shipped()).unwrap());
}

/// Where no debug probe's program is there.
#[test]
fn picotool_writes_the_same_bytes() {
    let bench = Bench::with(&[]);
    let (model, key, kept) = (shipped(), path(&bench, "key.pem"), bench.at("written.bin"));
    // `picotool load --update --verify FILE -t bin -o ADDRESS`
    let script = format!("case $1 in load) /bin/cp \"$4\" '{}';; esac", kept.display());
    bench.program("picotool", &script);
    bench.text(&["keygen", &key]);
    bench.text(&["flash", "--board", "rp2040", &model, "--model-only", "--key", &key, "--version", "3"]);
    let calls = bench.calls();
    assert!(calls[0].starts_with("picotool load --update --verify "), "{calls:?}");
    assert!(calls[0].ends_with("-slots.bin -t bin -o 0x10100000"), "{calls:?}");
    assert_eq!(calls[1..], ["picotool reboot"]);

    let public = fs::read_to_string(bench.at("key.pub")).unwrap();
    let public = teff_tools::update::key::parse_public(&public).unwrap();
    let store = Store::open(Flash(fs::read(kept).unwrap()), &public, |_, _| true).unwrap();
    assert_eq!((store.active().map(|active| active.version), store.confirmed()), (Some(3), 3));
    assert_eq!(store.into_flash().0.len(), 1 << 20);
}

#[test]
fn a_signed_file_needs_the_key_of_the_firmware() {
    let bench = bench();
    let (signed, key) = (path(&bench, "m.teffs"), path(&bench, "key.pem"));
    bench.text(&["sign", &shipped(), "--key", &key, "--version", "2", "-o", &signed]);
    let args = ["flash", "--board", "stm32f405", &signed, "--model-only"];
    assert!(bench.failure(&args).contains("--public-key KEY.pub"));
    bench.text(&["keygen", &path(&bench, "other.pem")]);
    let other = bench.failure(&[&args[..], &["--public-key", &path(&bench, "other.pub")]].concat());
    assert!(other.contains("the signature is not by this key"), "{other}");
    assert_eq!(bench.calls(), [""; 0]);
    bench.text(&[&args[..], &["--public-key", &path(&bench, "key.pub")]].concat());
    assert!(bench.calls()[0].contains("--base-address 0x08040000"), "{:?}", bench.calls());
    assert_eq!(fs::metadata(bench.at("written.bin")).unwrap().len(), 768 << 10);
}

#[test]
fn what_cannot_be_done_is_said() {
    let bench = bench();
    let model = shipped();
    let flash = |board: &str, more: &[&str]| bench.failure(&[&["flash", "--board", board, &model], more].concat());
    let unsigned = flash("nrf52840-dk", &["--model-only"]);
    assert!(unsigned.contains("is not signed") && unsigned.contains("--key KEY.pem --version N"), "{unsigned}");

    let key = path(&bench, "key.pem");
    let args = ["--model-only", "--key", &key, "--version", "1"];
    bench.program("probe-rs", "case $1 in --version) exit 0;; esac; exit 3");
    let failed = flash("nrf52840-dk", &args);
    assert!(failed.contains("probe-rs failed") && failed.contains("is the board plugged in?"), "{failed}");
    fs::remove_file(bench.at("probe-rs")).unwrap();
    let missing = flash("nrf52840-dk", &args);
    assert!(missing.contains("cargo install probe-rs-tools"), "{missing}");
}

/// With either way to ask for slots.
#[test]
fn a_board_without_slots_is_told_what_to_do_instead() {
    let bench = bench();
    let (model, key, public) = (shipped(), path(&bench, "key.pem"), path(&bench, "key.pub"));
    let without: Vec<_> = HARDWARE.iter().filter(|board| board.slots.is_none()).collect();
    assert!(without.iter().any(|board| board.name == "hifive1"));
    for board in without {
        let ways = [&["--model-only", "--key", &key, "--version", "1"][..], &["--public-key", &public]];
        for way in ways {
            let error = bench.failure(&[&["flash", "--board", board.name, &model], way].concat());
            let expected = format!(
                "{} has no model slots: only those for stm32f405, nrf52840-dk, rp2040, rp2350, rp2350-riscv, esp32c3, esp32c6 have",
                board.name
            );
            let instead = format!("teff flash --board {} MODEL.teff", board.name);
            assert!(error.contains(&expected) && error.contains(&instead), "{error}");
        }
    }
    assert_eq!(bench.calls(), [""; 0]);
}

/// The table of docs/boards.md: where the slots are, and the programs that write them.
#[test]
fn the_documentation_says_which_boards_have_slots() {
    let path = board::repository().unwrap().join("docs/boards.md");
    let text = fs::read_to_string(path).unwrap();
    for board in HARDWARE {
        let row = match board.slots {
            Some(slots) => {
                let writes = |flasher: &&board::Flasher| flasher.raw("image.bin", slots.address).is_some();
                let programs = board.flashers.iter().filter(writes).map(|flasher| format!("`{}`", flasher.program()));
                let programs: Vec<_> = programs.collect();
                format!("| {} KB at {:#010x} | {} |", slots.len >> 10, slots.address, programs.join(", "))
            }
            None => "| – | – |".to_string(),
        };
        // And whether they take a model over the line.
        let (row, pushed) = (format!("| `{}` {row} ", board.name), board.slots.is_some());
        let is_there = text.lines().any(|line| line.strip_prefix(&row).is_some_and(|last| (last != "– |") == pushed));
        assert!(is_there, "docs/boards.md lacks {row}");
    }
}
