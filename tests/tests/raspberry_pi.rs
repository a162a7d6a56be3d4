//! The Raspberry Pi: the suites of the kernels, the program's package, and the program itself, under qemu-aarch64.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{slice, thread};

use teff::{Model, Session};
use teff_app::digits::Embedded;
use teff_app::vibration::sensor::Recording;
use teff_app::vibration::spectrum::BandEnergies;
use teff_app::{Unconnected, keyword, storyteller, vibration};
use teff_tests::mlperf::{MODELS, converted};
use teff_tests::{available, root, slow};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board::{self, linux};
use teff_tools::compare::{Serial, compare};
use teff_tools::deploy::{self, Step};
use teff_tools::line;
use teff_tools::report::ModelReport;

const FRAMES: usize = 20;

/// Every kernel gives the bits of its reference on each processor, and is the one that the processor is fastest with.
#[test]
fn the_suites_of_the_kernels() {
    let what = "the suites of the kernels on 64-bit Arm";
    if !slow(what) || !available(what, linux::availability()) {
        return;
    }
    let program = linux::build_tests().unwrap_or_else(|error| panic!("{error:#}"));
    // Attention is plain code here, and takes as long as all others.
    let arguments = ["kernels::", "arch::", "--skip", "kernels::attention::"];
    let (program, arguments) = (&program, &arguments);
    thread::scope(|scope| {
        for cpu in linux::CPUS {
            scope.spawn(move || {
                let report = linux::run_program(cpu, program, arguments).unwrap_or_else(|error| panic!("{error:#}"));
                for suite in ["conv::tests::native_s8", "linear::tests::native_s8", "arch::aarch64::tests"] {
                    let passed = |line: &str| line.contains(suite) && line.ends_with("... ok");
                    assert!(report.lines().any(passed), "{cpu}: no {suite} in\n{report}");
                }
            });
        }
    });
}

#[test]
fn the_program_and_its_package() {
    if !slow("the program for the Raspberry Pi") {
        return;
    }
    let steps = deploy::package_steps(&repository());
    // It runs under an emulator here, which `teff deploy` does not need.
    let missing = deploy::missing(&steps).into_iter().chain(linux::availability().err()).collect::<Vec<_>>().join("; ");
    if !available("the program for the Raspberry Pi", if missing.is_empty() { Ok(()) } else { Err(missing) }) {
        return;
    }
    fs::create_dir_all(deploy::package_path(&repository()).parent().expect("it has one")).expect("a folder");
    steps.iter().try_for_each(Step::run).unwrap_or_else(|error| panic!("{error:#}"));
    let folder = tempfile::tempdir().expect("a folder");
    let program = the_package_is_complete(folder.path());
    frames_give_the_bits_of_this_machine(&program, folder.path());
    every_application_gives_the_bits_of_this_machine(&program, folder.path());
    threads_give_the_bits_of_one(&program, folder.path());
    a_pc_compares_step_by_step(&program);
    what_is_wrong_is_said(&program);
}

