//! Every board's build script, with models that its board has no room for, and what it declares against the memory map.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use teff_build::Budget;

/// A board for one of its targets.
struct Board {
    /// Its folder under `firmware/`.
    folder: &'static str,
    /// The build script of that folder.
    script: &'static str,
    target: &'static str,
    /// The memory map in that folder; `None` if its HAL brings one.
    map: Option<&'static str>,
}

macro_rules! board {
    ($folder:literal, $target:literal, $map:expr) => {
        Board { folder: $folder, script: env!(concat!("CARGO_BIN_EXE_", $folder)), target: $target, map: $map }
    };
}

const BOARDS: &[Board] = &[
    board!("esp32c3", "riscv32imc-unknown-none-elf", None),
    board!("esp32c6", "riscv32imac-unknown-none-elf", None),
    board!("hifive1", "riscv32imac-unknown-none-elf", None),
    board!("microbit", "thumbv6m-none-eabi", Some("memory.x")),
    board!("mps2", "thumbv7em-none-eabihf", Some("memory/mps2.x")),
    board!("mps2", "thumbv7em-none-eabi", Some("memory/mps2.x")),
    board!("mps2", "thumbv7m-none-eabi", Some("memory/mps2.x")),
    board!("mps2", "thumbv8m.main-none-eabi", Some("memory/an505.x")),
    board!("mps2", "thumbv8m.main-none-eabihf", Some("memory/an547.x")),
    board!("nrf52840-dk", "thumbv7em-none-eabihf", Some("memory.x")),
    board!("riscv-virt", "riscv32imac-unknown-none-elf", Some("memory.x")),
    board!("riscv-virt", "riscv32imc-unknown-none-elf", Some("memory.x")),
    board!("rp2040", "thumbv6m-none-eabi", Some("memory.x")),
    board!("rp2350", "thumbv8m.main-none-eabihf", Some("memory.x")),
    board!("rp2350", "riscv32imac-unknown-none-elf", Some("memory-riscv.x")),
    board!("stm32f405", "thumbv7em-none-eabihf", Some("memory.x")),
];

/// More than the memories of any board.
const TOO_MUCH: usize = 16 << 20;

impl Board {
    /// Runs the build script as Cargo would, with `model`.
    fn build(&self, model: &[u8]) -> Output {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("budgets-{}-{}", self.folder, self.target));
        fs::create_dir_all(&out).expect("a folder for the script's output");
        let path = out.join("given.teff");
        fs::write(&path, model).expect("the model is written");
        let folder = firmware().join(self.folder);
        let output = Command::new(self.script)
            .current_dir(&folder)
            .env("CARGO_MANIFEST_DIR", &folder)
            .env("CARGO_PKG_NAME", format!("teff-{}", self.folder))
            .env("OUT_DIR", &out)
            .env("TARGET", self.target)
            .env("TEFF_MODEL", path)
            .env_remove("TEFF_PUBLIC_KEY")
            .output();
        output.expect("the script runs")
    }

    /// What the board gives of `memory` to a model, as the refusal of `model`, which needs `needed` bytes of it, says.
    /// Checks that the refusal says all that it should.
    fn refused(&self, model: &[u8], needed: usize, memory: &str) -> usize {
        let output = self.build(model);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{} takes a model that needs {needed} bytes of {memory}", self.folder);
        let errors: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("cargo::error=")).collect();
        let [error] = errors[..] else { panic!("{}: one error in one line, not {said}", self.folder) };
        assert!(error.starts_with(&format!("teff-{}: model ", self.folder)), "no name of the board: {error}");
        assert!(error.contains("given.teff"), "no name of the model: {error}");
        let (_, rest) = error
            .split_once(&format!("needs {needed} bytes of {memory}, this board gives a model "))
            .unwrap_or_else(|| panic!("no need: {error}"));
        let (budget, remedy) = rest.split_once(": ").expect("a number and more");
        let budget: usize = budget.parse().expect("the budget is a number");
        assert!(remedy.starts_with(&format!("{} bytes too many; convert ", needed - budget)), "no remedy: {error}");
        assert!(remedy.ends_with(&format!("a board with more {memory}")), "no remedy: {error}");
        budget
    }

    fn budget(&self) -> (usize, usize) {
        (self.refused(&vec![0; TOO_MUCH], TOO_MUCH, "flash"), self.refused(&with_memory(TOO_MUCH), TOO_MUCH, "RAM"))
    }
}

