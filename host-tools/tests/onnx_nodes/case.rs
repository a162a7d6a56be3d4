//! The cases as they lie on disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use prost::Message;
use teff_tools::import::Options;
use teff_tools::ir::{Graph, Port};
use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::f16;

/// A node test.
pub(crate) struct Case {
    /// The name of its folder.
    pub name: String,
    model: ModelProto,
    inputs: Vec<Option<TensorProto>>,
    outputs: Vec<Option<TensorProto>>,
}

/// All cases, in the order of their names; `None`, and a word about it, if they are not there.
pub(crate) fn all() -> Option<Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/onnx-node-tests");
    if !folder.is_dir() {
        let required = std::env::var("CI").is_ok_and(|v| v == "true");
        assert!(!required, "the ONNX node tests are missing: run tests/setup/onnx-node-tests.sh");
        println!(
            "SKIPPED the ONNX node tests: they are not in target/onnx-node-tests (tests/setup/onnx-node-tests.sh)"
        );
        return None;
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.join("model.onnx").exists());
    paths.sort();
    Some(paths.iter().map(|path| Case::read(path)).collect())
}

impl Case {
    fn read(path: &Path) -> Self {
        Case {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            model: ModelProto::decode(std::fs::read(path.join("model.onnx")).unwrap().as_slice()).unwrap(),
            inputs: tensors(path, "input"),
            outputs: tensors(path, "output"),
        }
    }

    /// The operator of a case of one node.
    pub(crate) fn operator(&self) -> Option<&str> {
        match self.model.graph.as_ref()?.node.as_slice() {
            [node] => Some(&node.op_type),
            _ => None,
        }
    }

    /// Whether there is a quantized operator in it: see [`crate::quantized`].
    pub(crate) fn is_quantized(&self) -> bool {
        let nodes = self.model.graph.iter().flat_map(|g| &g.node);
        nodes.into_iter().any(|node| {
            let op = node.op_type.as_str();
            op.contains("QLinear") || op.to_lowercase().contains("quantizelinear") || op.contains("Integer")
        })
    }

    /// Whether the first input and all real outputs are float32.
    pub(crate) fn is_float(&self) -> bool {
        let plain = |t: &Option<TensorProto>| {
            t.as_ref().is_some_and(|t| {
                [DataType::Float, DataType::Bool, DataType::Int64].iter().any(|&d| t.data_type == d as i32)
            })
        };
        self.inputs.first().is_some_and(|t| t.as_ref().is_some_and(is_float))
            && self.inputs.iter().chain(&self.outputs).all(plain)
    }

    /// Sets of inputs to make constant: none, all but the first float input, and all but the first.
    pub(crate) fn forms(&self) -> Vec<Vec<usize>> {
        let float = self.inputs.iter().position(|t| t.as_ref().is_some_and(is_float)).unwrap_or(0);
        let all_but = |first: usize| (0..self.inputs.len()).filter(|&i| i != first).collect::<Vec<_>>();
        let mut forms = vec![vec![], all_but(float), all_but(0)];
        forms.dedup();
        forms
    }

    /// The model with some inputs as initializers, and the shapes of the others.
    pub(crate) fn model(&self, constants: &[usize]) -> (ModelProto, Options) {
        let mut model = self.model.clone();
        let names = self.input_names();
        if let Some(graph) = model.graph.as_mut() {
            for &i in constants {
                if let (Some(Some(tensor)), Some(name)) = (self.inputs.get(i), names.get(i)) {
                    graph.initializer.push(TensorProto { name: name.clone(), ..tensor.clone() });
                }
            }
        }
        let kept = (0..self.inputs.len()).filter(|i| !constants.contains(i));
        let shape = |i: usize| {
            let dims = self.inputs[i].as_ref()?.dims.iter().map(|&d| d as usize).collect();
            Some((names.get(i)?.clone(), dims))
        };
        (model, Options { input_shapes: kept.filter_map(shape).collect(), ..Options::default() })
    }

    fn input_names(&self) -> Vec<String> {
        self.model.graph.iter().flat_map(|g| &g.input).map(|i| i.name.clone()).collect()
    }

