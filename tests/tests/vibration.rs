//! The vibration model: how well it tells damaged machines from healthy ones, and the application on emulated boards.

use std::fs::{self, File};
use std::path::PathBuf;

use ndarray::{Array1, Array2, Axis};
use ndarray_npy::NpzReader;
use teff::Model;
use teff_app::Unconnected;
use teff_app::digits::Embedded;
use teff_app::vibration::sensor::Recording;
use teff_app::vibration::spectrum::{BandEnergies, SAMPLES};
use teff_app::vibration::{ALARM_AFTER, BASELINE, Board, run};
use teff_tests::run::run as run_model;
use teff_tests::{available, budget, root};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board;

fn folder() -> PathBuf {
    root().join("models/vibration")
}

fn archive(name: &str) -> NpzReader<File> {
    NpzReader::new(File::open(folder().join(name)).expect("it is shipped")).expect("an npz file")
}

fn model() -> AlignedBytes {
    AlignedBytes::from(fs::read(folder().join("model.teff")).expect("it is shipped").as_slice())
}

/// The area under the receiver operating characteristic: how often a damaged one scores higher than a healthy one.
fn auc(healthy: &[f32], damaged: &[f32]) -> f64 {
    let pairs = damaged.iter().flat_map(|d| healthy.iter().map(move |h| (d, h)));
    let won: f64 = pairs.map(|(d, h)| if d > h { 1.0 } else { f64::from(u8::from(d == h)) / 2.0 }).sum();
    won / (healthy.len() * damaged.len()) as f64
}

/// The figures of the card: 1,800 spectra of healthy machines and 1,350 of damaged ones that training never saw.
#[test]
fn the_fixed_point_model_tells_damage_as_well_as_float() {
    let mut test = archive("test.npz");
    let spectra: Array2<f32> = test.by_name("spectrum").expect("spectra");
    let severity: Array1<f64> = test.by_name("severity").expect("severities");
    let float: Array1<f32> = test.by_name("score").expect("scores of the float model");
    let file = model();
    let fixed: Vec<f32> = spectra
        .axis_iter(Axis(0))
        .map(|x| run_model(&file, &[x.insert_axis(Axis(0)).to_owned().into_dyn()]).expect("it runs")[0][[0, 0]])
        .collect();
    let of = |scores: &[f32], wanted: f64| -> Vec<f32> {
        scores.iter().zip(&severity).filter(|&(_, &s)| s == wanted).map(|(&score, _)| score).collect()
    };
    let float = float.to_vec();
    let card = fs::read_to_string(folder().join("README.md")).expect("a card");
    let alarms = |scores: &[f32]| scores.iter().filter(|&&score| score >= 1.0).count() as f64 / scores.len() as f64;
    let mut lines = vec![format!("{:.2} % of the healthy spectra", 100.0 * alarms(&of(&fixed, 0.0)))];
    for (name, wanted) in [("slight", 0.25), ("moderate", 0.5), ("strong", 1.0)] {
        let [float_auc, fixed_auc] =
            [&float, &fixed].map(|scores: &Vec<f32>| auc(&of(scores, 0.0), &of(scores, wanted)));
        assert!(fixed_auc >= float_auc - 0.002, "{name}: float {float_auc}, fixed point {fixed_auc}");
        let above = 100.0 * alarms(&of(&fixed, wanted));
        lines.push(format!("| {name} | {wanted:.2} | {float_auc:.3} | {fixed_auc:.3} | {above:.1} % |"));
    }
    let lacking: Vec<_> = lines.iter().filter(|line| !card.contains(*line)).collect();
    assert!(lacking.is_empty(), "the card lacks {lacking:#?}");
}

/// Samples of one machine, as the application reads them: 20 spectra of it well, 16 of which are the baseline, then 4 of
/// it damaged.
fn recording() -> Vec<u8> {
    let samples: Array2<i16> = archive("recording.npz").by_name("samples").expect("samples");
    assert_eq!(samples.dim(), ((BASELINE as usize + 8) * SAMPLES, 3));
    samples.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The scores that this machine gives the recording, as bytes.
fn expected(recording: &[u8]) -> Vec<u8> {
    let file: &'static AlignedBytes = Box::leak(Box::new(model()));
    let mut memory = AlignedBytes::zeroed(Model::verify(file).expect("it is valid").memory_len());
    let mut scores = vec![0; 8 * 2];
    let board =
        Board { sensor: Recording(recording), results: scores.as_mut_slice(), level: Unconnected, alarm: Unconnected };
    let embedded = Embedded { model: file, ops: teff::ops::ALL };
    let summary = run(embedded, &mut memory, &mut BandEnergies::new(), board).expect("it runs");
    assert_eq!(
        (summary.scores, summary.alarms),
        (8, 4 + 1 - ALARM_AFTER),
        "damage raises the alarm, nothing else does"
    );
    scores
}

#[test]
fn a_recorded_machine_has_the_same_scores_on_boards() {
    let recording = recording();
    let expected = expected(&recording);
    let recording: Vec<i8> = recording.into_iter().map(u8::cast_signed).collect();
    for name in ["mps2-an386", "riscv-virt-imac"] {
        let board = board::by_name(name).expect("it is in the table");
        if !available(&format!("vibration on {name}"), board::availability(board)) {
            continue;
        }
        let binary = format!("{}-vibration", board.binary);
        let firmware = board::build_binary(board, &binary, &folder().join("model.teff"));
        let firmware = firmware.unwrap_or_else(|error| panic!("{error:#}"));
        let run = board::run_binary(board, &firmware, &recording).unwrap_or_else(|error| panic!("{error:#}"));
        let found: Vec<u8> = run.outputs.expect("it writes scores").into_iter().map(i8::cast_unsigned).collect();
        assert!(found == expected, "{name}: not the bits of this machine");
        assert!(run.log.iter().any(|line| line == "INFO 8 scores, 3 alarms"), "{name}: {}", run.log.join("\n"));
        let size = firmware.size().expect("the firmware is intact");
        let instructions = run.instructions.expect("this QEMU takes plugins").mean();
        let figures = [("flash", size.flash), ("ram", size.ram), ("instructions", instructions)];
        budget::check(&format!("vibration.{name}"), &figures);
    }
}
