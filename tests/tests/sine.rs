//! The sine model: how near it is to the sine, and the smallest firmware, which answers with the bits of this machine.

use std::f32::consts::TAU;
use std::fs::{self, File};
use std::path::PathBuf;

use ndarray::{Array2, arr2};
use ndarray_npy::NpzReader;
use teff_tests::run::run;
use teff_tests::{available, budget, root};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board::{self, bench};
use teff_tools::ir::eval::eval;
use teff_tools::{import, passes};

/// Most bytes of flash that two small dense layers may take on a Cortex-M4, the model, the runtime and the program around them.
const MOST_FLASH: u64 = 6 << 10;
/// The binary of `firmware/bench` that reads values and writes results.
const BINARY: &str = "teff-bench-value";

fn folder() -> PathBuf {
    root().join("models/sine")
}

fn model() -> AlignedBytes {
    AlignedBytes::from(fs::read(folder().join("model.teff")).expect("it is shipped").as_slice())
}

/// The largest error over a turn in 1,000 angles, and the root mean square of the errors.
fn errors(mut answer: impl FnMut(f32) -> f32) -> [f32; 2] {
    let errors: Vec<f32> = (0..1000).map(|i| i as f32 * TAU / 999.0).map(|angle| answer(angle) - angle.sin()).collect();
    let square: f32 = errors.iter().map(|e| e * e).sum();
    [errors.iter().fold(0.0, |most: f32, e| most.max(e.abs())), (square / errors.len() as f32).sqrt()]
}

/// The figures of the card.
#[test]
fn the_fixed_point_model_is_as_near_to_the_sine_as_its_output_allows() {
    let mut graph = import::load(folder().join("model.onnx"), &import::Options::default()).expect("it is read");
    passes::run(&mut graph).expect("the passes run");
    let file = model();
    let of = |angle: f32| arr2(&[[angle]]).into_dyn();
    let card = fs::read_to_string(folder().join("README.md")).expect("a card");
    let float = errors(|angle| eval(&graph, &[of(angle)]).expect("it is evaluated")[0][[0, 0]]);
    let int8 = errors(|angle| run(&file, &[of(angle)]).expect("it runs")[0][[0, 0]]);
    for (name, [largest, mean]) in [("float", float), ("int8", int8)] {
        let line = format!("| {name} | {largest:.4} | {mean:.4} |");
        assert!(card.contains(&line), "the card lacks {line}");
    }
    // The output's step is 1/126, and the angle's 1/41.
    assert!(int8[0] <= 0.05 && int8[1] <= 2.0 * float[1].max(1.0 / 126.0), "{int8:?}");
    let calibration: Array2<f32> =
        NpzReader::new(File::open(folder().join("calibration.npz")).unwrap()).unwrap().by_name("angle").unwrap();
    assert_eq!(calibration.dim(), (200, 1));
}

/// Builds the firmware for a machine, and lets it answer all 256 values of the input.
fn answers_on(machine: &str) -> Option<u64> {
    let machine = bench::by_name(machine).expect("it is in the table");
    if !available(machine.name, board::availability(machine)) {
        return None;
    }
    let firmware = board::build_binary(machine, BINARY, &folder().join("model.teff")).expect("the firmware builds");
    let values: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let found = board::run_binary(machine, &firmware, &values).expect("the firmware answers");
    let file = model();
    let model = teff::Model::verify(&file).expect("the model is valid");
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = teff::Session::new(&model, &mut memory).expect("the memory is large enough");
    let expected: Vec<i8> = values
        .iter()
        .map(|&value| {
            session.input_i8(0).expect("an input")[0] = value;
            session.run().expect("the model runs");
            session.output_i8(0).expect("an output")[0]
        })
        .collect();
    assert!(expected.iter().max() > Some(&100) && expected.iter().min() < Some(&-100), "it goes up and down");
    assert_eq!(found.outputs, Some(expected), "{}", machine.name);
    let size = firmware.size().expect("it has sections");
    budget::check(&format!("sine.{}", machine.name), &[("flash", size.flash), ("ram", size.ram)]);
    Some(size.flash)
}

#[test]
fn cortex_m4_needs_6_kb_of_flash_in_all() {
    let Some(flash) = answers_on("mps2-an386") else { return };
    assert!(flash <= MOST_FLASH, "{flash} bytes");
}

#[test]
fn cortex_m0() {
    answers_on("mps2-an385-m0");
}

#[test]
fn rv32imc() {
    answers_on("riscv-virt-imc");
}
