//! Real architectures through import, passes and the float interpreter, held against outputs that ONNX Runtime gave.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use ndarray::{ArrayD, Axis, IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use teff_tools::{
    import::{self, Options, Unsupported},
    ir::{Graph, Port, eval::eval},
    passes,
};

/// Models that must convert, whatever else does.
const REQUIRED: &[&str] = &[
    "lightcnn_14862",
    "lightcnn_cifar_19622",
    "vibration_spectrogram_cnn",
    "mobilenetv3_small_050_c10",
    "espcn_x2",
    "pela_lowrank_layers",
    "uni_abmil_head",
];

/// A folder beside the repository; `None`, and a word about it, if it is not there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED shared/{name}: the folder is not beside the repository");
    None
}

/// A stored array of floats or of 64-bit integers.
fn array(npz: &mut NpzReader<File>, name: &str) -> Result<ArrayD<f32>> {
    if let Ok(integers) = npz.by_name::<OwnedRepr<i64>, IxDyn>(name) {
        return Ok(integers.mapv(|i| i as f32));
    }
    npz.by_name(name).with_context(|| name.to_string())
}

fn convert(path: &Path) -> Result<Graph> {
    let mut graph = import::load(path, &Options::default())?;
    passes::run(&mut graph)?;
    Ok(graph)
}

/// An ONNX tensor in the device's layout.
fn to_device(x: ArrayD<f32>, port: &Port) -> Result<ArrayD<f32>> {
    let x = x.into_shape_with_order(IxDyn(&port.onnx_shape))?;
    Ok(match &port.perm {
        Some(perm) => x.permuted_axes(IxDyn(perm)).as_standard_layout().into_owned(),
        None => x,
    })
}

/// A device tensor in ONNX's layout.
fn to_onnx(y: ArrayD<f32>, port: &Port) -> ArrayD<f32> {
    match &port.perm {
        Some(perm) => {
            let mut inverse = vec![0; perm.len()];
            perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
            y.permuted_axes(IxDyn(&inverse)).as_standard_layout().into_owned()
        }
        None => y,
    }
}

fn run(graph: &Graph, inputs: Vec<ArrayD<f32>>) -> Result<Vec<ArrayD<f32>>> {
    let inputs =
        inputs.into_iter().zip(&graph.inputs).map(|(x, port)| to_device(x, port)).collect::<Result<Vec<_>>>()?;
    let outputs = eval(graph, &inputs)?;
    Ok(outputs.into_iter().zip(&graph.outputs).map(|(y, port)| to_onnx(y, port)).collect())
}

/// Largest difference, relative to the largest element.
fn distance(got: &ArrayD<f32>, want: &ArrayD<f32>) -> f32 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
    got.iter().zip(want).fold(0.0f32, |m, (g, w)| m.max((g - w).abs())) / scale
}

fn count(graph: &Graph, op: &str) -> usize {
    graph.nodes.iter().filter(|n| n.op.name() == op).count()
}

