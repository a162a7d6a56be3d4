//! The whole conversion: calibrate, quantize, plan, emit.

pub mod search;

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Slice};

use crate::aligned::AlignedBytes;
use crate::calibrate::{self, Method, Range, Samples};
use crate::chain::{self, Chain, Fitted};
use crate::emit::{self, Emitted, Extras};
use crate::ir::{Graph, Kind, ValueId};
use crate::passes::{split_weights, wide};
use crate::plan::Plan;
use crate::program::Program;
use crate::quantize::{self, QuantParams, Width, Widths};
use crate::state::{self, Rollout};
use crate::stream::{self, Stream, Streamed};

/// How many bits the weights of convolutions and fully connected layers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weights {
    /// 8; or 16, if activations are int16 and 8 alone cost too much: see [`NEAR_ENOUGH`].
    #[default]
    Auto,
    /// 8.
    Int8,
    /// 16, for twice the memory and the multiply-accumulates: see [`split_weights::run`].
    Int16,
}

/// With [`Weights::Auto`] weights have 8 bits if the float model with weights so rounded comes so near to itself.
pub const NEAR_ENOUGH: f64 = 0.9997;

impl FromStr for Weights {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "8" | "int8" => Ok(Self::Int8),
            "16" | "int16" => Ok(Self::Int16),
            _ => bail!("weights of {text:?} bits: auto, 8 or 16"),
        }
    }
}

/// What the user chooses.
#[derive(Debug, Clone)]
pub struct Options {
    /// How ranges are chosen.
    pub method: Method,
    /// For each graph input the range that it has by definition, such as that of preprocessed pixels; `None`: as
    /// calibrated.
    pub input_ranges: Vec<Option<Range>>,
    /// The type of activations.
    pub activations: Width,
    /// Bits of the weights of convolutions and fully connected layers.
    pub weights: Weights,
    /// Layers that read and write int16 whatever [`Options::activations`] says: see [`Widths::keep`].
    pub keep_int16: Vec<String>,
    /// How much worse than float the model may be, in percent: see [`search`]. As few activations as it takes become
    /// int16, beside those that the other options ask for.
    pub max_drop: Option<f64>,
    /// Most bytes of arena: see [`chain::fit`].
    pub max_arena: Option<usize>,
    /// What a run takes if the model, one of a window, is to become one of a stream: see [`stream`]. Samples are windows.
    pub stream: Option<Stream>,
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
            activations: Width::Int8,
            weights: Weights::Auto,
            keep_int16: Vec::new(),
            max_drop: None,
            max_arena: None,
            stream: None,
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
    /// What [`Options::max_drop`] led to.
    pub search: Option<search::SearchReport>,
    /// What [`Options::max_arena`] led to.
    pub chains: Vec<Chain>,
    /// What [`Options::stream`] led to.
    pub streamed: Option<Streamed>,
}

/// Converts `graph` (after [`crate::passes::run`]), calibrated on `samples`.
///
/// A model that is quantized throughout needs no calibration: `samples` may be empty, and the self-test then runs on
/// bytes of every value.
///
/// `tick` is called [`calibrate::passes`] times `samples.len()` times in all, and then, with [`Options::max_drop`], once
/// for each of [`search::candidates`].
///
/// # Errors
/// If calibration is needed and fails, a node has no form in the runtime, or no widths reach [`Options::max_drop`]; the message names
/// the node.
pub fn convert(graph: &Graph, samples: &dyn Samples, options: &Options, tick: &(dyn Fn() + Sync)) -> Result<Converted> {
    options.stream.iter().try_for_each(|stream| stream.check(graph))?;
    let fine = match options.weights {
        Weights::Int8 => false,
        Weights::Int16 => true,
        Weights::Auto => {
            options.activations == Width::Int16
                && !samples.is_empty()
                && split_weights::fidelity(graph, &Rollout::new(graph, samples)?)? < NEAR_ENOUGH
        }
    };
    let (mut split, mut options) = (graph.clone(), options.clone());
    let int16 = options.activations == Width::Int16 || options.max_drop.is_some() || !options.keep_int16.is_empty();
    if int16 {
        wide::run(&mut split)?;
    }
    if fine {
        split_weights::run(&mut split)?;
        options.metadata.push(("weights".to_string(), "16 bits, as the sum of two layers".to_string()));
    }
    let (graph, options) = (&split, &options);
    let missing = quantize::uncalibrated(graph);
    ensure!(missing.is_empty() || !samples.is_empty(), "{}", calibration_wanted(graph, &missing));
    if samples.is_empty() {
        return finish(graph, vec![None; graph.values.len()], samples, options, tick);
    }
    let methods: &[Method] = match options.method {
        // State makes a sample a run of several: their outputs are not compared. Nor are those of pinned ranges.
        Method::Auto if graph.states.is_empty() && !missing.is_empty() => &calibrate::CANDIDATES,
        Method::Auto => &[Method::MinMax],
        ref method => std::slice::from_ref(method),
    };
    let mut ranges = calibrate::calibrate(graph, &Rollout::new(graph, samples)?, methods, tick)?;
    let best = if methods.len() > 1 { most_faithful(graph, &ranges, samples, options)? } else { 0 };
    finish(graph, ranges.swap_remove(best), samples, options, tick)
}

