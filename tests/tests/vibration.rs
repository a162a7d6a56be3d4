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
use teff_tests::{available, budget, golden_log, root};
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

/// The spectra of an archive: how severe the damage is, and the scores of the float and of the fixed-point model.
struct Scored {
    severity: Array1<f64>,
    float: Vec<f32>,
    fixed: Vec<f32>,
}

impl Scored {
    fn read(name: &str) -> Self {
        let mut archive = archive(name);
        let spectra: Array2<f32> = archive.by_name("spectrum").expect("spectra");
        let float: Array1<f32> = archive.by_name("score").expect("scores of the float model");
        let file = model();
        let fixed = spectra
            .axis_iter(Axis(0))
            .map(|x| run_model(&file, &[x.insert_axis(Axis(0)).to_owned().into_dyn()]).expect("it runs")[0][[0, 0]])
            .collect();
        Self { severity: archive.by_name("severity").expect("severities"), float: float.to_vec(), fixed }
    }

    /// The scores, float and fixed point, of the spectra of this severity.
    fn of(&self, wanted: f64) -> [Vec<f32>; 2] {
        [&self.float, &self.fixed].map(|scores| {
            scores.iter().zip(&self.severity).filter(|&(_, &s)| s == wanted).map(|(&score, _)| score).collect()
        })
    }

    /// The areas of both for this severity, of which that of the fixed-point model may not be lower by more than `loss`.
    fn aucs(&self, severity: f64, loss: f64) -> [f64; 2] {
        let ([float_well, fixed_well], [float, fixed]) = (self.of(0.0), self.of(severity));
        let [float, fixed] = [auc(&float_well, &float), auc(&fixed_well, &fixed)];
        assert!(fixed >= float - loss, "severity {severity}: float {float}, fixed point {fixed}");
        [float, fixed]
    }
}

/// How many scores are above the limit.
fn alarms(scores: &[f32]) -> usize {
    scores.iter().filter(|&&score| score >= 1.0).count()
}

fn percent_of_alarms(scores: &[f32]) -> f64 {
    100.0 * alarms(scores) as f64 / scores.len() as f64
}

fn assert_card_has(lines: &[String]) {
    let card = fs::read_to_string(folder().join("README.md")).expect("a card");
    let lacking: Vec<_> = lines.iter().filter(|line| !card.contains(*line)).collect();
    assert!(lacking.is_empty(), "the card lacks {lacking:#?}");
}

const SEVERITIES: [(&str, f64); 3] = [("slight", 0.25), ("moderate", 0.5), ("strong", 1.0)];

/// The figures of the card: 1,800 spectra of healthy machines and 1,350 of damaged ones that training never saw.
#[test]
fn the_fixed_point_model_tells_damage_as_well_as_float() {
    let test = Scored::read("test.npz");
    let [_, well] = test.of(0.0);
    let mut lines = vec![format!("{:.2} % of the healthy spectra", percent_of_alarms(&well))];
    for (name, severity) in SEVERITIES {
        let [float, fixed] = test.aucs(severity, 0.002);
        let above = percent_of_alarms(&test.of(severity)[1]);
        lines.push(format!("| {name} | {severity:.2} | {float:.3} | {fixed:.3} | {above:.1} % |"));
    }
    assert_card_has(&lines);
}

/// The card's figures of real accelerations: 27 spectra of people who walk, and the same with damage added.
#[test]
fn real_accelerations_are_told_as_well_as_by_float() {
    let real = Scored::read("real.npz");
    let [float, fixed] = real.of(0.0).map(|scores| (alarms(&scores), scores.len()));
    let mut lines =
        vec![format!("| walking, above the limit | {} of {} | {} of {} |", float.0, float.1, fixed.0, fixed.1)];
    for (name, severity) in SEVERITIES {
        let [float, fixed] = real.aucs(severity, 0.002);
        lines.push(format!("| AUC, {name} damage added | {float:.3} | {fixed:.3} |"));
    }
    assert_card_has(&lines);
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
        golden_log("board-vibration.log", &run.log);
        let size = firmware.size().expect("the firmware is intact");
        let instructions = run.instructions.expect("this QEMU takes plugins").mean();
        let figures = [("flash", size.flash), ("ram", size.ram), ("instructions", instructions)];
        budget::check(&format!("vibration.{name}"), &figures);
    }
}