#[test]
fn architectures_give_the_stored_outputs_or_a_readable_refusal() {
    let Some(folder) = shared("architectures") else { return };
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|e| Some(e.ok()?.path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")))
        .filter_map(|p| Some(p.file_stem()?.to_str()?.to_string()))
        .collect();
    names.sort();
    let mut failures = Vec::new();
    for name in names {
        let graph = match convert(&folder.join(format!("{name}.onnx"))) {
            Ok(graph) => graph,
            Err(error) => {
                println!("refused  {name}: {error:#}");
                if error.downcast_ref::<Unsupported>().is_none() || REQUIRED.contains(&name.as_str()) {
                    failures.push(format!("{name}: {error:#}"));
                }
                continue;
            }
        };
        let mut npz = NpzReader::new(File::open(folder.join(format!("{name}.npz"))).unwrap()).unwrap();
        let inputs = graph.inputs.iter().map(|p| array(&mut npz, &format!("in_{}", p.name)).unwrap()).collect();
        let outputs = match run(&graph, inputs) {
            Ok(outputs) => outputs,
            Err(error) => {
                failures.push(format!("{name}: {error:#}"));
                continue;
            }
        };
        let mut worst = 0.0f32;
        for (i, got) in outputs.iter().enumerate() {
            let want = array(&mut npz, &format!("out_{i}")).unwrap();
            assert_eq!(got.shape(), want.shape(), "{name} output {i}");
            let distance = distance(got, &want);
            worst = if distance.is_nan() { distance } else { worst.max(distance) };
        }
        let transposes = count(&graph, "Transpose");
        println!("imported {name}: {} nodes, {transposes} transposes, distance {worst:.1e}", graph.nodes.len());
        if worst.is_nan() || worst > 1e-4 {
            failures.push(format!("{name}: distance {worst}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn mlperf_tiny_models_give_the_outputs_of_onnx_runtime() {
    let Some(folder) = shared("mlperf-tiny") else { return };
    for (model, key) in [
        ("kws_ref_model", "kws"),
        ("vww_96", "vww"),
        ("pretrainedResnet", "ic"),
        ("ad01", "ad"),
        ("str_ww_ref_model", "sww"),
    ] {
        let graph = convert(&folder.join(format!("{model}_float32.onnx"))).unwrap_or_else(|e| panic!("{model}: {e:#}"));
        let mut npz = NpzReader::new(File::open(folder.join(format!("{key}_io.npz"))).unwrap()).unwrap();
        let (x, y) = (array(&mut npz, "x_f32").unwrap(), array(&mut npz, "y_f32_ort").unwrap());
        let mut worst = 0.0f32;
        for i in 0..x.shape()[0] {
            let got = run(&graph, vec![x.index_axis(Axis(0), i).to_owned()]).unwrap();
            worst = worst.max(distance(&got[0], &y.index_axis(Axis(0), i).to_owned()));
        }
        let transposes = count(&graph, "Transpose");
        println!(
            "{model}: {} nodes, {transposes} transposes, {} MACs, distance {worst:.1e}",
            graph.nodes.len(),
            graph.macs()
        );
        assert!(worst <= 1e-4, "{model}: distance {worst}");
        assert_eq!(transposes, 0, "{model}");
    }
}

#[test]
fn quantized_models_carry_their_scales_and_integers() {
    let Some(folder) = shared("mlperf-tiny") else { return };
    for model in ["kws_ref_model", "vww_96", "pretrainedResnet", "ad01", "str_ww_ref_model"] {
        let graph =
            convert(&folder.join(format!("{model}_int8_qdq.onnx"))).unwrap_or_else(|e| panic!("{model}: {e:#}"));
        assert_eq!(teff_tools::quantize::uncalibrated(&graph), [], "{model}");
        let superfluous = ["Requantize", "Transpose", "Clamp"];
        let left: Vec<_> = graph.nodes.iter().filter(|n| superfluous.contains(&n.op.name())).collect();
        assert!(left.is_empty(), "{model}: {left:?}");
        for value in graph.values.iter().filter(|v| v.constant.is_some()) {
            assert!(value.integers.is_some(), "{model}: {}", value.name);
        }
    }
}

#[test]
fn the_two_branch_cnn_has_the_operators_of_its_paper() {
    let Some(folder) = shared("architectures") else { return };
    for name in ["lightcnn_14862", "lightcnn_cifar_19622"] {
        let graph = convert(&folder.join(format!("{name}.onnx"))).unwrap();
        let want = [
            ("Conv2d", 4),
            ("MaxPool2d", 4),
            ("Concat", 1),
            ("FullyConnected", 4),
            ("Softmax", 1),
            ("Transpose", 0),
            ("Clamp", 0),
        ];
        for (op, n) in want {
            assert_eq!(count(&graph, op), n, "{name}: {op}");
        }
        assert_eq!(graph.inputs[0].perm.as_deref(), Some(&[0, 2, 3, 1][..]), "{name}");
    }
}
