//! `--stream`: as soon as a window has passed, a stream gives the window's bits, whatever came before.

use ndarray::{ArrayD, Axis, Dimension, IxDyn, Slice as Cut};
use proptest::prelude::*;
use teff::{Model, Session};
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{Converted, Options, convert};
use teff_tools::interpreter::Interpreter;
use teff_tools::ir::{Graph, Port, State, ValueId};
use teff_tools::ops::add::Add;
use teff_tools::ops::avg_pool2d::AvgPool2d;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::concat::Concat;
use teff_tools::ops::conv2d::Conv2d;
use teff_tools::ops::fully_connected::FullyConnected;
use teff_tools::ops::max_pool2d::MaxPool2d;
use teff_tools::ops::pad::Pad;
use teff_tools::ops::reduce_mean::ReduceMean;
use teff_tools::ops::reshape::Reshape;
use teff_tools::ops::slice::Slice;
use teff_tools::ops::softmax::Softmax;
use teff_tools::ops::transpose::Transpose;
use teff_tools::quantize::Width;
use teff_tools::stream::{Stream, Streamed};
use teff_tools::{import, passes};

/// The bytes of the outputs of a run on the bytes of the input.
fn run(session: &mut Session<'_, '_>, input: &[u8]) -> Vec<Vec<u8>> {
    session.input(0).expect("an input").copy_from_slice(input);
    session.run().expect("it runs");
    let outputs = session.model().entry(0).expect("an entry").outputs().count();
    (0..outputs).map(|index| session.output(index).expect("an output").to_vec()).collect()
}

/// Holds a stream against its window on `runs` runs of random bytes.
fn streams_as_its_window(window: &[u8], stream: &[u8], step: &Streamed, axis: usize, runs: usize) {
    let window = Model::verify(window).expect("it is sound");
    let stream = Model::verify(stream).expect("it is sound");
    let shape = |model: &Model<'_>| {
        let tensor =
            model.entry(0).and_then(|entry| entry.inputs().next()).and_then(|port| port.tensor()).expect("an input");
        let mut shape: Vec<usize> = tensor.shape.iter().map(|&dim| dim as usize).collect();
        shape.push(tensor.data_type.size());
        shape
    };
    let (whole, newest) = (shape(&window), shape(&stream));
    assert_eq!((whole[axis], newest[axis]), (step.columns, step.new));
    let mut signal_shape = whole;
    signal_shape[axis] = step.new * runs;
    // Bytes without a pattern that a layer could not tell from another.
    let mut state = 1_u32;
    let signal = ArrayD::from_shape_simple_fn(IxDyn(&signal_shape), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let part = |from: usize, to: usize| -> Vec<u8> {
        signal.slice_axis(Axis(axis), Cut::from(from..to)).iter().copied().collect()
    };
    let mut memory = [AlignedBytes::zeroed(window.memory_len()), AlignedBytes::zeroed(stream.memory_len())];
    let [of_window, of_stream] = &mut memory;
    let mut of_window = Session::new(&window, of_window).expect("it fits");
    let mut of_stream = Session::new(&stream, of_stream).expect("it fits");
    of_stream.self_test().expect("the converter's bits");
    of_stream.reset();
    for index in 0..runs {
        let end = (index + 1) * step.new;
        let found = run(&mut of_stream, &part(end - step.new, end));
        if index + 1 < step.runs {
            continue;
        }
        let expected = run(&mut of_window, &part(end - step.columns, end));
        assert_eq!(found.len(), expected.len());
        for (port, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (of_stream, of_window) = (output_shape(&stream, port), output_shape(&window, port));
            // An output along time has its newest columns only.
            let along = (0..of_window.len()).find(|&axis| of_stream[axis] != of_window[axis]);
            let expected = ArrayD::from_shape_vec(IxDyn(&of_window), expected.clone()).expect("its shape");
            let expected: Vec<u8> = match along {
                Some(axis) => {
                    let (all, new) = (of_window[axis], of_stream[axis]);
                    expected.slice_axis(Axis(axis), Cut::from(all - new..all)).iter().copied().collect()
                }
                None => expected.iter().copied().collect(),
            };
            assert_eq!(found, &expected, "run {index}, output {port}");
        }
    }
}

/// With the bytes of an element as the last axis.
fn output_shape(model: &Model<'_>, index: usize) -> Vec<usize> {
    let port = model.entry(0).and_then(|entry| entry.outputs().nth(index)).expect("an output");
    let tensor = port.tensor().expect("a tensor");
    tensor.shape.iter().map(|&dim| dim as usize).chain([tensor.data_type.size()]).collect()
}

