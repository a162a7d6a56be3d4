//! Golden cases: for each operator of the runtime, small float graphs that lower to it.
//!
//! `tests/tests/operators.rs` converts each case, in int8 and in int16, holds the result against the float graph, and its
//! bits against `tests/goldens/operators.txt`.

use std::ops::Range;

use anyhow::Result;
use ndarray::{ArrayD, IxDyn};
use teff::fixed::Rounding;
use teff_tools::convert::Options;
use teff_tools::ir::{Graph, Kind, Port, ValueId};
use teff_tools::ops::Op;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::expr::Expr;
use teff_tools::ops::function::Function;
use teff_tools::ops::requantize::Requantize;
use teff_tools::ops::scatter::{Places, Scatter};
use teff_tools::ops::table::Table;
use teff_tools::quantize::{QuantParams, Width};

pub mod language;

/// One golden case.
pub struct Case {
    /// Unique, for messages and goldens.
    pub name: String,
    /// The float graph.
    pub graph: Graph,
    /// Calibration samples, of which the first is run.
    pub samples: Vec<Vec<ArrayD<f32>>>,
    /// See [`teff_tools::convert::Options::keep_int16`].
    pub keep_int16: Vec<String>,
    /// See [`teff_tools::convert::Options::max_arena`]: in int8, and half as much as in int16.
    pub max_arena: Option<usize>,
    /// Largest difference between the int8 result and the float graph on the same (dequantized) inputs, in steps of
    /// the output's scale.
    steps: f32,
}

impl Case {
    /// How the case is converted.
    pub fn options(&self, activations: Width) -> Options {
        let factor = if activations == Width::Int16 { 2 } else { 1 };
        let max_arena = self.max_arena.map(|len| len * factor);
        Options { keep_int16: self.keep_int16.clone(), activations, max_arena, ..Options::default() }
    }

    /// Largest difference between the quantized result and the float graph on the same (dequantized) inputs, in steps of
    /// the output's scale.
    ///
    /// In int16 it is that of int8, in the 256 times smaller steps, but for what stays as it is there: weights have 8 bits,
    /// so that their share stays the same part of the range; and tables are within a step instead of half a step.
    pub fn steps(&self, activations: Width) -> f32 {
        let weights = |op: &Op| matches!(op, Op::Conv2d(_) | Op::FullyConnected(_) | Op::Recurrent(_));
        match activations {
            Width::Int8 => self.steps,
            Width::Int16 if self.graph.nodes.iter().any(|node| weights(&node.op)) => 257.0 * self.steps,
            Width::Int16 => self.steps.max(1.01),
        }
    }
}

/// Expands to the modules and to the table of their cases.
macro_rules! cases {
    ($($operator:ident,)*) => {
        $(mod $operator;)*

        /// The cases of each operator, under the operator's name.
        pub fn all() -> Vec<(&'static str, Vec<Case>)> {
            vec![$((stringify!($operator), $operator::cases().expect(stringify!($operator))),)*]
        }
    };
}

cases! {
    conv2d,
    depthwise_conv2d,
    conv_chain,
    fully_connected,
    max_pool2d,
    avg_pool2d,
    add,
    sub,
    mul,
    clamp,
    table,
    softmax,
    pad,
    concat,
    slice,
    reshape,
    transpose,
    reduce_mean,
    reduce_sum,
    requantize,
    requantize_s8_s16,
    requantize_s16_s8,
    table_s16_s32,
    table_s32_s16,
    maximum,
    resample2d,
    normalize,
    prelu,
    lstm,
    gru,
    rnn,
    matmul,
    div,
    angle,
    minimum,
    compare,
    select,
    logic,
    gather,
    gather_elements,
    gather_nd,
    scatter,
    scatter_add,
    expand,
    arg_extreme,
    top_k,
    cumulative_sum,
    reduce_extreme,
    reduce_square,
    log_sum_exp,
    from_index,
    index_arithmetic,
    add_tflite,
    avg_pool2d_tflite,
}

