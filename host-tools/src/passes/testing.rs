//! What the passes' unit tests share.

use ndarray::ArrayD;

use crate::ir::{Graph, Port, ValueId, eval::eval};
use crate::ops::testing::ramp;

/// A graph with one input; [`Harness::check`] proves that passes keep what it computes.
pub(crate) struct Harness {
    pub(crate) graph: Graph,
    pub(crate) x: ValueId,
}

impl Harness {
    pub(crate) fn new(shape: &[usize]) -> Self {
        let mut graph = Graph::default();
        let x = graph.activation("x", shape);
        graph.inputs.push(Port { value: x, name: "x".into(), onnx_shape: shape.to_vec(), perm: None });
        Harness { graph, x }
    }

    pub(crate) fn weight(&mut self, shape: &[usize]) -> ValueId {
        self.graph.constant("w", ramp(shape))
    }

    pub(crate) fn push(&mut self, op: impl Into<crate::ops::Op>, inputs: &[ValueId]) -> ValueId {
        let name = format!("n{}", self.graph.nodes.len());
        self.graph.push(&name, op.into(), inputs).unwrap()
    }

    /// Makes `y` the output, runs all passes, compares the results and returns the operators' names.
    pub(crate) fn check(mut self, y: ValueId) -> (Graph, Vec<&'static str>) {
        let onnx_shape = self.graph.value(y).shape.clone();
        self.graph.outputs.push(Port { value: y, name: "y".into(), onnx_shape, perm: None });
        let x = ramp(&self.graph.inputs[0].onnx_shape);
        let want = eval(&self.graph, std::slice::from_ref(&x)).unwrap().remove(0);
        let mut graph = self.graph;
        super::run(&mut graph).unwrap();
        let x = permuted(x, graph.inputs[0].perm.as_deref());
        let got = eval(&graph, &[x]).unwrap().remove(0);
        let want = permuted(want, graph.outputs[0].perm.as_deref());
        crate::ops::testing::reference_close(&got, &want);
        let names = graph.nodes.iter().map(|n| n.op.name()).collect();
        (graph, names)
    }
}

fn permuted(x: ArrayD<f32>, perm: Option<&[usize]>) -> ArrayD<f32> {
    match perm {
        Some(perm) => x.permuted_axes(perm).as_standard_layout().into_owned(),
        None => x,
    }
}
