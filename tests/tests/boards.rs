//! The shipped model on every emulated board: the same bits as on this machine, within its budgets.
//!
//! A board that this machine cannot emulate is skipped, with the reason and the remedy; in CI that is a failure.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use ndarray::Array4;
use ndarray_npy::NpzReader;
use teff::{Model, Session, crc32};
use teff_app::digits::Embedded;
use teff_app::spectra;
use teff_app::storyteller::{self, Settings};
use teff_tests::cases::{self, Case};
use teff_tests::recorder::Recorder;
use teff_tests::{available, budget, golden_log, root, slow};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board::{self, App, Board, BoardRun, Elf, Emulator, Hardware, Kind, linux};
use teff_tools::compare::{Emulated, compare};
use teff_tools::convert;
use teff_tools::line::Patience;
use teff_tools::lm::program::Layout;
use teff_tools::lm::quantize::Rounding;
use teff_tools::lm::{self, folder, tokenizer};
use teff_tools::project::{self, Template};
use teff_tools::quantize::Width;
use teff_tools::update::{self, Slots};
use tempfile::TempDir;

/// How many of the test images are run.
const IMAGES: usize = 100;
/// How many of them in emulators that are much slower than QEMU.
const FEW_IMAGES: usize = 25;
/// Bytes of an image, and of the output for it.
const PIXELS: usize = 28 * 28;
const CLASSES: usize = 10;

#[test]
fn mps2_an386() {
    on_board("mps2-an386");
}

#[test]
fn mps2_an385() {
    on_board("mps2-an385");
}

#[test]
fn mps2_an500() {
    on_board("mps2-an500");
}

#[test]
fn mps2_an505() {
    on_board("mps2-an505");
}

#[test]
fn mps3_an547() {
    on_board("mps3-an547");
}

#[test]
fn microbit() {
    on_board("microbit");
}

#[test]
fn riscv_virt_imac() {
    on_board("riscv-virt-imac");
}

#[test]
fn riscv_virt_imc() {
    on_board("riscv-virt-imc");
}

#[test]
fn stm32f405() {
    if slow("stm32f405") {
        on_board("stm32f405");
    }
}

#[test]
fn hifive1() {
    if slow("hifive1") {
        on_board("hifive1");
    }
}

/// The very firmware that is flashed, with the clocks and pins that its HAL sets up.
#[test]
fn rp2040() {
    if slow("rp2040") {
        on_board("rp2040");
    }
}

/// As [`rp2040`].
#[test]
fn nrf52840_dk() {
    if slow("nrf52840-dk") {
        on_board("nrf52840-dk");
    }
}

/// The firmware of every board that is no emulator: it links, and fits with the model in it.
#[test]
fn hardware() {
    if !slow("builds for hardware") {
        return;
    }
    for board in board::HARDWARE {
        if !available(board.name, board::target_availability(board.target)) {
            continue;
        }
        let firmware = board::build_hardware(board, App::Digits, &model(), Kind::Application)
            .unwrap_or_else(|error| panic!("{error:#}"));
        let size = firmware.size().expect("the firmware is intact");
        assert!(size.flash <= board.flash && size.ram <= board.ram, "{}: {size:?}", board.name);
        links_no_other_operators(board.name, &firmware);
        for &app in &board.apps[1..] {
            application_fits(board, app);
        }
        for &app in board.apps {
            new_project_builds(Template::Hardware(board), app);
        }
        if let Some(slots) = board.slots {
            keeps_out_of_its_slots(board, App::Digits, &model());
            if board.apps.contains(&App::Storyteller) {
                // The model that is shipped is too large for most slots.
                let (shipped, folder) = (model_of(App::Storyteller), tempfile::tempdir().expect("a folder"));
                let fits = fs::metadata(&shipped).expect("the model").len() + (16 << 10) < u64::from(slots.len) / 2;
                // Where the firmware has little flash before the slots no language model fits beside it: another shows that it links.
                let room = board.flash - u64::from(slots.len) >= 384 << 10;
                let smaller = || if room { storyteller_of(1, folder.path()) } else { model() };
                let model = if fits { shipped } else { smaller() };
                keeps_out_of_its_slots(board, App::Storyteller, &model);
            }
        }
    }
}

/// The model that is shipped for an application.
fn model_of(app: App) -> PathBuf {
    root().join(match app {
        App::Digits => "models/lightcnn-fashion/model.teff",
        App::Keyword => "models/keyword/streaming.teff",
        App::Storyteller => "models/storyteller/model.teff",
        App::Vibration => "models/vibration/model.teff",
    })
}