pub use conv_chain::{Layer, chain};

/// The case as a model that was quantized for TensorFlow Lite: input i has the scale 1/(32·(i + 1)),
/// and the result the given one.
pub(crate) fn for_tflite(name: &str, mut b: Builder, y: ValueId, scale: f32, steps: f32) -> Case {
    b.graph.rounding = Rounding::TfLite;
    for i in 0..b.shapes.len() {
        let x = b.x(i);
        b.graph.value_mut(x).pin = Some(QuantParams::int8(1.0 / 32.0 / (1 + i) as f32, 3 - 10 * i as i32));
    }
    let zero_point = if scale == 1.0 / 32.0 { 3 } else { -5 };
    b.graph.value_mut(y).pin = Some(QuantParams::int8(scale, zero_point));
    b.finish(name, &[y], 2.0, steps)
}

/// A maximum between two requantizations, one of which is int16 even where all else is int8.
pub(crate) fn mixed(name: &str, wide: &str) -> Result<Case> {
    let mut b = Builder::new(&[&[2, 3, 11]]);
    let x = b.x(0);
    let first = b.node(Requantize { to: None }, &[x])?;
    let second = b.node(Clamp { min: -1.0, max: 2.0 }, &[first])?;
    let last = b.node(Requantize { to: None }, &[second])?;
    let mut case = b.finish(name, &[first, last], 4.0, 1.01);
    case.keep_int16 = vec![wide.to_string()];
    Ok(case)
}

/// Builds the graph of one case.
pub(crate) struct Builder {
    graph: Graph,
    /// Shape of each input, and the range of its integers, if it holds integers.
    shapes: Vec<(Vec<usize>, Option<Range<i32>>)>,
    random: u64,
}

impl Builder {
    /// A graph with inputs of these shapes.
    pub(crate) fn new(shapes: &[&[usize]]) -> Self {
        let mut graph = Graph::default();
        for (i, shape) in shapes.iter().enumerate() {
            let name = format!("x{i}");
            let value = graph.activation(name.clone(), shape);
            graph.inputs.push(Port { value, name, onnx_shape: shape.to_vec(), perm: None });
        }
        Self { graph, shapes: shapes.iter().map(|s| (s.to_vec(), None)).collect(), random: 1 }
    }

    /// Adds an input of integers in `range`.
    pub(crate) fn integers(&mut self, shape: &[usize], range: Range<i32>) -> ValueId {
        let name = format!("x{}", self.shapes.len());
        let value = self.graph.activation_of(Kind::Index, name.clone(), shape);
        self.graph.inputs.push(Port { value, name, onnx_shape: shape.to_vec(), perm: None });
        self.shapes.push((shape.to_vec(), Some(range)));
        value
    }

    /// A constant of integers.
    pub(crate) fn constant_integers(&mut self, shape: &[usize], values: &[i32]) -> ValueId {
        let values = values.iter().map(|&v| v as f32).collect();
        let data = ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has elements");
        self.graph.constant_of(Kind::Index, "integers", data)
    }

    /// Input `index`.
    pub(crate) fn x(&self, index: usize) -> ValueId {
        self.graph.inputs[index].value
    }

    /// Numbers in [-1, 1), the same at each run.
    fn numbers(&mut self, shape: &[usize]) -> ArrayD<f32> {
        let mut next = || {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
        };
        ArrayD::from_shape_fn(IxDyn(shape), |_| next())
    }

    /// A constant with numbers in `[-scale, scale)`.
    pub(crate) fn constant(&mut self, shape: &[usize], scale: f32) -> ValueId {
        let data = self.numbers(shape) * scale;
        self.graph.constant("constant", data)
    }

