//! The keyword model: its accuracy on voices that training never heard, the stream, which is the window bit for bit, and
//! the application on emulated boards.

use std::fs::{self, File};
use std::path::PathBuf;

use ndarray::{Array1, Array4, ArrayD, Axis, Slice};
use ndarray_npy::NpzReader;
use teff::{Model, Session};
use teff_app::Unconnected;
use teff_app::digits::Embedded;
use teff_app::keyword::{self, Board, RESULT, features};
use teff_tests::run::arg_max;
use teff_tests::{available, budget, golden_log, root};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board;
use teff_tools::interpreter::Interpreter;
use teff_tools::ir::Graph;
use teff_tools::ir::eval::eval;
use teff_tools::report::ModelReport;
use teff_tools::report::text::grouped;
use teff_tools::{import, passes};

/// Frames of a run of the stream, runs that fill a window, bands.
const HOP: usize = 2;
const RUNS: usize = 24;
const BANDS: usize = features::BANDS;

fn path(file: &str) -> PathBuf {
    root().join("models/keyword").join(file)
}

fn graph(file: &str) -> Graph {
    let mut graph = import::load(path(file), &import::Options::default()).expect("it is shipped");
    passes::run(&mut graph).expect("it can be brought to the runtime's form");
    graph
}

fn file(name: &str) -> AlignedBytes {
    AlignedBytes::from(fs::read(path(name)).expect("it is shipped").as_slice())
}

/// Levels, (clips, 1, 48, 40), and labels.
fn test_set() -> (Array4<u8>, Vec<usize>) {
    let mut npz = NpzReader::new(File::open(path("test-600.npz")).expect("it is shipped")).expect("an npz file");
    let x: Array4<u8> = npz.by_name("x").expect("levels");
    let y: Array1<i64> = npz.by_name("y").expect("labels");
    assert_eq!(x.shape(), [600, 1, HOP * RUNS, BANDS]);
    (x, y.iter().map(|&label| label as usize).collect())
}

/// A clip of the set as the float models take it: (1, 48, 40, 1).
fn clip(x: &Array4<u8>, index: usize) -> ArrayD<f32> {
    let levels = x.index_axis(Axis(0), index).mapv(|level| f32::from(level) / 255.0);
    levels.into_shape_with_order(vec![1, HOP * RUNS, BANDS, 1]).expect("48 frames").into_dyn()
}

/// Runs of the stream over frames, (1, n, 40, 1).
fn runs(frames: &ArrayD<f32>) -> Vec<ArrayD<f32>> {
    frames.axis_chunks_iter(Axis(1), HOP).map(|run| run.to_owned()).collect()
}

/// The class that the float window names.
fn float_class(window: &Graph, x: &ArrayD<f32>) -> usize {
    let shape = window.value(window.inputs[0].value).shape.as_slice();
    // One channel: the same in all layouts.
    let x = x.as_standard_layout().into_owned().into_shape_with_order(shape).expect("as many levels");
    arg_max(&eval(window, &[x]).expect("the model runs")[0])
}

/// What the int8 window gives.
fn int8_window(file: &AlignedBytes, x: &ArrayD<f32>) -> Vec<i8> {
    let model = Model::verify(file).expect("it is valid");
    let output = Interpreter::new(&model).run(std::slice::from_ref(x)).expect("the window runs").remove(0);
    output.bytes.into_iter().map(u8::cast_signed).collect()
}

/// What the int8 stream gives in each run, from a state of zeros.
fn int8_stream(model: &Model<'_>, runs: &[ArrayD<f32>]) -> Vec<Vec<i8>> {
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(model, &mut memory).expect("the memory is large enough");
    let mut step = |run: &ArrayD<f32>| {
        let input = session.input_i8(0).expect("an int8 input");
        input.iter_mut().zip(run).for_each(|(to, &x)| *to = ((x * 255.0).round() - 128.0) as i8);
        session.run().expect("the stream runs");
        session.output_i8(0).expect("an int8 output").to_vec()
    };
    runs.iter().map(&mut step).collect()
}

fn best(output: &[i8]) -> usize {
    arg_max(&output.iter().map(|&p| f32::from(p)).collect::<Vec<_>>())
}

/// Three clips, one after the other.
fn long(x: &Array4<u8>) -> ArrayD<f32> {
    ndarray::concatenate(Axis(1), &[clip(x, 0).view(), clip(x, 1).view(), clip(x, 2).view()]).expect("alike")
}

/// At every place of a stream, as soon as a window has passed, the stream gives the window's bits.
#[test]
fn the_stream_is_the_window() {
    let (window, stream) = (file("model.teff"), file("streaming.teff"));
    let frames = long(&test_set().0);
    let found = int8_stream(&Model::verify(&stream).expect("it is valid"), &runs(&frames));
    assert_eq!(found.len(), 3 * RUNS);
    for (end, found) in found.iter().enumerate().skip(RUNS - 1) {
        let first = HOP * (end + 1 - RUNS);
        let part = frames.slice_axis(Axis(1), Slice::from(first..first + HOP * RUNS)).to_owned();
        assert_eq!(found, &int8_window(&window, &part), "run {end}");
    }
}