#[derive(Debug, Clone)]
enum Layer {
    /// Any grouping; `None`: depthwise.
    Conv {
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        side: usize,
        filters: Option<usize>,
    },
    Pool {
        kernel: [usize; 2],
        stride: usize,
        largest: bool,
    },
    /// A convolution beside a way around it, which takes the newest columns, or those that the convolution is about.
    Residual {
        kernel: usize,
        newest: bool,
    },
    /// Two convolutions of other lengths, joined along the channels.
    Branches {
        short: usize,
        long: usize,
    },
    /// A convolution that pads along time.
    Padded,
    Dense(usize),
    Softmax,
    /// Zeros at both sides, not in time.
    Sides,
    /// Bands and channels become one axis, and two again.
    Reshaped,
    Transposed,
    Bands,
}

/// What comes last.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// The columns themselves.
    Columns,
    Mean,
    Dense,
    /// The mean, and the columns.
    Both,
}

fn layer() -> impl Strategy<Value = Layer> {
    let conv = ([1..4_usize, 1..4], [1..3_usize, 1..3], [1..3_usize, 1..3], 0..2_usize, prop::option::of(1..6_usize));
    prop_oneof![
        4 => conv.prop_map(|(kernel, stride, dilation, side, filters)| Layer::Conv { kernel, stride, dilation, side, filters }),
        2 => ([1..4_usize, 1..3], 1..3_usize, any::<bool>()).prop_map(|(kernel, stride, largest)| Layer::Pool { kernel, stride, largest }),
        2 => (2..4_usize, any::<bool>()).prop_map(|(kernel, newest)| Layer::Residual { kernel, newest }),
        2 => (1..3_usize, 2..5_usize).prop_map(|(short, long)| Layer::Branches { short, long }),
        1 => Just(Layer::Padded),
        1 => (1..7_usize).prop_map(Layer::Dense),
        1 => Just(Layer::Softmax),
        1 => Just(Layer::Sides),
        1 => Just(Layer::Reshaped),
        1 => Just(Layer::Transposed),
        1 => Just(Layer::Bands),
    ]
}

/// A random network as it grows: its value is (1, columns, bands, channels), or (1, bands, columns, channels).
struct Net {
    graph: Graph,
    y: ValueId,
    time: usize,
    seed: u32,
}

impl Net {
    fn random(&mut self, shape: &[usize]) -> ValueId {
        let scale = 1.0 / (shape[1..].iter().product::<usize>() as f32).sqrt();
        let data = ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((self.seed >> 16) as f32 / 32_768.0 - 1.0) * 2.0 * scale
        });
        self.graph.constant(format!("weights{}", self.graph.values.len()), data)
    }

    fn push(&mut self, op: impl Into<teff_tools::ops::Op>, inputs: &[ValueId]) -> Option<ValueId> {
        self.graph.push(&format!("node{}", self.graph.nodes.len()), op.into(), inputs).ok()
    }

    fn dims(&self) -> [usize; 4] {
        self.graph.value(self.y).shape.clone().try_into().expect("four axes")
    }

    /// Along time first, whatever the layout.
    fn along<T: Copy>(&self, [time, band]: [T; 2]) -> [T; 2] {
        if self.time == 1 { [time, band] } else { [band, time] }
    }

    fn conv(&mut self, [kernel, stride, dilation, pad]: [[usize; 2]; 4], filters: Option<usize>) -> Option<ValueId> {
        let channels = self.dims()[3];
        let groups = if filters.is_some() { 1 } else { channels };
        let (kernel, pad) = (self.along(kernel), self.along(pad));
        let w = self.random(&[filters.unwrap_or(channels), kernel[0], kernel[1], channels / groups]);
        let [stride, dilation] = [self.along(stride), self.along(dilation)];
        let clamp = Some(Clamp { min: 0.0, max: f32::INFINITY });
        let op = Conv2d { kernel, stride, dilation, pad: [pad[0], pad[1], pad[0], pad[1]], groups, clamp };
        self.push(op, &[self.y, w])
    }

    fn slice(&mut self, start: usize, end: usize) -> Option<ValueId> {
        self.push(Slice { axis: self.time, start, end, step: 1 }, &[self.y])
    }

    /// The value after `layer`; `None` if it has no room.
    fn layer(&mut self, layer: &Layer) -> Option<ValueId> {
        let dims = self.dims();
        let (columns, channels) = (dims[self.time], dims[3]);
        let plain = |kernel: usize| [[kernel, 1], [1, 1], [1, 1], [0, 0]];
        match *layer {
            Layer::Conv { kernel, stride, dilation, side, filters } => {
                self.conv([kernel, stride, dilation, [0, side.min(kernel[1] - 1)]], filters)
            }
            Layer::Pool { kernel, stride, largest } => {
                let (kernel, stride, pad) = (self.along(kernel), self.along([stride, 1]), [0; 4]);
                match largest {
                    true => self.push(MaxPool2d { kernel, stride, pad }, &[self.y]),
                    false => self.push(AvgPool2d { kernel, stride, pad, count_include_pad: true }, &[self.y]),
                }
            }
            Layer::Residual { kernel, newest } => {
                let conv = self.conv(plain(kernel), Some(channels))?;
                let start = if newest { kernel - 1 } else { (kernel - 1) / 2 };
                let around = self.slice(start, columns + start + 1 - kernel)?;
                self.push(Add { clamp: None }, &[around, conv])
            }
            Layer::Branches { short, long } => {
                let [a, b] = [self.conv(plain(short), Some(2))?, self.conv(plain(long), Some(3))?];
                let len = self.graph.value(b).shape[self.time].min(self.graph.value(a).shape[self.time]);
                let mut newest = |value: ValueId| {
                    let all = self.graph.value(value).shape[self.time];
                    self.push(Slice { axis: self.time, start: all - len, end: all, step: 1 }, &[value])
                };
                let both = [newest(a)?, newest(b)?];
                self.push(Concat { axis: 3 }, &both)
            }
            Layer::Padded => self.conv([[3, 1], [1, 1], [1, 1], [1, 0]], None),
            Layer::Dense(filters) => {
                let w = self.random(&[filters, channels]);
                self.push(FullyConnected { clamp: None }, &[self.y, w])
            }
            Layer::Softmax => self.push(Softmax, &[self.y]),
            Layer::Sides => {
                let mut pads = vec![(0, 0); 4];
                pads[3 - self.time] = (1, 2);
                self.push(Pad { pads, value: 0.0 }, &[self.y])
            }
            Layer::Reshaped => {
                let flat = if self.time == 1 {
                    vec![1, dims[1], dims[2] * channels]
                } else {
                    vec![dims[1], dims[2], channels]
                };
                let flat = self.push(Reshape { shape: flat }, &[self.y])?;
                let relu = self.push(Clamp { min: -0.5, max: 0.75 }, &[flat])?;
                self.push(Reshape { shape: dims.to_vec() }, &[relu])
            }
            Layer::Transposed => {
                self.time = 3 - self.time;
                self.push(Transpose { perm: vec![0, 2, 1, 3] }, &[self.y])
            }
            Layer::Bands => self.push(ReduceMean { axes: vec![3 - self.time] }, &[self.y]),
        }
    }

    fn output(&mut self, value: Option<ValueId>) {
        let Some(value) = value else { return };
        let name = format!("y{}", self.graph.outputs.len());
        let onnx_shape = self.graph.value(value).shape.clone();
        self.graph.outputs.push(Port { value, name, onnx_shape, perm: None });
    }
}