#[test]
fn a_model_that_does_not_fit_stops_every_boards_build_and_budgets_are_within_memories() {
    for board in BOARDS {
        let (flash, ram) = board.budget();
        let known = teff_build::budget(board.folder, board.target);
        assert_eq!(known, Some(Budget { flash, ram }), "src/boards.rs and build.rs of {}", board.folder);
        // One byte too many is refused; a pool has whole 16 bytes.
        board.refused(&vec![0; flash + 1], flash + 1, "flash");
        board.refused(&with_memory(ram + 16), ram + 16, "RAM");
        let filled = board.build(&with_memory(ram));
        assert!(filled.status.success(), "{}: {}", board.folder, String::from_utf8_lossy(&filled.stdout));

        let Some(map) = board.map else { continue };
        let map = fs::read_to_string(firmware().join(board.folder).join(map)).expect("the board's memory map");
        for (memory, given) in [("FLASH", flash), ("RAM", ram)] {
            let len = region_len(&map, memory).unwrap_or_else(|| panic!("{}: no {memory} in {map}", board.folder));
            // Code, or stack and the rest, need some of it.
            assert!(given < len, "{}: {given} of {len} bytes of {memory}", board.folder);
        }
    }
}

/// A board that is left out of the table above would be left out of the tests.
#[test]
fn every_board_is_tested() {
    for entry in fs::read_dir(firmware()).expect("the folder of the boards") {
        let folder = entry.expect("an entry").path();
        let script = fs::read_to_string(folder.join("build.rs")).unwrap_or_default();
        let name = folder.file_name().unwrap_or_default();
        // `bench` measures models on cores, with as much memory as they want: no board.
        if script.contains("teff_build::firmware") && name != "bench" {
            assert!(BOARDS.iter().any(|board| name == board.folder), "{} is not tested", folder.display());
        }
    }
}

fn firmware() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The shipped model with an arena such that arena and state are `len` bytes: larger than it needs, which is valid.
fn with_memory(len: usize) -> Vec<u8> {
    let path = firmware().join("../models/lightcnn-mnist/model.teff");
    let mut file = fs::read(path).expect("the repository holds the model");
    // docs/format.md: the section table follows 32 bytes of header, each entry kind, reserved, offset, length.
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
    let entry = (32..).step_by(12).find(|&at| file[at..at + 2] == [1, 0]).expect("a section of pools");
    let (pools, bytes) = (word(entry + 4) as usize, word(entry + 8) as usize);
    assert_eq!(bytes, 8, "the shipped model has an arena and no state");
    file[pools + 4..pools + 8].copy_from_slice(&u32::try_from(len).expect("32 bits").to_le_bytes());
    let mut crc = teff::Crc32::new();
    crc.update(&file[..12]);
    crc.update(&file[16..]);
    file[12..16].copy_from_slice(&crc.finish().to_le_bytes());
    file
}

/// The length of a region of a linker script's `MEMORY`: a number with K or M, and maybe another that is taken from it.
fn region_len(map: &str, name: &str) -> Option<usize> {
    let line = map.lines().map(str::trim).find(|line| line.split_whitespace().next() == Some(name))?;
    let (_, len) = line.split_once("LENGTH =")?;
    let mut terms = len.split('-').map(|term| number(term.trim()));
    let first = terms.next()??;
    terms.try_fold(first, |left, term| left.checked_sub(term?))
}

fn number(text: &str) -> Option<usize> {
    match (text.strip_prefix("0x"), text.strip_suffix('K'), text.strip_suffix('M')) {
        (Some(digits), ..) => usize::from_str_radix(digits, 16).ok(),
        (_, Some(kilo), _) => Some(kilo.parse::<usize>().ok()? << 10),
        (_, _, Some(mega)) => Some(mega.parse::<usize>().ok()? << 20),
        _ => text.parse().ok(),
    }
}