/// Which of several choices of ranges agrees best with the float model on the samples, with the widths that the options
/// name.
fn most_faithful(
    graph: &Graph,
    ranges: &[Vec<Option<Range>>],
    samples: &dyn Samples,
    options: &Options,
) -> Result<usize> {
    let reference = calibrate::Reference::new(graph, samples)?;
    let options = Options { max_drop: None, max_arena: None, stream: None, self_test: false, ..options.clone() };
    let score = |ranges: &Vec<Option<Range>>| {
        let converted = finish(graph, ranges.clone(), samples, &options, &|| {})?;
        reference.fidelity(&converted.file)
    };
    let mut best = (0, score(&ranges[0])?);
    for (index, ranges) in ranges.iter().enumerate().skip(1) {
        let found: calibrate::Fidelity = score(ranges)?;
        if found.better_than(&best.1) {
            best = (index, found);
        }
    }
    Ok(best.0)
}

/// Converts with these ranges.
fn finish(
    graph: &Graph,
    mut ranges: Vec<Option<Range>>,
    samples: &dyn Samples,
    options: &Options,
    tick: &(dyn Fn() + Sync),
) -> Result<Converted> {
    let mut widths = Widths::keep(graph, options.activations, &options.keep_int16)?;
    for (i, port) in graph.inputs.iter().enumerate() {
        let range = &mut ranges[port.value.0];
        match options.input_ranges.get(i).copied().flatten() {
            Some(known) => *range = Some(known),
            // As for what is computed: int16 has room for louder inputs than those of the calibration set.
            None if widths.is_int16(port.value) => *range = range.map(Range::with_headroom),
            None => {}
        }
    }
    let mut graph = graph.clone();
    calibrate::raise_masks(&mut graph, &ranges);
    ranges.resize(graph.values.len(), None);
    state::settle(&mut graph, &mut ranges, &widths)?;
    let graph = &graph;
    let calibrated = Calibrated { graph, ranges: &ranges };
    let search = match options.max_drop {
        Some(max_drop) => {
            ensure!(!samples.is_empty(), "a largest drop is measured on samples: give a calibration set");
            ensure!(graph.states.is_empty(), "a largest drop is measured without state: name layers to keep in int16");
            let found = search::search(&calibrated, samples, &widths, max_drop, tick)?;
            widths = found.widths;
            Some(found.report)
        }
        None => None,
    };
    let self_test = match options.self_test {
        true if samples.is_empty() => Some(SelfTest::EveryByte),
        true => Some(SelfTest::Sample(samples.inputs(0)?)),
        false => None,
    };
    let mut metadata = options.metadata.clone();
    metadata.extend(widths.describe(graph).map(|text| ("activations".to_string(), text)));
    let Lowered { program, self_test_input, streamed } =
        calibrated.lower(&widths, self_test.as_ref(), options.stream.as_ref())?;
    metadata.extend(streamed.as_ref().map(|streamed| ("stream".to_string(), streamed.describe())));
    let extras = Extras { metadata, debug_names: options.debug_names, self_test_input, ..Extras::default() };
    let (Emitted { file, plan }, chains) = match options.max_arena {
        Some(limit) => {
            let Fitted { program, plan, chains } = chain::fit(&program, limit)?;
            (emit::emit_planned(&program, plan, &extras)?, chains)
        }
        None => (emit::emit(&program, &extras)?, Vec::new()),
    };
    Ok(Converted { file, plan, search, chains, streamed })
}

/// A float graph and the ranges of its activations.
struct Calibrated<'g> {
    graph: &'g Graph,
    ranges: &'g [Option<Range>],
}

/// Steps, and what else comes of a graph.
struct Lowered {
    program: Program,
    self_test_input: Option<Vec<u8>>,
    streamed: Option<Streamed>,
}

impl Calibrated<'_> {
    /// The file with activations of these widths.
    fn emit(&self, widths: &Widths) -> Result<Emitted> {
        let program = self.lower(widths, None, None)?.program;
        emit::emit(&program, &Extras { debug_names: false, ..Extras::default() })
    }

    /// The steps with activations of these widths, as a stream if one is wanted.
    fn lower(&self, widths: &Widths, self_test: Option<&SelfTest>, stream: Option<&Stream>) -> Result<Lowered> {
        let mut graph = self.graph.clone();
        let mut quant = quantize::assign(&mut graph, self.ranges, widths)?;
        let streamed = stream.map(|stream| stream::unroll(&mut graph, &mut quant, stream)).transpose()?;
        let program = quantize::lower::lower(&graph, &quant)?;
        let self_test_input = self_test.map(|self_test| self_test.bytes(&graph, &quant)).transpose()?;
        Ok(Lowered { program, self_test_input, streamed })
    }
}

/// What the embedded self-test runs on.
enum SelfTest {
    /// Real inputs; of a window the first columns, as many as a run of the stream takes.
    Sample(Vec<ArrayD<f32>>),
    /// Every byte in turn, where inputs are quantized numbers; zeros for indices.
    EveryByte,
}

impl SelfTest {
    /// The bytes of all inputs, one after another.
    fn bytes(&self, graph: &Graph, quant: &[Option<QuantParams>]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (i, port) in graph.inputs.iter().enumerate() {
            let value = graph.value(port.value);
            let quant = quant[port.value.0].with_context(|| format!("input {}: no quantization", port.name))?;
            match self {
                Self::Sample(inputs) => {
                    let input = inputs.get(i).context("an input is missing")?;
                    let taken = input.slice_each_axis(|axis| Slice::from(..value.shape[axis.axis.index()]));
                    bytes.extend(quant.quantized(&taken));
                }
                // 167 is odd: 256 bytes in a row are all different, and neighbours lie far apart.
                Self::EveryByte => {
                    let factor = if value.kind == Kind::Real { 167 } else { 0 };
                    bytes.extend((0..value.len() * quant.data_type.size()).map(|i| (i as u8).wrapping_mul(factor)));
                }
            }
        }
        Ok(bytes)
    }
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
