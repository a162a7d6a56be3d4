//! The whole conversion: calibrate, quantize, plan, emit.

use anyhow::{Context, Result};
use ndarray::ArrayD;
use zerocopy::IntoBytes;

use crate::aligned::AlignedBytes;
use crate::calibrate::{self, Method, Range, Samples};
use crate::emit::{self, Extras};
use crate::ir::{Graph, Kind};
use crate::plan::Plan;
use crate::quantize::{self, QuantParams};

/// What the user chooses.
#[derive(Debug, Clone)]
pub struct Options {
    /// How ranges are chosen.
    pub method: Method,
    /// For each graph input the range that it has by definition, such as that of preprocessed pixels; `None`: as
    /// calibrated.
    pub input_ranges: Vec<Option<Range>>,
    /// Keys and values for the file.
    pub metadata: Vec<(String, String)>,
    /// Whether steps and tensors keep their names in the file.
    pub debug_names: bool,
    /// Whether the first calibration sample is embedded as a self-test.
    pub self_test: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::MinMax,
            input_ranges: Vec::new(),
            metadata: Vec::new(),
            debug_names: true,
            self_test: true,
        }
    }
}

/// A converted model.
pub struct Converted {
    /// The verified `.teff` file.
    pub file: AlignedBytes,
    /// Where its tensors lie.
    pub plan: Plan,
}

/// Converts `graph` (after [`crate::passes::run`]) to int8, calibrated on `samples`.
///
/// `tick` is called [`calibrate::passes`] times `samples.len()` times in all.
///
/// # Errors
/// If calibration fails, or a node has no form in the runtime; the message names the node.
pub fn convert(graph: &Graph, samples: &dyn Samples, options: &Options, tick: &(dyn Fn() + Sync)) -> Result<Converted> {
    let mut graph = graph.clone();
    let mut ranges = calibrate::calibrate(&graph, samples, options.method, tick)?;
    for (port, range) in graph.inputs.iter().zip(&options.input_ranges) {
        if range.is_some() {
            ranges[port.value.0] = *range;
        }
    }
    let quant = quantize::assign(&mut graph, &ranges)?;
    let program = quantize::lower::lower(&graph, &quant)?;
    let self_test_input = match options.self_test {
        true => Some(quantized_inputs(&graph, &quant, &samples.inputs(0)?)?),
        false => None,
    };
    let extras = Extras { metadata: options.metadata.clone(), debug_names: options.debug_names, self_test_input };
    let emitted = emit::emit(&program, &extras)?;
    Ok(Converted { file: emitted.file, plan: emitted.plan })
}

/// The bytes of all inputs, one after another.
fn quantized_inputs(graph: &Graph, quant: &[Option<QuantParams>], inputs: &[ArrayD<f32>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (port, x) in graph.inputs.iter().zip(inputs) {
        match graph.value(port.value).kind {
            Kind::Index => bytes.extend(x.iter().flat_map(|&v| (v as i32).to_le_bytes())),
            Kind::Truth => bytes.extend(x.iter().map(|&v| u8::from(v != 0.0))),
            Kind::Real => {
                let quant = quant[port.value.0].with_context(|| format!("input {}: no quantization", port.name))?;
                let values: Vec<i8> = x.iter().map(|&v| quant.quantize(v)).collect();
                bytes.extend(values.as_bytes());
            }
        }
    }
    Ok(bytes)
}
