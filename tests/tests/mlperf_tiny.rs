//! The five models of MLPerf Tiny on emulated cores, operator by operator, within the budgets of `tests/budgets.toml`.
//!
//! The models lie beside the repository, in `../shared`; where they do not lie there, these tests say so. The bits are checked
//! too: the firmware compares each step with this machine.

use std::fs;

use teff::{Model, Session};
use teff_tests::mlperf::{MODELS, converted, within};
use teff_tests::{available, budget};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board::{self, bench, linux};

/// Measures the models `keys` on a machine.
fn within_budgets(machine: &str, keys: &[&str]) {
    let machine = bench::by_name(machine).expect("it is in the table");
    if !available(machine.name, board::availability(machine)) {
        return;
    }
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    let work = tempfile::tempdir().expect("a folder");
    for (key, name) in MODELS.into_iter().filter(|(key, _)| keys.contains(key)) {
        let file = converted(&folder, key, name);
        let path = work.path().join(format!("{key}.teff"));
        fs::write(&path, &file[..]).expect("it can be written");
        let report = bench::measure(machine, &path, &file).unwrap_or_else(|error| panic!("{key}: {error:#}"));
        let figures =
            [("instructions", report.instructions), ("code_flash", report.code_flash), ("arena", report.arena as u64)];
        budget::check(&format!("mlperf-tiny.{key}.{}", machine.name), &figures);
    }
}

/// The models as they were quantized for TensorFlow Lite, one of them as a stream too, and one in bands of rows.
const QUANTIZED: [&str; 7] = ["kws-int8", "vww-int8", "ic-int8", "ad-int8", "sww-int8", "sww-stream", "vww-32k"];

#[test]
fn cortex_m4() {
    within_budgets("mps2-an386", &[&["kws", "vww", "ic", "ad", "sww"], &QUANTIZED[..]].concat());
}

#[test]
fn cortex_m0() {
    within_budgets("mps2-an385-m0", &QUANTIZED);
}

#[test]
fn cortex_m55() {
    within_budgets("mps3-an547", &QUANTIZED);
}

#[test]
fn rv32imc() {
    within_budgets("riscv-virt-imc", &QUANTIZED);
}

/// The arena shrinks to the limit or the converter says that it cannot, and the outputs stay the same.
#[test]
fn a_smaller_arena_gives_the_same_bits() {
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    for (key, name) in MODELS.into_iter().filter(|(key, _)| ["kws", "vww", "ic", "sww", "vww-int8"].contains(key)) {
        let whole = converted(&folder, key, name);
        let whole = Model::verify(&whole).expect("it is sound");
        let expected = outputs(&whole);
        let mut smallest = whole.arena_len();
        let refusal = loop {
            let file = match within(&folder, key, name, Some(smallest - 1)) {
                Ok(file) => file,
                Err(error) => break format!("{error:#}"),
            };
            let model = Model::verify(&file).expect("it is sound");
            assert!(model.arena_len() < smallest, "{key}: {} bytes", model.arena_len());
            assert_eq!(outputs(&model), expected, "{key} in {} bytes", model.arena_len());
            smallest = model.arena_len();
        };
        teff_tests::note(&format!("{key}: {refusal}"));
        teff_tests::note(&format!("{key}: {} bytes of arena, {smallest} in bands of rows", whole.arena_len()));
        assert!(smallest <= if key.starts_with("vww") { 28_672 } else { whole.arena_len() }, "{key}: {smallest}");
    }
}

/// The outputs for a few inputs that are the same for every model of this shape.
fn outputs(model: &Model<'_>) -> Vec<Vec<u8>> {
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(model, &mut memory).expect("it fits");
    let mut run = |seed: usize| {
        let input = session.input(0).expect("an input");
        input.iter_mut().enumerate().for_each(|(i, x)| *x = ((i + seed).wrapping_mul(0x9E37_79B1) >> 24) as u8);
        session.run().expect("it runs");
        session.output(0).expect("an output").to_vec()
    };
    (0..3).map(&mut run).collect()
}

/// Every step gives the bits of one thread on any number of threads.
#[test]
fn on_threads_of_this_computer() {
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    let pools = [1, 2, 3, 8].map(|count| rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("threads"));
    for (key, name) in MODELS.into_iter().filter(|(key, _)| ["kws", "vww-int8", "ic", "ic-int8", "ad"].contains(key)) {
        let file = converted(&folder, key, name);
        let model = Model::verify(&file).expect("it is sound");
        for pool in &pools {
            let tested = pool.install(|| {
                teff::over_threads(|| {
                    let mut memory = AlignedBytes::zeroed(model.memory_len());
                    Session::new(&model, &mut memory).expect("it fits").self_test()
                })
            });
            assert_eq!(tested, Ok(()), "{key}, {} threads", pool.current_num_threads());
        }
    }
}

/// The outputs of this computer on the processors of the Raspberry Pi 3, 4 and 5, and every step as the self-test has it.
#[test]
fn on_a_raspberry_pi() {
    const FRAMES: usize = 2;
    if !teff_tests::available("MLPerf Tiny on 64-bit Arm", linux::availability()) {
        return;
    }
    let Some(folder) = teff_tests::shared("mlperf-tiny") else { return };
    let program = linux::build("frames").unwrap_or_else(|error| panic!("{error:#}"));
    let work = tempfile::tempdir().expect("a folder");
    for (key, name) in MODELS {
        let file = converted(&folder, key, name);
        let path = work.path().join(format!("{key}.teff"));
        fs::write(&path, &file[..]).expect("it can be written");
        let model = Model::verify(&file).expect("it is sound");
        let mut memory = AlignedBytes::zeroed(model.memory_len());
        let mut session = Session::new(&model, &mut memory).expect("it fits");
        let (mut frames, mut expected, mut seed) = (Vec::new(), Vec::new(), 1_u32);
        for _ in 0..FRAMES {
            for byte in session.input(0).expect("an input").iter_mut() {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = seed.to_be_bytes()[0];
                frames.push(byte.cast_signed());
            }
            session.run().expect("it runs");
            expected.extend(session.output(0).expect("an output").iter().map(|byte| byte.cast_signed()));
        }
        for cpu in linux::CPUS {
            let run = linux::run(cpu, &program, &path, &frames).unwrap_or_else(|error| panic!("{key}: {error:#}"));
            assert!(run.outputs == expected, "{key} on {cpu}: not the bits of this computer ({})", run.report);
            let chosen = if cpu == "cortex-a76" { "by NEON with SDOT" } else { "by NEON" };
            assert!(run.report.ends_with(chosen), "{cpu}: {}", run.report);
        }
    }
}
