//! Indices that data names: what is out of range is an error of the run, never a panic and never a wrong place.

use ndarray::{ArrayD, IxDyn, arr1};
use teff::{Model, RunError, Session};
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{Options, convert};
use teff_tools::ir::{Graph, Kind, Port};
use teff_tools::ops::Op;
use teff_tools::ops::gather::Gather;
use teff_tools::ops::gather_elements::GatherElements;
use teff_tools::ops::gather_nd::GatherNd;
use teff_tools::ops::scatter::{Places, Scatter};

/// An operator on data of the shape (4, 3), given indices of the shape `indices` and, if it wants them, updates of the same
/// shape; calibrated with all indices 0.
fn file(op: impl Into<Op>, indices: &[usize], updates: bool) -> AlignedBytes {
    let mut graph = Graph::default();
    let mut inputs = Vec::new();
    let mut samples = Vec::new();
    let mut input = |graph: &mut Graph, kind, shape: &[usize], value: f32| {
        let name = format!("x{}", graph.inputs.len());
        let value_id = graph.activation_of(kind, name.clone(), shape);
        graph.inputs.push(Port { value: value_id, name, onnx_shape: shape.to_vec(), perm: None });
        inputs.push(value_id);
        samples.push(ArrayD::from_elem(IxDyn(shape), value));
    };
    input(&mut graph, Kind::Real, &[4, 3], 1.0);
    input(&mut graph, Kind::Index, indices, 0.0);
    if updates {
        input(&mut graph, Kind::Real, indices, 1.0);
    }
    let value = graph.push("y", op.into(), &inputs).unwrap();
    let onnx_shape = graph.value(value).shape.clone();
    graph.outputs.push(Port { value, name: "y".into(), onnx_shape, perm: None });
    convert(&graph, &vec![samples], &Options::default(), &|| {}).unwrap().file
}

/// What a run says whose first index is this one, all others being 0.
fn run(file: &[u8], index: i32) -> Result<(), RunError> {
    let model = Model::verify(file).unwrap();
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory).unwrap();
    let indices = session.input(1).unwrap();
    indices.fill(0);
    indices[..4].copy_from_slice(&index.to_le_bytes());
    session.run()
}

#[test]
fn an_index_out_of_range_stops_the_run_and_no_other_does() {
    let operators: [(Op, &[usize], bool); 5] = [
        (Gather { axis: 0 }.into(), &[2, 5], false),
        (GatherElements { axis: 0 }.into(), &[7, 3], false),
        (GatherNd { batch_axes: 0 }.into(), &[5, 1], false),
        (Scatter { places: Places::Elements(0), add: false }.into(), &[2, 3], true),
        (Scatter { places: Places::Elements(0), add: true }.into(), &[2, 3], true),
    ];
    for (op, indices, updates) in operators {
        let name = op.name();
        let file = file(op, indices, updates);
        for index in [0, 3, -1, -4] {
            assert_eq!(run(&file, index), Ok(()), "{name}: {index}");
        }
        for index in [4, -5, i32::MAX, i32::MIN] {
            let stopped = run(&file, index);
            assert!(matches!(stopped, Err(RunError::IndexOutOfRange { .. })), "{name}: {index}: {stopped:?}");
        }
    }
}

/// A constant index out of range is found before anything is flashed.
#[test]
fn a_constant_index_out_of_range_is_refused() {
    for index in [4.0, -5.0] {
        let mut graph = Graph::default();
        let x = graph.activation("x", &[4, 3]);
        graph.inputs.push(Port { value: x, name: "x".into(), onnx_shape: vec![4, 3], perm: None });
        let at = graph.constant_of(Kind::Index, "at", arr1(&[0.0, index]).into_dyn());
        let value = graph.push("y", Gather { axis: 0 }.into(), &[x, at]).unwrap();
        graph.outputs.push(Port { value, name: "y".into(), onnx_shape: vec![2, 3], perm: None });
        let samples = vec![vec![ArrayD::from_elem(IxDyn(&[4, 3]), 1.0)]];
        let error = convert(&graph, &samples, &Options::default(), &|| {}).err().expect("a refusal");
        assert!(format!("{error:#}").contains("out of range"), "{error:#}");
    }
}