fn net([columns, bands, channels]: [usize; 3], time: usize, layers: &[Layer], last: Last) -> (Graph, Vec<usize>) {
    let shape = if time == 1 { vec![1, columns, bands, channels] } else { vec![1, bands, columns, channels] };
    let mut graph = Graph::default();
    let y = graph.activation("x", &shape);
    graph.inputs.push(Port { value: y, name: "x".into(), onnx_shape: shape.clone(), perm: None });
    let mut net = Net { graph, y, time, seed: 7 };
    for layer in layers {
        let (time, nodes) = (net.time, net.graph.nodes.len());
        match net.layer(layer) {
            Some(y) => net.y = y,
            // What it has begun stays without a reader.
            None => (net.time, _) = (time, net.graph.nodes.truncate(nodes)),
        }
    }
    let y = net.y;
    let mean = |net: &mut Net| net.push(ReduceMean { axes: vec![1, 2] }, &[y]);
    match last {
        Last::Columns => net.output(Some(y)),
        Last::Mean => {
            let mean = mean(&mut net);
            net.output(mean);
        }
        Last::Both => {
            let mean = mean(&mut net);
            net.output(mean);
            net.output(Some(y));
        }
        Last::Dense => {
            let len = net.graph.value(y).len();
            let flat = net.push(Reshape { shape: vec![1, len] }, &[y]).expect("as many elements");
            let w = net.random(&[4, len]);
            let dense = net.push(FullyConnected { clamp: None }, &[flat, w]);
            net.output(dense);
        }
    }
    (net.graph, shape)
}

