//! The keyword model: its accuracy on voices that training never heard, the stream against the window, and the
//! application on emulated boards.

use std::fs::{self, File};
use std::path::PathBuf;

use ndarray::{Array1, Array4, ArrayD, Axis, Slice};
use ndarray_npy::NpzReader;
use teff::{Model, Session};
use teff_app::Unconnected;
use teff_app::digits::Embedded;
use teff_app::keyword::{self, Board, RESULT, features};
use teff_tests::run::{arg_max, run};
use teff_tests::{available, budget, golden_log, root};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board;
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

/// What a float model gives for its first input, `x` in any shape, one channel being the same in all layouts, and others.
fn outputs(graph: &Graph, x: &ArrayD<f32>, others: &[ArrayD<f32>]) -> Vec<ArrayD<f32>> {
    let shape = graph.value(graph.inputs[0].value).shape.as_slice();
    let x = x.as_standard_layout().into_owned().into_shape_with_order(shape).expect("as many levels");
    let inputs: Vec<_> = [x].into_iter().chain(others.iter().cloned()).collect();
    eval(graph, &inputs).expect("the model runs")
}

/// What the float stream gives in each run, from a state of zeros.
fn float_stream(graph: &Graph, runs: &[ArrayD<f32>]) -> Vec<ArrayD<f32>> {
    let shape = |index: usize| graph.value(graph.inputs[index].value).shape.clone();
    let mut state: Vec<ArrayD<f32>> = (1..graph.inputs.len()).map(|i| ArrayD::zeros(shape(i))).collect();
    let step = |run: &ArrayD<f32>| {
        let mut outputs = outputs(graph, run, &state);
        state = outputs.split_off(1);
        outputs.remove(0)
    };
    runs.iter().map(step).collect()
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

/// The float stream is the float window at every place of a stream, as soon as a window has passed.
#[test]
fn the_stream_equals_the_window() {
    let (window, stream) = (graph("model.onnx"), graph("streaming.onnx"));
    let frames = long(&test_set().0);
    let found = float_stream(&stream, &runs(&frames));
    assert_eq!(found.len(), 3 * RUNS);
    let mut worst = 0.0_f32;
    for (end, found) in found.iter().enumerate().skip(RUNS - 1) {
        let first = HOP * (end + 1 - RUNS);
        let part = frames.slice_axis(Axis(1), Slice::from(first..first + HOP * RUNS)).to_owned();
        let expected = &outputs(&window, &part, &[])[0];
        worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(worst, f32::max);
    }
    assert!(worst <= 1e-5, "probabilities differ by {worst}");
}

/// In int8 too what the stream gives depends on nothing but the last window: bit for bit what a new session gives of it.
#[test]
fn the_int8_stream_forgets_all_before_its_window() {
    let file = file("streaming.teff");
    let model = Model::verify(&file).expect("it is valid");
    let runs = runs(&long(&test_set().0));
    let found = int8_stream(&model, &runs);
    for end in (RUNS - 1)..runs.len() {
        let alone = int8_stream(&model, &runs[end + 1 - RUNS..=end]);
        assert_eq!(alone.last(), found.get(end), "run {end}");
    }
}

/// Float and int8, window and stream, on clips of voices that training never heard.
#[test]
fn unheard_voices_are_understood() {
    let (x, labels) = test_set();
    let (window, stream) = (graph("model.onnx"), file("streaming.teff"));
    let stream = Model::verify(&stream).expect("it is valid");
    let int8 = file("model.teff");
    let [mut float_right, mut int8_right, mut stream_right, mut same, mut as_window] = [0; 5];
    let mut differences = Vec::new();
    for (index, &label) in labels.iter().enumerate() {
        let x = clip(&x, index);
        let streamed = int8_stream(&stream, &runs(&x)).pop().expect("24 runs");
        let float = arg_max(&outputs(&window, &x, &[])[0]);
        let probabilities = &run(&int8, &[x]).expect("the window runs")[0];
        // Of both the scale is 1/256 and the zero point -128.
        differences.extend(streamed.iter().zip(probabilities).map(|(&q, p)| (f32::from(q) + 128.0 - 256.0 * p).abs()));
        let (streamed, int8) = (best(&streamed), arg_max(probabilities));
        float_right += usize::from(float == label);
        int8_right += usize::from(int8 == label);
        stream_right += usize::from(streamed == label);
        same += usize::from(streamed == float);
        as_window += usize::from(streamed == int8);
    }
    println!("float {float_right}, int8 {int8_right}, int8 stream {stream_right} right; {same} of 600 as float");
    assert!(float_right >= 540, "float: {float_right} of 600");
    assert!(int8_right + 9 >= float_right, "int8: {int8_right}, float {float_right} of 600");
    assert!(stream_right + 9 >= float_right, "int8 stream: {stream_right}, float {float_right} of 600");
    let card = card();
    for (what, right) in [("float window", float_right), ("int8 window", int8_right), ("int8 stream", stream_right)] {
        let row = format!("| {what} | {right} of 600 | {:.2} % |", right as f64 / 6.0);
        assert!(card.contains(&row), "the card lacks {row:?}");
    }
    let worst = differences.iter().copied().fold(0.0, f32::max);
    let mean = differences.iter().sum::<f32>() / differences.len() as f32;
    let row = format!(
        "a probability of the int8 stream differs from the int8 window's by at most {worst} of 256 steps, {mean:.2} in the mean, and \
         both name the same class in {as_window} of 600"
    );
    assert!(card.contains(&row), "the card lacks {row:?}");
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
