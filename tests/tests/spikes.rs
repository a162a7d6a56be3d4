//! Spiking layers: their spikes in integers are those of the float model, one by one.

use std::collections::HashMap;
use std::fs::File;

use ndarray::ArrayD;
use ndarray_npy::NpzReader;
use teff::Model;
use teff_tools::convert::{Options, convert};
use teff_tools::import;
use teff_tools::interpreter::{Interpreter, dequantize};
use teff_tools::ir::Graph;
use teff_tools::ir::eval::eval_observed;
use teff_tools::ops::{Op, expr::Binary, expr::Expr, function::Function};
use teff_tools::passes;
use teff_tools::quantize::Width;

/// The values that hold spikes: the comparisons of a potential with its threshold.
fn spiking(graph: &Graph) -> HashMap<String, usize> {
    let is_threshold = |op: &Op| match op {
        Op::Table(table) => match &table.function {
            Function::Composite(expr) => matches!(**expr, Expr::Binary(Binary::LessEqual | Binary::Less, ..)),
            _ => false,
        },
        Op::Compare(_) => true,
        _ => false,
    };
    let nodes = graph.nodes.iter().filter(|node| is_threshold(&node.op));
    nodes.map(|node| (graph.value(node.outputs[0]).name.clone(), node.outputs[0].0)).collect()
}

#[test]
fn a_spiking_model_gives_every_spike_of_float_in_int16() {
    let Some(folder) = teff_tests::shared("architectures") else { return };
    let mut graph = import::load(folder.join("snn_lif_t4.onnx"), &import::Options::default()).unwrap();
    passes::run(&mut graph).unwrap();
    let mut npz = NpzReader::new(File::open(folder.join("snn_lif_t4.npz")).unwrap()).unwrap();
    let x: ArrayD<f32> = npz.by_name("in_x").unwrap();
    let perm = graph.inputs[0].perm.clone().unwrap_or_else(|| (0..x.ndim()).collect());
    let x = x.permuted_axes(perm).as_standard_layout().into_owned();
    let spiking = spiking(&graph);
    assert_eq!(spiking.len(), 8, "two spiking layers in four steps of time");

    let options = Options { activations: Width::Int16, ..Options::default() };
    let converted = convert(&graph, &vec![vec![x.clone()]], &options, &|| {}).unwrap();
    let model = Model::verify(&converted.file).unwrap();
    let mut float = HashMap::new();
    eval_observed(&graph, std::slice::from_ref(&x), |id, values| _ = float.insert(id.0, values.clone())).unwrap();
    let (mut layers, mut total) = (0, 0);
    Interpreter::new(&model)
        .run_observed(&[x], |event| {
            let name = event.step.outputs.first().and_then(|&o| model.tensor_name(o.into())).unwrap_or_default();
            // A tensor that is moved keeps its name: the step that decides it comes first.
            let Some(value) = spiking.get(name).filter(|_| event.step.op.name.starts_with("table")) else { return };
            let tensor = event.step.output(0).unwrap();
            let found = dequantize(&tensor, event.output).unwrap();
            let differ =
                found.iter().zip(&float[value]).filter(|(found, want)| (**found > 0.5) != (**want > 0.5)).count();
            let count = float[value].iter().filter(|&&spike| spike > 0.5).count();
            assert_eq!(differ, 0, "{name}: {differ} spikes of {count} differ");
            (layers, total) = (layers + 1, total + count);
        })
        .unwrap();
    teff_tests::note(&format!("snn_lif_t4 in int16: {total} spikes in {layers} layers, all as in float"));
    assert_eq!(layers, spiking.len());
    assert!(total > 100, "{total} spikes prove little");
}
