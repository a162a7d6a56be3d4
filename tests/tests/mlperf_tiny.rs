//! The five models of MLPerf Tiny on emulated cores, operator by operator, within the budgets of `tests/budgets.toml`.
//!
//! The models lie beside the repository, in `../shared`, and are converted here from their float form, calibrated on their
//! stored inputs, and some as they were quantized for TensorFlow Lite; where they do not lie there, these tests say so. The bits are checked too: the firmware compares each
//! step with this machine.

use std::fs::{self, File};
use std::path::Path;

use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use teff::{Model, Session};
use teff_tests::{available, budget};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board::{self, bench, linux};
use teff_tools::convert::{Options, convert};
use teff_tools::{import, passes};

/// Key, and name of the model.
const MODELS: [(&str, &str); 8] = [
    ("kws", "kws_ref_model_float32"),
    ("vww", "vww_96_float32"),
    ("ic", "pretrainedResnet_float32"),
    ("ad", "ad01_float32"),
    ("sww", "str_ww_ref_model_float32"),
    ("vww-int8", "vww_96_int8_qdq"),
    ("ic-int8", "pretrainedResnet_int8_qdq"),
    ("sww-int8", "str_ww_ref_model_int8_qdq"),
];

/// The model as the converter makes it.
fn converted(folder: &Path, key: &str, name: &str) -> AlignedBytes {
    let path = folder.join(format!("{name}.onnx"));
    let mut graph = import::load(&path, &import::Options::default()).expect("the model is read");
    passes::run(&mut graph).expect("the passes run");
    if key.ends_with("-int8") {
        let nothing: Vec<Vec<ArrayD<f32>>> = Vec::new();
        return convert(&graph, &nothing, &Options::default(), &|| {}).expect("the model converts").file;
    }
    let mut npz = NpzReader::new(File::open(folder.join(format!("{key}_io.npz"))).expect("inputs")).expect("an npz");
    let x: ArrayD<f32> = npz.by_name("x_f32").expect("inputs of float32");
    let to_device = |x: ArrayD<f32>| match &graph.inputs[0].perm {
        Some(perm) => x.permuted_axes(perm.as_slice()).as_standard_layout().into_owned(),
        None => x,
    };
    let samples: Vec<Vec<ArrayD<f32>>> =
        x.outer_iter().map(|x| vec![to_device(x.to_owned().insert_axis(Axis(0)))]).collect();
    convert(&graph, &samples, &Options::default(), &|| {}).expect("the model converts").file
}

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

/// Every model where most of the kernels are.
#[test]
fn cortex_m4() {
    within_budgets("mps2-an386", &["kws", "vww", "ic", "ad", "sww", "vww-int8", "ic-int8", "sww-int8"]);
}

// A firmware is built for each figure: one or two models show the others.

#[test]
fn cortex_m0() {
    within_budgets("mps2-an385-m0", &["kws", "ad", "vww-int8"]);
}

#[test]
fn cortex_m55() {
    within_budgets("mps3-an547", &["kws", "vww", "ic", "ad", "sww"]);
}

#[test]
fn rv32imc() {
    within_budgets("riscv-virt-imc", &["kws", "ad", "vww-int8"]);
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