/// Float and int8, window and stream, on clips of voices that training never heard.
#[test]
fn unheard_voices_are_understood() {
    let (x, labels) = test_set();
    let (float, window, stream) = (graph("model.onnx"), file("model.teff"), file("streaming.teff"));
    let stream = Model::verify(&stream).expect("it is valid");
    let [mut float_right, mut int8_right, mut same] = [0; 3];
    for (index, &label) in labels.iter().enumerate() {
        let x = clip(&x, index);
        let probabilities = int8_window(&window, &x);
        assert_eq!(int8_stream(&stream, &runs(&x)).last(), Some(&probabilities), "clip {index}");
        let (float, int8) = (float_class(&float, &x), best(&probabilities));
        float_right += usize::from(float == label);
        int8_right += usize::from(int8 == label);
        same += usize::from(int8 == float);
    }
    println!("float {float_right}, int8 {int8_right} right; {same} of 600 as float");
    assert!(float_right >= 540, "float: {float_right} of 600");
    assert!(int8_right + 9 >= float_right, "int8: {int8_right}, float {float_right} of 600");
    for (what, right) in [("float window", float_right), ("int8 window and stream", int8_right)] {
        let row = format!("| {what} | {right} of 600 | {:.2} % |", right as f64 / 6.0);
        assert!(card().contains(&row), "the card lacks {row:?}");
    }
}

fn card() -> String {
    fs::read_to_string(path("README.md")).expect("a card").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_card_says_what_is_shipped() {
    for name in ["model.teff", "streaming.teff"] {
        let file = file(name);
        let report = ModelReport::new(&Model::verify(&file).expect("it is valid")).totals;
        let row = format!(
            "| `{name}` | {} | {} | {} | {} |",
            grouped(report.macs),
            grouped(report.file_bytes as u64),
            grouped(report.weight_bytes as u64),
            grouped(report.memory_bytes as u64)
        );
        assert!(card().contains(&row), "the card lacks {row:?}");
    }
}

/// The sound of words.wav, whose header has 44 bytes.
fn sound() -> Vec<u8> {
    fs::read(path("words.wav")).expect("it is shipped").split_off(44)
}

/// From sound to words: the same results on emulated boards as on this machine, within the budgets.
#[test]
fn words_are_heard_on_boards() {
    let sound = sound();
    let bytes: &'static AlignedBytes = Box::leak(Box::new(file("streaming.teff")));
    let embedded = Embedded { model: bytes, ops: teff::ops::ALL };
    let mut memory = AlignedBytes::zeroed(Model::verify(bytes).expect("it is valid").memory_len());
    let mut expected = vec![0; RESULT * (sound.len() / 2 / features::HOP)];
    let board = Board { sound: &sound[..], results: expected.as_mut_slice(), heard: Unconnected };
    let summary = keyword::run(embedded, &mut memory, board).expect("it listens here");
    expected.truncate(RESULT * summary.runs as usize);
    assert_eq!(summary.words, 10);

    let frames: Vec<i8> = sound.iter().map(|&byte| byte.cast_signed()).collect();
    for name in ["mps2-an386", "mps2-an505", "mps3-an547", "riscv-virt-imac"] {
        let board = board::by_name(name).expect("it is in the table");
        if !available(&format!("the keyword application on {name}"), board::availability(board)) {
            continue;
        }
        let firmware = board::build_binary(board, &format!("{}-keyword", board.binary), &path("streaming.teff"))
            .unwrap_or_else(|error| panic!("{error:#}"));
        let run = board::run_binary(board, &firmware, &frames).unwrap_or_else(|error| panic!("{error:#}"));
        let found: Vec<u8> = run.outputs.expect("it writes results").into_iter().map(i8::cast_unsigned).collect();
        assert!(found == expected, "{name}: not the bits of this machine\n{}", run.log.join("\n"));
        golden_log("board-keyword.log", &run.log);

        let size = firmware.size().expect("the firmware is intact");
        let counted = run.instructions.expect("this QEMU takes plugins").total();
        let a_second = counted * u64::from(features::RATE) / (sound.len() as u64 / 2);
        let mut figures = vec![("flash", size.flash), ("ram", size.ram), ("instructions-a-second", a_second)];
        let stack = run.log.iter().find_map(|line| line.strip_prefix("DEBUG stack: ")?.split(' ').next()?.parse().ok());
        figures.extend(stack.map(|bytes| ("stack", bytes)));
        budget::check(&format!("keyword.{name}"), &figures);
    }
}
