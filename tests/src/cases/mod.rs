//! Golden cases: for each operator of the runtime, small float graphs that lower to it.
//!
//! `tests/tests/operators.rs` converts each case, holds the int8 result against the float graph, and its bits against
//! `tests/goldens/operators.txt`.

use anyhow::Result;
use ndarray::{ArrayD, IxDyn};
use teff_tools::ir::{Graph, Port, ValueId};
use teff_tools::ops::Op;

/// One golden case.
pub struct Case {
    /// Unique, for messages and goldens.
    pub name: String,
    /// The float graph.
    pub graph: Graph,
    /// Calibration samples, of which the first is run.
    pub samples: Vec<Vec<ArrayD<f32>>>,
    /// Largest difference between the int8 result and the float graph on the same (dequantized) inputs, in steps of
    /// the output's scale.
    pub steps: f32,
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
    maximum,
}

/// Builds the graph of one case.
pub(crate) struct Builder {
    graph: Graph,
    shapes: Vec<Vec<usize>>,
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
        Self { graph, shapes: shapes.iter().map(|s| s.to_vec()).collect(), random: 1 }
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

    /// The case: inputs in `[-scale, scale)`, results within `steps` of float.
    pub(crate) fn finish(mut self, name: &str, outputs: &[ValueId], scale: f32, steps: f32) -> Case {
        for (i, &value) in outputs.iter().enumerate() {
            let onnx_shape = self.graph.value(value).shape.clone();
            self.graph.outputs.push(Port { value, name: format!("y{i}"), onnx_shape, perm: None });
        }
        let shapes = self.shapes.clone();
        let samples = (0..4).map(|_| shapes.iter().map(|s| self.numbers(s) * scale).collect()).collect();
        Case { name: name.into(), graph: self.graph, samples, steps }
    }
}

/// A case of one operator on one input.
pub(crate) fn unary(name: &str, op: impl Into<Op>, shape: &[usize], steps: f32) -> Result<Case> {
    let mut b = Builder::new(&[shape]);
    let y = b.node(op, &[b.x(0)])?;
    Ok(b.finish(name, &[y], 4.0, steps))
}

/// A case of one operator on two inputs.
pub(crate) fn binary(name: &str, op: impl Into<Op>, a: &[usize], b_shape: &[usize], steps: f32) -> Result<Case> {
    let mut b = Builder::new(&[a, b_shape]);
    let y = b.node(op, &[b.x(0), b.x(1)])?;
    Ok(b.finish(name, &[y], 2.0, steps))
}