    /// Appends a node.
    pub(crate) fn node(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId> {
        let name = format!("node{}", self.graph.nodes.len());
        self.graph.push(&name, op.into(), inputs)
    }

    /// Appends a node of several results.
    pub(crate) fn nodes(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let name = format!("node{}", self.graph.nodes.len());
        self.graph.push_all(&name, op.into(), inputs)
    }

    /// The case: inputs in `[-scale, scale)`, results within `steps` of float.
    pub(crate) fn finish(mut self, name: &str, outputs: &[ValueId], scale: f32, steps: f32) -> Case {
        for (i, &value) in outputs.iter().enumerate() {
            let onnx_shape = self.graph.value(value).shape.clone();
            self.graph.outputs.push(Port { value, name: format!("y{i}"), onnx_shape, perm: None });
        }
        let shapes = self.shapes.clone();
        let mut sample = |(shape, range): &(Vec<usize>, Option<Range<i32>>)| match range {
            None => self.numbers(shape) * scale,
            Some(range) => {
                let width = (range.end - range.start) as f32;
                self.numbers(shape).mapv(|v| range.start as f32 + ((v + 1.0) / 2.0 * width).floor())
            }
        };
        let samples = (0..4).map(|_| shapes.iter().map(&mut sample).collect()).collect();
        Case { name: name.into(), graph: self.graph, samples, keep_int16: Vec::new(), max_arena: None, steps }
    }
}

/// A case of one operator on one input.
pub(crate) fn unary(name: &str, op: impl Into<Op>, shape: &[usize], steps: f32) -> Result<Case> {
    let mut b = Builder::new(&[shape]);
    let y = b.node(op, &[b.x(0)])?;
    Ok(b.finish(name, &[y], 4.0, steps))
}

/// A case of an operator between the square of each of its inputs and a logarithm: in int16 it computes in int32.
pub(crate) fn wide(name: &str, op: impl Into<Op>, shapes: &[&[usize]], weights: Option<&[usize]>) -> Result<Case> {
    let mut b = Builder::new(shapes);
    let square = || Table { function: Function::Square };
    let mut operands: Vec<ValueId> = (0..shapes.len()).map(|i| b.node(square(), &[b.x(i)])).collect::<Result<_>>()?;
    operands.extend(weights.map(|shape| b.constant(shape, 0.1)));
    let sum = b.node(op, &operands)?;
    // Far enough from 0 for int8, too.
    let log = Expr::Apply(Function::Ln, Box::new(Expr::X.plus(16.0)));
    let y = b.node(Table { function: Function::Composite(Box::new(log)) }, &[sum])?;
    Ok(b.finish(name, &[y], 2.0, 8.0))
}

/// A case of one operator on two inputs.
pub(crate) fn binary(name: &str, op: impl Into<Op>, a: &[usize], b_shape: &[usize], steps: f32) -> Result<Case> {
    let mut b = Builder::new(&[a, b_shape]);
    let y = b.node(op, &[b.x(0), b.x(1)])?;
    Ok(b.finish(name, &[y], 2.0, steps))
}

/// Cases of scatter with and without addition, which differ in nothing else.
pub(crate) fn scatter_cases(add: bool) -> Result<Vec<Case>> {
    let name = |form: &str| format!("scatter_{}{form}", if add { "add_" } else { "" });
    let mut elements = Builder::new(&[&[4, 5], &[3, 5]]);
    let at = elements.integers(&[3, 5], -4..4);
    let (data, updates) = (elements.x(0), elements.x(1));
    let y = elements.node(Scatter { places: Places::Elements(0), add }, &[data, at, updates])?;
    let mut blocks = Builder::new(&[&[4, 3, 2], &[5, 3, 2]]);
    let at = blocks.integers(&[5, 1], 0..4);
    let (data, updates) = (blocks.x(0), blocks.x(1));
    let z = blocks.node(Scatter { places: Places::Nd, add }, &[data, at, updates])?;
    // Operands are brought to the output's scale first: half a step each of up to six.
    let steps = if add { 3.51 } else { 1.01 };
    Ok(vec![elements.finish(&name("elements"), &[y], 2.0, steps), blocks.finish(&name("blocks"), &[z], 2.0, steps)])
}
