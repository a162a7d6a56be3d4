use ndarray::{ArrayD, IxDyn};
use teff::Model;

use super::*;
use crate::convert::{Converted, Options, convert};
use crate::interpreter::Interpreter;
use crate::ir::{Graph, Port};
use crate::ops::conv2d::Conv2d;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::reshape::Reshape;
use crate::ops::testing::ramp;

/// Two convolutions, the second depthwise, and a dense layer over all of it.
fn graph() -> Graph {
    let mut graph = Graph::default();
    let x = graph.activation("x", &[1, 6, 5, 2]);
    let conv = |groups| Conv2d { kernel: [3, 3], stride: [1, 1], pad: [1; 4], dilation: [1, 1], groups, clamp: None };
    let (w0, b0) = (graph.constant("w0", ramp(&[4, 3, 3, 2])), graph.constant("b0", ramp(&[4])));
    let a = graph.push("a", conv(1).into(), &[x, w0, b0]).unwrap();
    let (w1, b1) = (graph.constant("w1", ramp(&[4, 3, 3, 1])), graph.constant("b1", ramp(&[4])));
    let b = graph.push("b", conv(4).into(), &[a, w1, b1]).unwrap();
    let c = graph.push("c", Reshape { shape: vec![1, 120] }.into(), &[b]).unwrap();
    let (w2, b2) = (graph.constant("w2", ramp(&[3, 120])), graph.constant("b2", ramp(&[3])));
    let y = graph.push("y", FullyConnected { clamp: None }.into(), &[c, w2, b2]).unwrap();
    let port =
        |value, name: &str, shape: &[usize]| Port { value, name: name.into(), onnx_shape: shape.into(), perm: None };
    graph.inputs.push(port(x, "x", &[1, 6, 5, 2]));
    graph.outputs.push(port(y, "y", &[1, 3]));
    graph
}

fn converted() -> (Graph, Converted) {
    let graph = graph();
    let samples: Vec<Vec<ArrayD<f32>>> = (1..5).map(|i| vec![ramp(&[1, 6, 5, 2]) * i as f32]).collect();
    let converted = convert(&graph, &samples, &Options::default(), &|| {}).unwrap();
    (graph, converted)
}

#[test]
fn figures_are_those_of_the_graph_and_of_the_plan() {
    let (graph, converted) = converted();
    let model = Model::verify(&converted.file).unwrap();
    let report = ModelReport::new(&model);
    assert_eq!(report.totals.macs, graph.macs());
    assert_eq!(report.totals.parameters, (72 + 4) + (36 + 4) + (360 + 3));
    assert_eq!(report.totals.arena_bytes, converted.plan.arena_len);
    assert_eq!(report.totals.arena_lower_bound, converted.plan.lower_bound);
    let ops: Vec<&str> = report.steps.iter().map(|step| step.op.as_str()).collect();
    assert_eq!(ops, ["conv2d", "depthwise_conv2d", "reshape", "fully_connected"]);
    let in_place: Vec<usize> = report.steps.iter().filter(|step| step.in_place).map(|step| step.index).collect();
    assert_eq!(in_place, converted.plan.in_place);
    assert_eq!(report.steps[1].shape, [1, 6, 5, 4]);
}

#[test]
fn the_map_shows_every_step() {
    let (_, converted) = converted();
    let model = Model::verify(&converted.file).unwrap();
    let map = MemoryMap::new(&model);
    let picture = map.render();
    assert_eq!(picture.lines().count(), 2 + model.step_count());
    assert!(picture.contains("◀ peak") && picture.contains("reshape → d"), "{picture}");
    for row in &map.rows {
        assert!(row.spans.iter().any(|span| span.role == Role::Written));
        assert!(row.spans.iter().all(|span| span.offset + span.len <= map.len));
    }
}

#[test]
fn the_interpreter_answers_like_the_graph() {
    let (graph, converted) = converted();
    let model = Model::verify(&converted.file).unwrap();
    let x = ramp(&[1, 6, 5, 2]) * 3.0;
    let want = crate::ir::eval::eval(&graph, std::slice::from_ref(&x)).unwrap();
    let found = Interpreter::new(&model).run(&[x]).unwrap();
    assert_eq!((found[0].name.as_str(), found[0].real.shape()), ("y", want[0].shape()));
    let largest = want[0].iter().fold(0_f32, |m, v| m.max(v.abs()));
    for (f, w) in found[0].real.iter().zip(&want[0]) {
        assert!((f - w).abs() < 0.05 * largest, "{found:?} {want:?}");
    }
    let wrong = ArrayD::<f32>::zeros(IxDyn(&[1, 6, 5, 3]));
    assert!(Interpreter::new(&model).run(&[wrong]).is_err());
}