/// The application links, and fits with its model.
fn application_fits(board: &Hardware, app: App) {
    let firmware = board::build_hardware(board, app, &model_of(app), Kind::Application)
        .unwrap_or_else(|error| panic!("{error:#}"));
    let size = firmware.size().expect("the firmware is intact");
    println!("{} {}: {size:?}", board.name, app.name());
    assert!(size.flash <= board.flash && size.ram <= board.ram, "{} {}: {size:?}", board.name, app.name());
}

/// With model slots the firmware links, and ends before them: the linker script of `teff-build` sees to it.
fn keeps_out_of_its_slots(board: &Hardware, app: App, model: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key.pub");
    fs::write(&key, update::key::public_text(&SigningKey::from_bytes(&[5; 32]))).expect("a file");
    let firmware =
        board::build_hardware(board, app, model, Kind::Slots(&key)).unwrap_or_else(|error| panic!("{error:#}"));
    let size = firmware.size().expect("the firmware is intact");
    let slots = board.slots.expect("it has");
    assert!(size.flash + u64::from(slots.len) <= board.flash && size.ram <= board.ram, "{}: {size:?}", board.name);
    if app == App::Digits {
        links_no_other_operators(board.name, &firmware);
    }
}

/// What `teff new` writes builds, in another folder, with the model that was given.
fn new_project_builds(board: Template, app: App) -> Elf {
    let folder = tempfile::tempdir().expect("a folder");
    // Projects of other tests are built into the same folder.
    let name = format!("my-{}", board.name());
    let project_folder = folder.path().join(&name);
    let model = fs::read(model_of(app)).expect("the shipped model");
    let files = project::files(board, app, &name, &model).unwrap_or_else(|error| panic!("{error:#}"));
    project::write(&files, &project_folder).unwrap_or_else(|error| panic!("{error:#}"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release"]).current_dir(&project_folder);
    // The dependencies are those of the board's crate, and were built there: with this log level, and in this repository's profile.
    cargo.env("CARGO_TARGET_DIR", root().join("target")).env_remove("TEFF_MODEL");
    cargo.env("DEFMT_LOG", "debug").env("CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_STRIP", "symbols");
    let done = cargo.output().expect("cargo runs");
    assert!(done.status.success(), "{}: {}", board.name(), String::from_utf8_lossy(&done.stderr));
    let program = root().join("target").join(board.target()).join("release").join(&name);
    let program = Elf::parse(fs::read(program).expect("the firmware")).expect("an ELF file");
    let holds = program.bytes().windows(model.len()).any(|window| window == model);
    assert!(holds, "{}: the model is not in it", board.name());
    program
}

/// A project for a board that is there in QEMU only builds too, and its program gives the bits of the PC.
#[test]
fn new_projects_run_in_qemu() {
    let (frames, expected) = workload_of(&model_of(App::Digits));
    for template in Template::all() {
        let Template::Emulated(board) = template else { continue };
        if !available(&format!("a new project for {}", board.name), board::availability(board)) {
            continue;
        }
        let program = new_project_builds(template, App::Digits);
        let run = board::run(board, &program, &frames[..PIXELS]).unwrap_or_else(|error| panic!("{error:#}"));
        assert_same(board.name, &run.outputs, &expected[..CLASSES]);
        // The other applications once for each crate: they run in tests of their own.
        for app in [App::Keyword, App::Storyteller, App::Vibration] {
            if ["mps2-an386", "riscv-virt-imac"].contains(&board.name) && template.offers(app) {
                new_project_builds(template, app);
            }
        }
    }
}

#[test]
fn aarch64_linux() {
    if !available("aarch64-linux", linux::availability()) {
        return;
    }
    let (frames, expected) = workload();
    let program = linux::build("frames").expect("the example builds");
    for cpu in linux::CPUS {
        let run = linux::run(cpu, &program, &model(), &frames).expect("it runs");
        assert_same(cpu, &run.outputs, &expected);
        let chosen = if cpu == "cortex-a76" { "NEON with SDOT" } else { "NEON" };
        let crc = crc(&expected);
        assert_eq!(run.report, format!("{IMAGES} frames, output CRC-32 {crc:08x}, by {chosen}"), "{cpu}");
    }
}

/// The counter against a loop of two instructions a round, and against the processor's own count where it has one.
#[test]
fn the_instruction_counter_is_exact() {
    for name in ["mps2-an386", "riscv-virt-imac"] {
        let board = board(name);
        if !available(name, board::availability(board)) {
            continue;
        }
        let program = board::build_binary(board, &format!("{}-count", board.binary), &model()).expect("it builds");
        let run = board::run_binary(board, &program, &[]).expect("it runs");
        let counted = run.instructions.expect("this QEMU takes plugins").lengths;
        let rounds = [1, 1_000, 100_000];
        assert_eq!(counted.len(), rounds.len(), "{name}: {counted:?}");
        // All intervals pass the same code, so that what comes to the loop is the same for all.
        let beside = counted[0] - 2;
        assert!(beside <= 20, "{name}: {beside} instructions beside the loop");
        let loops: Vec<u64> = counted.iter().map(|count| count - beside).collect();
        assert_eq!(loops, rounds.map(|n| 2 * n), "{name}");

        let retired: Vec<u64> = run.log.iter().filter_map(|line| retired(line)).collect();
        assert_eq!(retired.len(), if name.starts_with("riscv") { rounds.len() } else { 0 }, "{:?}", run.log);
        let between: Vec<u64> = counted.iter().zip(&retired).map(|(counted, retired)| counted - retired).collect();
        assert!(between.iter().all(|&d| d == between[0]), "{name}: counted {counted:?}, minstret {retired:?}");

        let again = board::run_binary(board, &program, &[]).expect("it runs again");
        assert_eq!(again.instructions.map(|count| count.lengths), Some(counted), "{name}: not repeatable");
    }
}

/// `teff compare` against emulated boards: the protocol, and every step of the shipped model.
#[test]
fn compared_step_by_step() {
    let path = model();
    let file = AlignedBytes::from(fs::read(&path).expect("the shipped model").as_slice());
    let model = Model::verify(&file).expect("it is valid");
    let input: Vec<u8> = workload().0[..PIXELS].iter().map(|value| value.cast_unsigned()).collect();
    for name in ["mps2-an386", "mps3-an547", "microbit", "riscv-virt-imac", "rp2040"] {
        let (board, what) = (board(name), format!("comparing on {name}"));
        let has_hal = matches!(board.emulator, Emulator::Script { .. });
        if has_hal && !slow(&what) || !available(&what, board::availability(board)) {
            continue;
        }
        let mut device = Emulated::build(board, &path).unwrap_or_else(|error| panic!("{error:#}"));
        let comparison =
            compare(&model, slice::from_ref(&input), &mut device).unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!((comparison.steps, comparison.difference), (model.step_count(), None), "{name}");

        let other = root().join("models/lightcnn-fashion/model.teff");
        let other = AlignedBytes::from(fs::read(other).expect("the shipped model").as_slice());
        let other = Model::verify(&other).expect("it is valid");
        let error = compare(&other, slice::from_ref(&input), &mut device).expect_err("another model").to_string();
        assert!(error.starts_with("the device runs another model"), "{error}");
    }
}

/// The count in a log line `… rounds: N instructions retired`.
fn retired(line: &str) -> Option<u64> {
    line.strip_suffix(" instructions retired")?.rsplit(' ').next()?.parse().ok()
}

/// The golden cases of every operator, step by step against the CRCs of this machine.
#[test]
fn every_operator_gives_the_same_bits_everywhere() {
    let files: Vec<(String, AlignedBytes)> =
        cases::all().into_iter().flat_map(|(_, cases)| cases).flat_map(|case| both_widths(&case)).collect();
    let mut stream = Vec::new();
    for (_, file) in &files {
        stream.extend((file.len() as u32).to_le_bytes().iter().chain(&file[..]).map(|&byte| byte.cast_signed()));
    }
    // A microbit has no room for the cases: code for Armv6-M runs on a larger machine, whose core executes it too.
    let m0 = Board {
        name: "mps2-an385-m0",
        target: "thumbv6m-none-eabi",
        emulator: Emulator::arm(&["-machine", "mps2-an385"]),
        ..*board("mps2-an386")
    };
    let others =
        ["mps2-an386", "mps2-an385", "mps2-an505", "mps3-an547", "riscv-virt-imac", "riscv-virt-imc"].map(board);
    for board in others.into_iter().chain([&m0]) {
        let name = board.name;
        if !available(&format!("every operator on {name}"), board::availability(board)) {
            continue;
        }
        let program = board::build_binary(board, &format!("{}-conformance", board.binary), &model());
        let run = board::run_binary(board, &program.expect("it builds"), &stream).expect("it runs");
        let verdicts = run.outputs.expect("it writes verdicts");
        assert_eq!(verdicts.len(), files.len(), "{name}\n{}", run.log.join("\n"));
        for ((case, _), verdict) in files.iter().zip(verdicts) {
            assert_eq!(verdict, 0, "{name}: case {case}");
        }
    }
}

/// The fixed-point front end has the PC's bits everywhere; the FFT's instructions have a budget.
#[test]
fn spectra_are_the_same_on_every_architecture() {
    let mut seed = 1_u32;
    let mut noise = |loudness: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((seed.cast_signed() >> 16) >> loudness) as i16
    };
    // From full scale to near silence, and silence.
    let samples = (0..17).flat_map(|loudness| (0..spectra::FRAME).map(move |_| loudness)).map(&mut noise);
    let frames: Vec<u8> = samples.flat_map(i16::to_le_bytes).chain([0; 2 * spectra::FRAME]).collect();
    let mut expected = vec![0; 18 * 4 * spectra::OUTPUT];
    spectra::run(&frames[..], &mut expected[..]).expect("the front end runs here");
    let frames: Vec<i8> = frames.into_iter().map(u8::cast_signed).collect();
    for name in ["mps2-an386", "mps2-an505", "mps3-an547", "riscv-virt-imac"] {
        let board = board(name);
        if !available(name, board::availability(board)) {
            continue;
        }
        let program = board::build_binary(board, &format!("{}-spectra", board.binary), &model());
        let run = board::run_binary(board, &program.expect("it builds"), &frames).expect("it runs");
        let found: Vec<u8> = run.outputs.expect("it writes spectra").into_iter().map(i8::cast_unsigned).collect();
        assert!(found == expected, "{name}: not the bits of this machine");
        let counted = run.instructions.expect("this QEMU takes plugins").lengths;
        let worst = |offset| counted.iter().skip(offset).step_by(2).copied().max().unwrap_or(0);
        budget::check(&format!("dsp.{name}"), &[("rfft-512", worst(0)), ("log-mel-512-40", worst(1))]);
    }
}

/// The storyteller's text is the PC's on every architecture: the same seed, the same story.
#[test]
fn stories_are_the_same_on_every_architecture() {
    const PROMPTS: &[u8] = b"And the king said\n";
    let path = root().join("models/storyteller/model.teff");
    let text = story(&path, PROMPTS, 1);
    assert!(text.starts_with(b"And the king said"));
    let prompts: Vec<i8> = PROMPTS.iter().map(|byte| byte.cast_signed()).collect();
    for name in ["mps2-an386", "stm32f405", "riscv-virt-imac"] {
        let board = board(name);
        if !available(name, board::availability(board)) {
            continue;
        }
        let program = board::build_binary(board, &format!("{}-storyteller", board.binary), &path);
        let run = board::run_binary(board, &program.expect("it builds"), &prompts).expect("it runs");
        let found: Vec<u8> = run.outputs.expect("it tells a story").into_iter().map(i8::cast_unsigned).collect();
        assert!(found == text, "{name}: another story: {:?}", String::from_utf8_lossy(&found));
        golden_log("board-storyteller.log", &run.log);
    }
}

/// Over a serial line a story comes back token by token, and the board waits for the next prompt.
#[test]
fn stories_come_over_the_serial_line() {
    const PROMPT: &[u8] = b"And the king said\n";
    let name = "mps2-an386";
    let board = board(name);
    if !available("stories over a serial line", board::availability(board)) {
        return;
    }
    let path = root().join("models/storyteller/model.teff");
    let expected = [story(&path, PROMPT, 1), story(&path, PROMPT, 2)];
    let program = board::build_binary(board, "teff-mps2-storyteller-uart", &path).expect("it builds");
    let (folder, mut emulator) = with_serial_line(board, &program, &[]);
    let told = connect(&folder.path().join("line")).and_then(|mut line| {
        line.set_read_timeout(Some(Duration::from_secs(120)))?;
        let mut told = Vec::new();
        for expected in &expected {
            line.write_all(PROMPT)?;
            let mut text = vec![0; expected.len()];
            line.read_exact(&mut text)?;
            told.push(text);
        }
        Ok(told)
    });
    // It waits for the next prompt, for ever.
    emulator.kill().expect("the emulator can be stopped");
    emulator.wait().expect("it has ended");
    let told = told.expect("the stories come back");
    assert!(told == expected, "{:?}", told.iter().map(|text| String::from_utf8_lossy(text)).collect::<Vec<_>>());
}

/// What this machine tells, with `seed`.
fn story(path: &Path, prompt: &[u8], seed: u64) -> Vec<u8> {
    let file = fs::read(path).expect("the shipped model");
    let file: &'static AlignedBytes = Box::leak(Box::new(AlignedBytes::from(file.as_slice())));
    let len = Model::verify(file).expect("a valid model").memory_len();
    let embedded = Embedded { model: file, ops: teff::ops::ALL };
    let mut text = vec![0; 1 << 14];
    let mut free = text.as_mut_slice();
    let settings = Settings { seed, ..Settings::DEMO };
    let told = storyteller::run(embedded, &mut AlignedBytes::zeroed(len), settings, prompt, &mut free);
    assert_eq!(told.expect("it tells a story here").stories, 1);
    let written = (1 << 14) - free.len();
    text.truncate(written);
    text
}

/// A model goes over the serial line of a board into a slot, is verified there, starts, and gives the PC's bits.
#[test]
fn a_model_is_pushed_to_a_board_and_runs() {
    let name = "mps2-an386";
    let board = board(name);
    if !available("pushing a model", board::availability(board)) {
        return;
    }
    let program = board::build_binary(board, "teff-mps2-update", &model()).expect("it builds");
    let (frames, expected) = workload();
    let (folder, mut emulator) = with_serial_line(board, &program, &frames);
    let path = |file: &str| folder.path().join(file);
    let signed = update::sign(&fs::read(model()).expect("the model is there"), 1, &SigningKey::from_bytes(&[5; 32]));
    let pushed = connect(&path("line"))
        .and_then(|mut line| update::push(&mut line, &signed.expect("it is signed"), Patience::default(), |_| {}));
    if pushed.is_err() {
        // It waits for ever.
        emulator.kill().expect("the emulator can be stopped");
    }
    let status = emulator.wait().expect("the emulator ends");
    let pushed = pushed.unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!((pushed.before, pushed.version, pushed.resumed), (None, 1, 0));
    assert!(status.success(), "{status}");
    let found = fs::read(path("outputs.bin")).expect("the firmware writes outputs");
    assert_same(name, &found.into_iter().map(u8::cast_signed).collect::<Vec<_>>(), &expected);
}

#[test]
fn a_model_in_a_slot_runs_on_the_nrf52840() {
    let Some(board) = WithSlots::build("nrf52840-dk", 0, "a model in a slot") else { return };
    board.runs_what_is_signed();
}

#[test]
fn a_model_is_pushed_to_the_nrf52840_while_it_runs() {
    let Some(board) = WithSlots::build("nrf52840-dk", 0, "pushing a model to") else { return };
    let (image, outputs) = one_image();
    board.takes_what_is_pushed(&fashion(), &image, outputs);
}

/// Between two stories a model comes over the line of the prompts, and tells the next one.
#[test]
fn a_storyteller_is_updated_on_the_nrf52840() {
    const PROMPT: &[u8] = b"And the king said\n";
    let what = "updating a storyteller on";
    if !slow(what) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let models = [2, 1].map(|layers| storyteller_of(layers, folder.path()));
    let Some(board) = WithSlots::build_with("nrf52840-dk", 0, what, App::Storyteller, &models[0]) else { return };
    let stories = models.each_ref().map(|path| story(path, PROMPT, Settings::DEMO.seed));
    assert!(stories[0] != stories[1]);
    board.takes_what_is_pushed(&models[1], PROMPT, stories);
}

/// The first layers of the storyteller's model, with weights of 2 bits: it tells nonsense, in few bytes. A file in `to`.
fn storyteller_of(layers: usize, to: &Path) -> PathBuf {
    let source = root().join("models/storyteller/hf");
    let mut network = folder::read(&source).expect("the model that is shipped");
    network.layers.truncate(layers);
    let section = tokenizer::read(&source.join("tokenizer.json"), Some(1), Some(2)).expect("its tokenizer");
    let context = network.architecture.context;
    let options = lm::convert::Options {
        weights: lm::quantize::Width { bits: 2, group: 32 },
        widths: Vec::new(),
        rounding: Rounding::Nearest,
        layout: Layout { activations: 16, context, sinks: None, prefill: 8, verify: 0 },
        metadata: Vec::new(),
        tokenizer: section.to_vec(),
        debug_names: false,
    };
    let file = lm::convert::convert(&network, &[], &options, &|| {}).expect("it converts").file;
    let path = to.join(format!("storyteller-{layers}.teff"));
    fs::write(&path, &file[..]).expect("a file");
    path
}

/// Here the firmware marks the model through functions of the boot ROM, while which nothing may come from the flash:
/// `tests/emulators/rp2040.mjs` sees to it.
#[test]
fn a_model_in_a_slot_runs_on_the_rp2040() {
    let Some(board) = WithSlots::build("rp2040", 0x1000_0000, "a model in a slot") else { return };
    board.runs_what_is_signed();
}

#[test]
fn a_model_is_pushed_to_the_rp2040_while_it_runs() {
    let Some(board) = WithSlots::build("rp2040", 0x1000_0000, "pushing a model to") else { return };
    let (image, outputs) = one_image();
    board.takes_what_is_pushed(&fashion(), &image, outputs);
}

/// An emulated board with a firmware that runs the models of its slots.
struct WithSlots {
    board: &'static Board,
    slots: Slots,
    /// Where they begin in the flash.
    offset: usize,
    firmware: Elf,
}

impl WithSlots {
    /// The key that the firmware trusts.
    const KEY: [u8; 32] = [5; 32];

    /// A board whose flash begins at `flash`; none, with a word of why, where it cannot be had.
    fn build(name: &str, flash: usize, what: &str) -> Option<Self> {
        Self::build_with(name, flash, what, App::Digits, &model())
    }

    /// As [`WithSlots::build`], with another application and its model.
    fn build_with(name: &str, flash: usize, what: &str, app: App, model: &Path) -> Option<Self> {
        let (what, board) = (format!("{what} {name}"), board(name));
        if !slow(&what) || !available(&what, board::availability(board)) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key.pub");
        fs::write(&key, update::key::public_text(&SigningKey::from_bytes(&Self::KEY))).expect("a file");
        let hardware = board::hardware_by_name(name).expect("it is in the table");
        let firmware =
            board::build_hardware(hardware, app, model, Kind::Slots(&key)).unwrap_or_else(|error| panic!("{error:#}"));
        let slots = hardware.slots.expect("it has slots");
        Some(Self { board, slots, offset: slots.address as usize - flash, firmware })
    }

    fn run(&self, slots: &[u8], input: &[u8]) -> BoardRun {
        let input: Vec<i8> = input.iter().map(|byte| byte.cast_signed()).collect();
        board::run_with_flash(self.board, &self.firmware, self.offset, slots, &input)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The board verifies the signature of a model in its slots, runs its self-test, marks it and runs it, in place of the
    /// firmware's own.
    fn runs_what_is_signed(&self) {
        let signing = SigningKey::from_bytes(&Self::KEY);
        let (image, [own, other]) = one_image();
        let slots = update::image(&signed(&fashion(), 7, &signing), &signing.verifying_key().to_bytes(), self.slots);
        let run = self.run(&slots.expect("it fits"), &image);
        assert!(run.log.iter().any(|line| line == "INFO model slots: version 7"), "{}", run.log.join("\n"));
        assert_same(self.board.name, &run.outputs, &as_i8(&other));

        // One that another key signed is left alone.
        let stranger = SigningKey::from_bytes(&[6; 32]);
        let slots = update::image(&signed(&fashion(), 8, &stranger), &stranger.verifying_key().to_bytes(), self.slots);
        let run = self.run(&slots.expect("it fits"), &image);
        assert_same(self.board.name, &run.outputs, &as_i8(&own));
    }

    /// Between two inputs the model in the file `pushed` comes over the same line and runs from then on; one that is not newer is
    /// refused, and the board goes on. The outputs for `once`, an input, are those of the firmware's own model and of the other.
    fn takes_what_is_pushed(&self, pushed: &Path, once: &[u8], [own, other]: [Vec<u8>; 2]) {
        let signing = SigningKey::from_bytes(&Self::KEY);
        let (mut input, mut expected) = (once.to_vec(), own);
        let len = self.slots.len as usize;
        let mut recorder = Recorder::new(len, &signing.verifying_key().to_bytes()).expect("two slots");
        for (version, accepted) in [(7, true), (6, false)] {
            let outcome = update::push(&mut recorder, &signed(pushed, version, &signing), Patience::default(), |_| {});
            assert_eq!(outcome.is_ok(), accepted, "{outcome:?}");
            let (sent, answers) = recorder.drain();
            input.extend(sent.iter().chain(once));
            expected.extend(answers.iter().chain(&other));
        }
        let run = self.run(&vec![0xFF; len], &input);
        let log = run.log.join("\n");
        assert!(log.contains("INFO model slots: version 7"), "{log}");
        assert!(log.contains("INFO model slots: an update was refused: version 7 has run there"), "{log}");
        assert!(
            run.outputs == as_i8(&expected),
            "{}: not the answers and outputs of this machine\n{log}",
            self.board.name
        );
    }
}

/// Another model than the firmware's, with the same operators.
fn fashion() -> PathBuf {
    root().join("models/lightcnn-fashion/model.teff")
}

fn signed(model: &Path, version: u32, key: &SigningKey) -> Vec<u8> {
    update::sign(&fs::read(model).expect("a model"), version, key).expect("it is signed")
}

/// An image, and what the firmware's own model and the other one give for it.
fn one_image() -> (Vec<u8>, [Vec<u8>; 2]) {
    let bytes = |values: &[i8]| values.iter().map(|value| value.cast_unsigned()).collect::<Vec<u8>>();
    let outputs = [model(), fashion()].map(|path| bytes(&workload_of(&path).1[..CLASSES]));
    (bytes(&workload().0[..PIXELS]), outputs)
}

fn as_i8(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

/// Frames come over the serial line and outputs go back on it, on each memory map of the MPS2 and MPS3 boards and on the micro:bit.
#[test]
fn frames_come_over_the_serial_line() {
    let (frames, expected) = workload();
    let frames: Vec<u8> = frames.into_iter().map(i8::cast_unsigned).collect();
    let programs = [
        ("mps2-an386", "teff-mps2-digits-uart"),
        ("mps2-an505", "teff-mps2-digits-uart"),
        ("mps3-an547", "teff-mps2-digits-uart"),
        // The firmware as it is flashed: QEMU has this board's serial port.
        ("microbit", "teff-microbit"),
    ];
    for (name, program) in programs {
        let board = board(name);
        if !available(&format!("frames over the serial line of {name}"), board::availability(board)) {
            continue;
        }
        let program = board::build_binary(board, program, &model()).expect("it builds");
        let (folder, mut emulator) = with_serial_line(board, &program, &[]);
        let found = connect(&folder.path().join("line")).and_then(|mut line| {
            line.set_read_timeout(Some(Duration::from_secs(120)))?;
            let mut found = vec![0; expected.len()];
            for (frame, output) in frames.chunks(PIXELS).zip(found.chunks_mut(CLASSES)) {
                line.write_all(frame)?;
                line.read_exact(output)?;
            }
            Ok(found)
        });
        // It waits for the next frame, for ever.
        emulator.kill().expect("the emulator can be stopped");
        emulator.wait().expect("it has ended");
        let found = found.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_same(name, &found.into_iter().map(u8::cast_signed).collect::<Vec<_>>(), &expected);
    }
}

/// Starts `program` with its serial line at the socket `line` in a new folder; there too it finds `frames` as frames.bin and
/// writes outputs.bin, if it wants.
fn with_serial_line(board: &Board, program: &Elf, frames: &[i8]) -> (TempDir, Child) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file can be written");
    write("firmware.elf", program.bytes());
    write("frames.bin", &frames.iter().map(|value| value.cast_unsigned()).collect::<Vec<_>>());
    let emulator = board
        .emulator
        .command()
        .expect("the repository is here")
        .current_dir(folder.path())
        .args(["-nographic", "-monitor", "none", "-no-reboot", "-serial", "unix:line,server=on,wait=on"])
        .args(["-semihosting-config", "enable=on,target=native,arg=frames.bin,arg=outputs.bin"])
        .args(["-kernel", "firmware.elf"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the emulator starts");
    (folder, emulator)
}

/// The emulator's end of the serial line, as soon as it is there.
fn connect(path: &Path) -> anyhow::Result<UnixStream> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match UnixStream::connect(path) {
            Ok(line) => {
                line.set_read_timeout(Some(Duration::from_millis(50)))?;
                return Ok(line);
            }
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The case with int8 and with int16 activations.
fn both_widths(case: &Case) -> [(String, AlignedBytes); 2] {
    [Width::Int8, Width::Int16].map(|activations| {
        let options =
            convert::Options { activations, keep_int16: case.keep_int16.clone(), ..convert::Options::default() };
        let converted = convert::convert(&case.graph, &case.samples, &options, &|| {});
        (format!("{} in {activations:?}", case.name), converted.expect("the case converts").file)
    })
}

#[test]
fn a_file_that_is_no_model_stops_the_build_with_the_reason() {
    let board = board("mps2-an386");
    if !available("the refusal of a bad model", board::availability(board)) {
        return;
    }
    let file = std::env::temp_dir().join(format!("teff-no-model-{}.teff", std::process::id()));
    fs::write(&file, b"not a model").expect("a file can be written");
    let error = board::build(board, &file).expect_err("no firmware without a model");
    fs::remove_file(&file).expect("the file can be removed");
    let message = format!("{error:#}");
    assert!(message.contains("cannot build the firmware for mps2-an386"), "{message}");
    assert!(message.contains("error: teff-mps2@"), "{message}");
}

/// Builds, runs, and checks outputs, log, operators and budgets.
fn on_board(name: &str) {
    let board = board(name);
    if !available(name, board::availability(board)) {
        return;
    }
    let (mut frames, mut expected) = workload();
    // A firmware that reads a file sees its end; on a serial line it waits for the next frame.
    let (images, ends) = match board.emulator {
        Emulator::Qemu { .. } => (IMAGES, true),
        Emulator::Script { .. } => (FEW_IMAGES, false),
    };
    frames.truncate(PIXELS * images);
    expected.truncate(CLASSES * images);
    let firmware = board::build(board, &model()).unwrap_or_else(|error| panic!("{error:#}"));
    let run = board::run(board, &firmware, &frames).unwrap_or_else(|error| panic!("{error:#}"));
    assert_same(name, &run.outputs, &expected);

    let last = format!("INFO {images} frames, output CRC-32 {:08x}", crc(&expected));
    assert_eq!(run.log.contains(&last), ends, "{name}: {last:?} in the log\n{}", run.log.join("\n"));
    golden_log(if ends { "board-lightcnn-mnist.log" } else { "board-serial-lightcnn-mnist.log" }, &run.log);

    let size = firmware.size().expect("the firmware is intact");
    let instructions = run.instructions.expect("this emulator counts");
    assert_eq!(instructions.intervals(), images, "{name}: an interval an image");
    let stack = run.log.iter().find_map(|line| stack(line));
    assert!(size.flash <= board.flash && size.ram + stack.unwrap_or(0) <= board.ram, "{name}: {size:?}");
    let mut figures = vec![("flash", size.flash), ("ram", size.ram), ("instructions", instructions.mean())];
    figures.extend(stack.map(|bytes| ("stack", bytes)));
    budget::check(&format!("lightcnn-mnist.{name}"), &figures);
    links_no_other_operators(name, &firmware);
}

/// The bytes in the log line `DEBUG stack: N of M bytes used`.
fn stack(line: &str) -> Option<u64> {
    line.strip_prefix("DEBUG stack: ")?.split(' ').next()?.parse().ok()
}

fn board(name: &str) -> &'static Board {
    board::by_name(name).expect("it is in the table")
}

fn model() -> PathBuf {
    root().join("models/lightcnn-mnist/model.teff")
}

/// The first test images as the model wants them, and the outputs that this machine computes for them.
fn workload() -> (Vec<i8>, Vec<i8>) {
    workload_of(&model())
}

/// [`workload`] of the model at `path`, which takes the same images.
fn workload_of(path: &Path) -> (Vec<i8>, Vec<i8>) {
    let file = AlignedBytes::from(fs::read(path).expect("the model is there").as_slice());
    let path = root().join("models/lightcnn-mnist/test-300.npz");
    let mut archive = NpzReader::new(File::open(path).expect("the images are there")).expect("an npz file");
    let images: Array4<u8> = archive.by_name("x.npy").expect("images");
    let model = Model::verify(&file).expect("the model is valid");
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory).expect("the memory is large enough");
    let (mut frames, mut outputs) = (Vec::new(), Vec::new());
    for image in images.outer_iter().take(IMAGES) {
        // Pixels 0 to 255 are int8 with zero point −128; one channel, so that the layouts agree.
        let frame: Vec<i8> = image.iter().map(|&pixel| (pixel ^ 0x80).cast_signed()).collect();
        session.input_i8(0).expect("an int8 input").copy_from_slice(&frame);
        session.run().expect("the model runs");
        outputs.extend_from_slice(session.output_i8(0).expect("an int8 output"));
        frames.extend(frame);
    }
    (frames, outputs)
}

fn crc(outputs: &[i8]) -> u32 {
    crc32(&outputs.iter().map(|&value| value.cast_unsigned()).collect::<Vec<_>>())
}

/// That all bytes are the same; names the first image of which they are not.
fn assert_same(place: &str, found: &[i8], expected: &[i8]) {
    assert_eq!(found.len(), expected.len(), "{place}: bytes of output");
    for (image, (found, expected)) in found.chunks(CLASSES).zip(expected.chunks(CLASSES)).enumerate() {
        assert_eq!(found, expected, "{place}, image {image}: not the bits of this machine");
    }
}

/// A firmware pays only for the operators that its model uses.
fn links_no_other_operators(name: &str, firmware: &Elf) {
    let file = AlignedBytes::from(fs::read(model()).expect("the model is there").as_slice());
    let model = Model::verify(&file).expect("the model is valid");
    let symbols = firmware.symbols().expect("the firmware is intact");
    for op in teff::ops::ALL {
        // The entry in the table of operators, `teff::ops::NAME`, as the compiler writes it: lengths before names.
        let entry = format!("4teff3ops{}{}", op.name.len(), op.name.to_uppercase());
        let used = model.steps().any(|step| step.op.id == op.id);
        assert_eq!(symbols.iter().any(|symbol| symbol.contains(&entry)), used, "{name}: operator {}", op.name);
    }
}
