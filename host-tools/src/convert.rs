//! The whole conversion: calibrate, quantize, plan, emit.

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use zerocopy::IntoBytes;

use crate::aligned::AlignedBytes;
use crate::calibrate::{self, Method, Range, Samples};
use crate::emit::{self, Extras};
use crate::ir::{Graph, Kind, ValueId};
use crate::plan::Plan;
use crate::quantize::{self, QuantParams};
use crate::state::{self, Rollout};

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
/// A model that is quantized throughout needs no calibration: `samples` may be empty, and the self-test then runs on
/// bytes of every value. `tick` is called [`calibrate::passes`] times `samples.len()` times in all.
///
/// # Errors
/// If calibration is needed and fails, or a node has no form in the runtime; the message names the node.
pub fn convert(graph: &Graph, samples: &dyn Samples, options: &Options, tick: &(dyn Fn() + Sync)) -> Result<Converted> {
    let missing = quantize::uncalibrated(graph);
    ensure!(missing.is_empty() || !samples.is_empty(), "{}", calibration_wanted(graph, &missing));
    if missing.is_empty() {
        return finish(graph, vec![None; graph.values.len()], samples, options);
    }
    let methods: &[Method] = match options.method {
        // State makes a sample a run of several: their outputs are not compared.
        Method::Auto if graph.states.is_empty() => &calibrate::CANDIDATES,
        Method::Auto => &[Method::MinMax],
        ref method => std::slice::from_ref(method),
    };
    let ranges = calibrate::calibrate(graph, &Rollout::new(graph, samples)?, methods, tick)?;
    let mut candidates = ranges.into_iter().map(|ranges| finish(graph, ranges, samples, options));
    let mut best = candidates.next().context("no method of calibration")??;
    if methods.len() > 1 {
        let reference = calibrate::Reference::new(graph, samples)?;
        // Models that read or give integers are not compared: the first method serves.
        if let Ok(mut score) = reference.fidelity(&best.file) {
            for candidate in candidates {
                let candidate = candidate?;
                let found: calibrate::Fidelity = reference.fidelity(&candidate.file)?;
                if found.better_than(&score) {
                    (best, score) = (candidate, found);
                }
            }
        }
    }
    Ok(best)
}

/// Converts with these ranges.
fn finish(
    graph: &Graph,
    mut ranges: Vec<Option<Range>>,
    samples: &dyn Samples,
    options: &Options,
) -> Result<Converted> {
    let mut graph = graph.clone();
    for (port, range) in graph.inputs.iter().zip(&options.input_ranges) {
        if range.is_some() {
            ranges[port.value.0] = *range;
        }
    }
    state::settle(&mut graph, &mut ranges)?;
    let quant = quantize::assign(&mut graph, &ranges)?;
    let program = quantize::lower::lower(&graph, &quant)?;
    let self_test_input = match options.self_test {
        true if samples.is_empty() => Some(every_byte(&graph)),
        true => Some(quantized_inputs(&graph, &quant, &samples.inputs(0)?)?),
        false => None,
    };
    let extras = Extras {
        metadata: options.metadata.clone(),
        debug_names: options.debug_names,
        self_test_input,
        ..Extras::default()
    };
    let emitted = emit::emit(&program, &extras)?;
    Ok(Converted { file: emitted.file, plan: emitted.plan })
}

/// Says which values need a calibration set.
pub(crate) fn calibration_wanted(graph: &Graph, missing: &[ValueId]) -> String {
    const SHOWN: usize = 4;
    let names: Vec<&str> = missing.iter().take(SHOWN).map(|&v| graph.value(v).name.as_str()).collect();
    let more = if missing.len() > SHOWN { format!(" and {} more", missing.len() - SHOWN) } else { String::new() };
    let quantized = graph.values.iter().any(|v| v.pin.is_some());
    let so_far = if quantized { "the model is quantized in part only" } else { "the model is not quantized" };
    format!("{so_far}, so a calibration set is needed: {}{more} have no scale", names.join(", "))
}

/// Bytes for all inputs: every value in turn, but index 0 and truth value 0, which any model takes.
fn every_byte(graph: &Graph) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in graph.inputs.iter().map(|p| graph.value(p.value)) {
        match value.kind {
            Kind::Index => bytes.extend(vec![0; 4 * value.len()]),
            Kind::Truth => bytes.extend(vec![0; value.len()]),
            // 167 is odd: 256 bytes in a row are all different, and neighbours lie far apart.
            Kind::Real => bytes.extend((0..value.len()).map(|i| (i as u8).wrapping_mul(167))),
        }
    }
    bytes
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
