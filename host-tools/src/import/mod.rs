//! ONNX → tract's typed, decluttered graph → IR.
//!
//! Quantized nodes are rewritten first (`quantized`), and the model is vetted, so that nothing that tract is known to get wrong, and nothing that it does
//! not know, reaches it. What tract leaves is then read operator by operator; a node that has no counterpart in the
//! IR joins the list of the one [`Unsupported`] error.

mod conv;
mod deconv;
mod elementwise;
mod indexed;
mod layout;
mod normalize;
mod opaque;
mod pool;
mod prelu;
mod product;
mod quantized;
mod recurrent;
mod reduce;
mod resample;
mod resize;
mod shapes;
mod tflite;
mod typed;
mod unsupported;
mod vet;

use std::cell::Cell;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, bail};
use prost::Message;
use teff::fixed::Rounding;
use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::optim::Optimizer;

pub use self::unsupported::{Unsupported, UnsupportedNode};
use crate::ir::Graph;

/// What the user says about the model.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Shapes of graph inputs by name; they override the model's. A symbolic first axis (the batch) is 1 by default.
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// Pairs of an input and an output that become state, see [`Graph::keep_state`].
    pub states: Vec<(String, String)>,
    /// How a quantized model's results are rounded; `None`: by its origin, see `rounding_of_origin`.
    pub rounding: Option<Rounding>,
}

/// Reads an ONNX file, whose weights in external files are looked for beside it, or a TensorFlow Lite file.
///
/// # Errors
/// If the file cannot be read, or the model cannot be converted ([`Unsupported`] lists why).
pub fn load(path: impl AsRef<Path>, options: &Options) -> Result<Graph> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if tflite::is_tflite(&bytes) {
        let graph =
            quietly(|| tflite::load(&bytes, options)).and_then(|graph| completed(graph, Rounding::TfLite, options));
        return graph.with_context(|| format!("cannot convert {}", path.display()));
    }
    let model =
        pb::ModelProto::decode(bytes.as_slice()).with_context(|| format!("{} is no ONNX model", path.display()))?;
    from_model(model, path.parent(), options).with_context(|| format!("cannot convert {}", path.display()))
}

/// Names of the inputs of an ONNX file that are not initialized in it, in its order.
///
/// # Errors
/// If the file cannot be read.
pub fn input_names(path: impl AsRef<Path>) -> Result<Vec<String>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let model =
        pb::ModelProto::decode(bytes.as_slice()).with_context(|| format!("{} is no ONNX model", path.display()))?;
    Ok(model.graph.iter().flat_map(|graph| vet::inputs(graph).map(|i| i.name.clone()).collect::<Vec<_>>()).collect())
}

/// Whether the ONNX model in these bytes has an input of unsigned bytes: it makes numbers of pixels itself.
pub fn takes_bytes(bytes: &[u8]) -> bool {
    let Ok(model) = pb::ModelProto::decode(bytes) else { return false };
    model.graph.iter().any(|graph| vet::inputs(graph).any(vet::is_bytes))
}

/// Converts a decoded ONNX model; `dir` is where the files of external weights lie.
///
/// # Errors
/// If the model cannot be converted ([`Unsupported`] lists why).
pub fn from_model(mut model: pb::ModelProto, dir: Option<&Path>, options: &Options) -> Result<Graph> {
    let rounding = rounding_of_origin(&model);
    let (marks, refused) = quantized::rewrite(&mut model, dir);
    vet::check(&model, &refused)?;
    let Some(graph) = model.graph.as_mut() else { bail!("the file holds no graph") };
    vet::fix_input_shapes(graph, options)?;
    graph.value_info.clear(); // may hold symbols that contradict the fixed input shapes
    let typed = quietly(|| declutter(&model, dir))?;
    completed(typed::import(&typed, &model, marks)?, rounding, options)
}

/// How a quantized ONNX model's results are rounded: tf2onnx makes such a model of a TensorFlow Lite file, whose integers
/// were chosen for that runtime's rounding; others are made for real arithmetic, rounded once.
fn rounding_of_origin(model: &pb::ModelProto) -> Rounding {
    if model.producer_name == "tf2onnx" { Rounding::TfLite } else { Rounding::Once }
}

/// The graph with the rounding of its origin, and with states for inputs and outputs, unless the user says otherwise.
fn completed(mut graph: Graph, origin: Rounding, options: &Options) -> Result<Graph> {
    graph.rounding = options.rounding.unwrap_or(origin);
    options.states.iter().try_for_each(|(input, output)| graph.keep_state(input, output))?;
    Ok(graph)
}

/// tract's reader, which knows the operators that are opaque to it.
fn reader() -> tract_onnx::Onnx {
    let mut onnx = tract_onnx::onnx();
    opaque::register(&mut onnx);
    quantized::mark::register(&mut onnx);
    onnx
}

/// tract's typed graph, decluttered; layout and products stay as the model has them.
fn declutter(model: &pb::ModelProto, dir: Option<&Path>) -> Result<TypedModel> {
    let parsed = reader().parse(model, dir.and_then(Path::to_str)).context("the graph cannot be read")?;
    if let [first, ..] = parsed.unresolved_inputs.as_slice() {
        bail!("tensor {first} is read, but nothing produces it");
    }
    let mut typed = parsed.model.into_typed().context("shapes and types cannot be inferred")?;
    let mut optimizer = Optimizer::declutter();
    optimizer.passes.retain(|pass| {
        let name = format!("{pass:?}");
        !["ConcatThenEinsum", "ChangeAxes", "PushSliceUp", "PushSplitDown"].iter().any(|skip| name.starts_with(skip))
    });
    optimizer.optimize(&mut typed).context("the graph cannot be simplified")?;
    Ok(typed)
}

thread_local! {
    /// Whether a panic of this thread is about to become an error, and should not be printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; a panic inside tract becomes an error.
fn quietly<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    QUIET.set(outer);
    match result {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            bail!("the ONNX reader failed on this model: {text}")
        }
    }
}