fn converted(graph: &Graph, shape: &[usize], activations: Width, stream: Option<Stream>) -> anyhow::Result<Converted> {
    let sample = |seed: usize| {
        vec![ArrayD::from_shape_fn(IxDyn(shape), |at| {
            let place = at.as_array_view().iter().fold(seed, |sum, &i| sum * 31 + i * 7 + 3);
            ((place * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0
        })]
    };
    let samples: Vec<Vec<ArrayD<f32>>> = (0..4).map(sample).collect();
    convert(graph, &samples, &Options { activations, stream, ..Options::default() }, &|| {})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_gives_the_bits_of_its_window(
        size in [6..30_usize, 1..7, 1..5],
        time in 1..3_usize,
        new in 1..7_usize,
        layers in prop::collection::vec(layer(), 1..7),
        last in prop::sample::select(vec![Last::Columns, Last::Mean, Last::Dense, Last::Both]),
        int16 in any::<bool>(),
    ) {
        let (graph, shape) = net(size, time, &layers, last);
        prop_assume!(graph.outputs.iter().all(|port| graph.producer(port.value).is_some()) && new < size[0]);
        let activations = if int16 { Width::Int16 } else { Width::Int8 };
        let window = converted(&graph, &shape, activations, None).expect("it converts");
        let mut newest = shape.clone();
        newest[time] = new;
        let stream = Stream { input: "x".into(), shape: newest };
        let stream = converted(&graph, &shape, activations, Some(stream)).expect("it converts as a stream");
        let streamed = stream.streamed.expect("it is one");
        streams_as_its_window(&window.file, &stream.file, &streamed, time, streamed.runs + 5);
        let padded = layers.iter().any(|layer| matches!(layer, Layer::Padded));
        let complains = streamed.whole.iter().any(|whole| whole.why.contains("pads"));
        prop_assert!(padded || !complains, "{:?}", streamed.whole);
    }
}

/// A quantized model that other people trained, as a stream of so many new columns; how many nodes are not streamed.
fn published(file: &str, input: &str, newest: &[usize]) -> Option<usize> {
    let path = teff_tests::shared("mlperf-tiny")?.join(file);
    let mut graph = import::load(path, &import::Options::default()).expect("it is read");
    passes::run(&mut graph).expect("it can be brought to the runtime's form");
    let convert = |stream: Option<Stream>| {
        let nothing: Vec<Vec<ArrayD<f32>>> = Vec::new();
        convert(&graph, &nothing, &Options { stream, ..Options::default() }, &|| {}).expect("it converts")
    };
    let stream = convert(Some(Stream { input: input.into(), shape: newest.to_vec() }));
    let streamed = stream.streamed.expect("it is one");
    let window = convert(None);
    streams_as_its_window(&window.file, &stream.file, &streamed, 1, streamed.runs + 3);
    // The host feeds it windows, also such as the columns of a run do not divide.
    let sample = ArrayD::from_shape_fn(IxDyn(&streamed.window), |at| ((at[1] * 37 + at[3] * 11) % 64) as f32 / 64.0);
    let [found, expected] = [&stream.file, &window.file].map(|file| {
        let model = Model::verify(file).expect("it is sound");
        Interpreter::new(&model).run(std::slice::from_ref(&sample)).expect("it runs").remove(0).bytes
    });
    assert_eq!(found, expected);
    Some(streamed.whole.len())
}

/// MLPerf Tiny's streaming wake word model pads nowhere in time: a run of one new frame computes a thirtieth and less of each layer.
#[test]
fn the_wake_word_model_streams() {
    for new in [1, 2, 3, 7] {
        let whole = published("str_ww_ref_model.tflite", "serving_default_input_1:0", &[1, new, 1, 40]);
        assert!(whole.is_none_or(|whole| whole == 0), "{whole:?}");
    }
}

/// That for keywords pads in its first layer: the window is kept whole, and the bits are the same.
#[test]
fn what_pads_along_time_is_computed_whole() {
    let whole = published("kws_ref_model.tflite", "input_1", &[1, 2, 10, 1]);
    assert!(whole.is_none_or(|whole| whole == 1), "{whole:?}");
}

/// What cannot be a stream is an error that says what is wanted.
#[test]
fn shapes_that_are_no_stream_are_refused() {
    let layers = [Layer::Conv { kernel: [3, 1], stride: [1, 1], dilation: [1, 1], side: 0, filters: Some(2) }];
    let (graph, shape) = net([8, 4, 2], 1, &layers, Last::Mean);
    let refused = |input: &str, newest: &[usize]| {
        let stream = Stream { input: input.into(), shape: newest.to_vec() };
        format!("{:#}", converted(&graph, &shape, Width::Int8, Some(stream)).err().expect("it is refused"))
    };
    assert!(refused("y", &[1, 2, 4, 2]).contains("the model has no input y: its inputs are x"));
    for newest in [&[1, 8, 4, 2][..], &[1, 9, 4, 2], &[1, 2, 3, 2], &[1, 2, 4], &[1, 0, 4, 2]] {
        assert!(refused("x", newest).contains("with one axis shorter"), "{newest:?}");
    }
    let mut kept = graph.clone();
    kept.states.push(State { input: graph.inputs[0].clone(), output: graph.outputs[0].clone() });
    let stream = Stream { input: "x".into(), shape: vec![1, 2, 4, 2] };
    let error = converted(&kept, &shape, Width::Int8, Some(stream)).err().expect("it is refused");
    assert!(format!("{error:#}").contains("keeps state itself"), "{error:#}");
}