/// Unpacks it to `folder`; gives the program that is in it.
fn the_package_is_complete(folder: &Path) -> PathBuf {
    let package = deploy::package_path(&repository());
    let dpkg = |arguments: &[&str]| {
        let output = Command::new("dpkg-deb").args(arguments).arg(&package).output().expect("dpkg-deb is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let field = |name: &str| {
        let output = Command::new("dpkg-deb").arg("--field").arg(&package).arg(name).output().expect("dpkg-deb runs");
        String::from_utf8(output.stdout).expect("text").trim().to_string()
    };
    assert_eq!(
        (field("Package"), field("Architecture"), field("Depends")),
        ("teff-pi".into(), "arm64".into(), "".into())
    );
    let contents = dpkg(&["--contents"]);
    for (mode, path) in [
        ("-rwxr-xr-x", "./usr/bin/teff-pi"),
        ("-rw-r--r--", "./usr/lib/systemd/system/teff-pi.service"),
        ("-rw-r--r--", "./etc/teff/teff-pi.toml"),
        ("-rw-r--r--", "./usr/share/teff/model.teff"),
    ] {
        let found = contents.lines().any(|line| line.starts_with(mode) && line.ends_with(path));
        assert!(found, "{mode} {path} is not in\n{contents}");
    }
    let unpacked = Command::new("dpkg-deb").arg("--raw-extract").arg(&package).arg(folder).status();
    assert!(unpacked.expect("dpkg-deb runs").success());
    let control = fs::read_to_string(folder.join("DEBIAN/conffiles")).expect("the list of configuration files");
    assert_eq!(control.trim(), "/etc/teff/teff-pi.toml");
    let unit = fs::read_to_string(folder.join("usr/lib/systemd/system/teff-pi.service")).expect("the unit");
    assert!(unit.contains("ExecStart=/usr/bin/teff-pi --config /etc/teff/teff-pi.toml run"), "{unit}");
    assert_eq!(fs::read(folder.join("usr/share/teff/model.teff")).ok(), fs::read(model_path()).ok());
    folder.join("usr/bin/teff-pi")
}

fn frames_give_the_bits_of_this_machine(program: &Path, folder: &Path) {
    let (frames, expected) = workload();
    fs::write(folder.join("frames.bin"), &frames).expect("a file");
    let config = "application = \"digits\"\nmodels = [\"missing.teff\", \"usr/share/teff/model.teff\"]\n\
                  frames = \"frames.bin\"\nresults = \"results.bin\"\n";
    fs::write(folder.join("config.toml"), config).expect("a file");
    for cpu in linux::CPUS {
        let output = emulator(cpu, program).args(["--config", "config.toml", "run"]).current_dir(folder).output();
        let output = output.expect("the emulator runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{cpu}: {said}");
        assert!(
            fs::read(folder.join("results.bin")).expect("results") == expected,
            "{cpu}: not the bits of this machine"
        );
        assert!(said.contains("not run: cannot read the model missing.teff"), "{said}");
        let chosen = if cpu == "cortex-a76" { "NEON with SDOT" } else { "NEON" };
        assert!(said.contains(&format!("every step as on the PC, by {chosen}\n")), "{said}");
        let last = format!("{FRAMES} frames, output CRC-32 {:08x}", teff::crc32(&expected));
        assert!(said.trim_end().ends_with(&last), "{said}");
    }
    // Through pipes, and as text.
    let mut child = emulator(linux::CPUS[0], program);
    let model = model_path();
    child.args(["digits", "--format", "text", "--model"]).arg(&model).current_dir(folder);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(&frames).expect("it reads");
    let text = String::from_utf8(child.wait_with_output().expect("it ends").stdout).expect("text");
    let highest = |output: &[u8]| {
        let values: Vec<i8> = output.iter().map(|&byte| byte.cast_signed()).collect();
        let best = *values.iter().max().expect("ten of them");
        values.iter().position(|&value| value == best).expect("it is there")
    };
    let found: Vec<usize> = text.lines().map(|line| line[..1].parse().expect("a digit")).collect();
    assert_eq!(found, expected.chunks(10).map(highest).collect::<Vec<_>>());
}

/// Sound, a recording of an accelerometer, and prompts: as the applications themselves answer them here.
fn every_application_gives_the_bits_of_this_machine(program: &Path, folder: &Path) {
    let noise: Vec<u8> = workload().0.into_iter().cycle().take(2 * 16_000 * 3).collect();
    let recording: Vec<u8> = noise.iter().copied().cycle().take(6 * 2048 * 24).collect();
    let prompts = b"And the king said\n".to_vec();
    type Application = fn(Embedded, &mut [u8], &[u8], &mut &mut [u8]) -> bool;
    let applications: [(&str, &str, Vec<u8>, Application); 3] = [
        ("keyword", "models/keyword/streaming.teff", noise, |embedded, memory, sound, results| {
            let board = keyword::Board { sound, results, heard: Unconnected };
            keyword::run(embedded, memory, board).is_ok()
        }),
        ("vibration", "models/vibration/model.teff", recording, |embedded, memory, recording, results| {
            let board =
                vibration::Board { sensor: Recording(recording), results, level: Unconnected, alarm: Unconnected };
            vibration::run(embedded, memory, &mut BandEnergies::new(), board).is_ok()
        }),
        ("storyteller", "models/storyteller/model.teff", prompts, |embedded, memory, prompts, text| {
            storyteller::run(embedded, memory, storyteller::Settings::DEMO, prompts, text).is_ok()
        }),
    ];
    for (name, model, input, application) in applications {
        let path = fs::canonicalize(root().join(model)).expect("the shipped model");
        let file = AlignedBytes::from(fs::read(&path).expect("the shipped model").as_slice());
        // For the rest of the test: applications want a model that is embedded.
        let file: &'static AlignedBytes = Box::leak(Box::new(file));
        let mut memory = AlignedBytes::zeroed(Model::verify(file).expect("it is valid").memory_len());
        let mut expected = vec![0; 1 << 16];
        let mut rest = expected.as_mut_slice();
        let embedded = Embedded { model: file, ops: teff::ops::ALL };
        assert!(application(embedded, &mut memory, &input, &mut rest), "{name} here");
        let left = rest.len();
        expected.truncate(expected.len() - left);
        assert!(!expected.is_empty(), "{name} says nothing");
        fs::write(folder.join("input.bin"), &input).expect("a file");
        let mut emulator = emulator(linux::CPUS[1], program);
        emulator.args([name, "--frames", "input.bin", "--results", "results.bin", "--model"]).arg(&path);
        let output = emulator.current_dir(folder).output().expect("the emulator runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let found = fs::read(folder.join("results.bin")).expect("results");
        assert!(found == expected, "{name}: not the bits of this machine");
    }
}

/// With a model that has steps large enough to be split.
fn threads_give_the_bits_of_one(program: &Path, folder: &Path) {
    let Some(models) = teff_tests::shared("mlperf-tiny") else { return };
    let (key, name) = MODELS.into_iter().find(|(key, _)| *key == "ic-int8").expect("it is in the table");
    let file = converted(&models, key, name);
    let model = Model::verify(&file).expect("it is valid");
    // A thread is given 2^19 products or more.
    let in_four = ModelReport::new(&model).steps.iter().filter(|step| step.macs >= 4 << 19).count();
    assert!(in_four >= 3, "{in_four} steps of {name} are split over four threads");
    fs::write(folder.join("large.teff"), &file[..]).expect("a file");
    let (frames, expected) = workload_of(&model, 3);
    fs::write(folder.join("frames.bin"), frames).expect("a file");
    for threads in ["1", "4"] {
        let mut emulator = emulator(linux::CPUS[2], program);
        emulator.args(["digits", "--model", "large.teff", "--frames", "frames.bin", "--results", "results.bin"]);
        let output = emulator.args(["--threads", threads]).current_dir(folder).output().expect("the emulator runs");
        assert!(output.status.success(), "{threads} threads: {}", String::from_utf8_lossy(&output.stderr));
        let found = fs::read(folder.join("results.bin")).expect("results");
        assert!(found == expected, "{threads} threads: not the bits of one thread of this machine");
    }
}

fn a_pc_compares_step_by_step(program: &Path) {
    let mut served = emulator(linux::CPUS[1], program);
    served.args(["compare", "--line", "tcp:127.0.0.1:0", "--model"]).arg(model_path());
    let served = served.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut served = Stopped(served.expect("the emulator starts"));
    let mut messages = BufReader::new(served.0.stderr.take().expect("a pipe"));
    let address = messages.by_ref().lines().find_map(|line| {
        let line = line.expect("text");
        line.strip_prefix("waiting for a connection on ").map(str::to_string)
    });
    let mut line = line::open(&format!("tcp:{}", address.expect("an address")), 0).expect("it listens");
    let file = AlignedBytes::from(fs::read(model_path()).expect("the shipped model").as_slice());
    let model = Model::verify(&file).expect("it is valid");
    let input = workload().0[..784].to_vec();
    let mut device = Serial::new(&mut *line, indicatif::ProgressBar::hidden());
    let comparison = compare(&model, slice::from_ref(&input), &mut device).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!((comparison.steps, comparison.difference), (model.step_count(), None));
}

fn what_is_wrong_is_said(program: &Path) {
    let why = |arguments: &[&str]| {
        let output = emulator(linux::CPUS[0], program).args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("the emulator runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let model = model_path();
    let model = model.to_str().expect("text");
    assert!(why(&["digits"]).contains("no model is named"));
    let camera = why(&["digits", "--model", model, "--frames", "camera:/dev/video-none"]);
    assert!(camera.contains("there is no camera at /dev/video-none"), "{camera}");
    let text = repository().join("README.md");
    let refused = why(&["check", text.to_str().expect("text")]);
    assert!(refused.contains("README.md is not valid"), "{refused}");
}

/// A process that does not outlive the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn emulator(cpu: &str, program: &Path) -> Command {
    let mut emulator = Command::new("qemu-aarch64");
    emulator.args(["-cpu", cpu]).arg(program);
    emulator
}

fn repository() -> PathBuf {
    board::repository().expect("the tests are in it")
}

fn model_path() -> PathBuf {
    fs::canonicalize(root().join("models/lightcnn-mnist/model.teff")).expect("the shipped model")
}

/// Frames of noise, and the outputs that this machine computes for them with the shipped model.
fn workload() -> (Vec<u8>, Vec<u8>) {
    let file = AlignedBytes::from(fs::read(model_path()).expect("the shipped model").as_slice());
    workload_of(&Model::verify(&file).expect("it is valid"), FRAMES)
}

/// As [`workload`], with another model.
fn workload_of(model: &Model<'_>, count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(model, &mut memory).expect("the memory is large enough");
    let mut seed = 1_u32;
    let (mut frames, mut outputs) = (Vec::new(), Vec::new());
    for _ in 0..count {
        for byte in session.input(0).expect("an input").iter_mut() {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = seed.to_be_bytes()[0];
            frames.push(*byte);
        }
        session.run().expect("it runs");
        outputs.extend_from_slice(session.output(0).expect("an output"));
    }
    (frames, outputs)
}