    /// The inputs of the graph, in the device's layout.
    pub(crate) fn given(&self, constants: &[usize], graph: &Graph) -> Result<Vec<ArrayD<f32>>> {
        let kept = (0..self.inputs.len()).filter(|i| !constants.contains(i));
        let given = kept.map(|i| numbers(self.inputs[i].as_ref().context("an input that is no tensor")?));
        given.zip(&graph.inputs).map(|(x, port)| Ok(layout(x?, port))).collect()
    }

    /// For each input of the graph that holds integers what they are above the device's.
    pub(crate) fn given_offsets(&self, constants: &[usize]) -> Vec<Option<f32>> {
        let kept = (0..self.inputs.len()).filter(|i| !constants.contains(i));
        kept.map(|i| offset(self.inputs[i].as_ref())).collect()
    }

    /// For each output that holds integers what they are above the device's.
    pub(crate) fn wanted_offsets(&self) -> Vec<Option<f32>> {
        self.outputs.iter().map(|y| offset(y.as_ref())).collect()
    }

    /// The expected outputs, in the device's layout.
    pub(crate) fn wanted(&self, graph: &Graph) -> Result<Vec<ArrayD<f32>>> {
        ensure!(graph.outputs.len() == self.outputs.len(), "{} outputs", graph.outputs.len());
        let want = self.outputs.iter().map(|y| numbers(y.as_ref().context("an output that is no tensor")?));
        want.zip(&graph.outputs).map(|(y, port)| Ok(layout(y?, port))).collect()
    }
}

/// What integers of this type are above the device's, which are signed; `None` if they are no integers.
fn offset(tensor: Option<&TensorProto>) -> Option<f32> {
    match DataType::try_from(tensor?.data_type) {
        Ok(DataType::Uint8) => Some(128.0),
        Ok(DataType::Uint16) => Some(32_768.0),
        Ok(DataType::Int8 | DataType::Int16) => Some(0.0),
        _ => None,
    }
}

fn is_float(tensor: &TensorProto) -> bool {
    tensor.data_type == DataType::Float as i32
}

/// The elements of a tensor of floats, integers or truth values.
fn numbers(tensor: &TensorProto) -> Result<ArrayD<f32>> {
    let shape: Vec<usize> = tensor.dims.iter().map(|&d| d as usize).collect();
    let raw = &tensor.raw_data;
    macro_rules! read {
        ($ty:ty, $plain:expr) => {{
            const SIZE: usize = size_of::<$ty>();
            match raw.is_empty() {
                true => $plain.iter().map(|&v| v as f32).collect(),
                false => raw
                    .chunks_exact(SIZE)
                    .map(|b| <$ty>::from_le_bytes(b.try_into().expect("whole elements")) as f32)
                    .collect(),
            }
        }};
    }
    let data: Vec<f32> = match DataType::try_from(tensor.data_type)? {
        DataType::Float => read!(f32, tensor.float_data),
        DataType::Int64 => read!(i64, tensor.int64_data),
        DataType::Int32 => read!(i32, tensor.int32_data),
        DataType::Int16 => read!(i16, tensor.int32_data),
        DataType::Int8 => read!(i8, tensor.int32_data),
        DataType::Uint64 => read!(u64, tensor.uint64_data),
        DataType::Uint32 => read!(u32, tensor.uint64_data),
        DataType::Uint16 => read!(u16, tensor.int32_data),
        DataType::Uint8 | DataType::Bool => read!(u8, tensor.int32_data),
        DataType::Double => read!(f64, tensor.double_data),
        DataType::Float16 => {
            ensure!(!raw.is_empty(), "float16 elements outside of the raw data");
            raw.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        }
        other => bail!("elements of the type {}", other.as_str_name()),
    };
    Ok(ArrayD::from_shape_vec(IxDyn(&shape), data)?)
}

/// The numbered tensors of a case, as far as they are tensors.
fn tensors(case: &Path, kind: &str) -> Vec<Option<TensorProto>> {
    let path = |i: usize| case.join(format!("test_data_set_0/{kind}_{i}.pb"));
    let read = |p: PathBuf| std::fs::read(p).ok().and_then(|b| TensorProto::decode(b.as_slice()).ok());
    (0..).map(path).take_while(|p| p.exists()).map(read).collect()
}

fn layout(x: ArrayD<f32>, port: &Port) -> ArrayD<f32> {
    match &port.perm {
        Some(perm) => x.permuted_axes(IxDyn(perm)).as_standard_layout().into_owned(),
        None => x,
    }
}
