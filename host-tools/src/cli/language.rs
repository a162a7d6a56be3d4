//! `teff convert --lm`: a language model, from an ONNX export or a Hugging Face folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;
use teff::Model;
use teff::lm::Tokenizer;

use super::output;
use crate::aligned::AlignedBytes;
use crate::lm::convert::{Options, convert};
use crate::lm::network::Network;
use crate::lm::program::Layout;
use crate::lm::quantize::{Rounding, Width};
use crate::lm::{folder, host, onnx, tokenizer};
use crate::quantize::Width as Activations;
use crate::report::text::grouped;

/// What `--lm` takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Language models (--lm), from an ONNX export or a Hugging Face folder")]
pub(super) struct LanguageArgs {
    /// The model is a language model: an ONNX export, with a cache or without one, or a folder with config.json,
    /// model.safetensors and tokenizer.json
    #[arg(long)]
    pub(super) lm: bool,
    /// Tokens that the cache holds [default: as many as the model was made for, where a config.json says so]
    #[arg(long, value_name = "N", requires = "lm")]
    context: Option<usize>,
    /// The tokenizer of an ONNX export [default: tokenizer.json beside it; without one the file has no tokenizer]
    #[arg(long, value_name = "FILE", requires = "lm")]
    tokenizer: Option<PathBuf>,
    /// Weights that share a scale, a multiple of 16; 0: a whole row [default: 0 for 8 bits, else 32]
    #[arg(long, value_name = "N", requires = "lm")]
    group: Option<usize>,
    /// Other bits for matrices whose name holds a text, such as layers.0.=8 or mlp.down=4
    #[arg(long = "weights-of", value_name = "TEXT=BITS", requires = "lm", value_parser = parse_bits_of)]
    weights_of: Vec<(String, u32)>,
    /// Let the cache slide when it is full, the first N tokens kept
    #[arg(long, value_name = "N", requires = "lm")]
    sinks: Option<usize>,
    /// Tokens that are taken at once from a prompt
    #[arg(long, value_name = "N", default_value_t = 8, requires = "lm")]
    prefill: usize,
    /// Tokens that are verified at once in speculative decoding; 0: none
    #[arg(long, value_name = "N", default_value_t = 0, requires = "lm")]
    verify: usize,
    /// A text to calibrate the rounding of weights with; documents stand between lines <|endoftext|> [default: what the
    /// model itself writes]
    #[arg(long, value_name = "FILE", requires = "lm")]
    text: Option<PathBuf>,
}

/// `layers.0.=8`
fn parse_bits_of(text: &str) -> Result<(String, u32)> {
    let (name, bits) = text.rsplit_once('=').context("wanted TEXT=BITS, such as mlp.down=4")?;
    Ok((name.to_string(), bits.parse()?))
}

#[derive(Serialize)]
struct Summary {
    output: String,
    parameters: usize,
    file_bytes: usize,
    arena_bytes: usize,
    state_bytes: usize,
    context: usize,
}

/// Converts the model and says what came of it.
pub(super) fn main(
    args: &LanguageArgs,
    (weights, activations): (&str, Activations),
    model: &Path,
    out: Option<&Path>,
    debug_names: bool,
    json: bool,
) -> Result<()> {
    let weights: u32 = weights.parse().ok().filter(|bits| [8, 4, 2].contains(bits)).context("--weights: 8, 4 or 2")?;
    let Source { network, tokenizer: section } = Source::read(args, model)?;
    let width = |bits: u32| Width { bits, group: args.group.unwrap_or(if bits == 8 { 0 } else { 32 }) };
    let layout = Layout {
        activations: if activations == Activations::Int8 { 8 } else { 16 },
        context: args.context.unwrap_or(network.architecture.context),
        sinks: args.sinks,
        prefill: args.prefill,
        verify: args.verify,
    };
    if let Some(sinks) = args.sinks {
        ensure!(sinks < layout.context, "--sinks must be less than the context of {}", layout.context);
    }
    let texts = match &args.text {
        Some(path) => {
            ensure!(!section.is_empty(), "--text needs the model's tokenizer: give it with --tokenizer tokenizer.json");
            calibration(path, &Tokenizer::verify(&section)?)?
        }
        None => Vec::new(),
    };
    let text = args.text.as_ref().map(|p| p.display().to_string());
    let metadata = vec![
        ("tool".to_string(), format!("teff {}", env!("CARGO_PKG_VERSION"))),
        ("source".to_string(), model.file_name().unwrap_or_default().to_string_lossy().into_owned()),
        ("calibration".to_string(), text.unwrap_or_else(|| "written by the model itself".into())),
    ];
    let options = Options {
        weights: width(weights),
        widths: args.weights_of.iter().map(|(name, bits)| (name.clone(), width(*bits))).collect(),
        rounding: Rounding::Alternating,
        layout,
        metadata,
        tokenizer: section.to_vec(),
        debug_names,
    };
    let bar = output::progress("quantizing", network.layers.len());
    let emitted = convert(&network, &texts, &options, &|| bar.inc(1)).with_context(|| model.display().to_string())?;
    bar.finish_and_clear();
    let path = out.map_or_else(|| model.with_extension("teff"), Path::to_path_buf);
    output::write_atomically(&path, &emitted.file)?;
    let model = Model::verify(&emitted.file)?;
    let summary = Summary {
        output: path.display().to_string(),
        parameters: network.parameters(),
        file_bytes: emitted.file.len(),
        arena_bytes: model.arena_len(),
        state_bytes: model.state_len(),
        context: options.layout.context,
    };
    if json {
        return output::print_json(&summary);
    }
    output::print(&format!(
        "{}: {} parameters in {} bytes; RAM {} bytes: {} within a run, {} of cache for {} tokens\n",
        summary.output,
        grouped(summary.parameters),
        grouped(summary.file_bytes),
        grouped(summary.arena_bytes + summary.state_bytes),
        grouped(summary.arena_bytes),
        grouped(summary.state_bytes),
        summary.context
    ))
}

/// A model and its tokenizer, wherever they come from.
struct Source {
    network: Network,
    /// The section of the file; empty: none.
    tokenizer: AlignedBytes,
}

impl Source {
    fn read(args: &LanguageArgs, model: &Path) -> Result<Self> {
        if model.is_dir() {
            ensure!(args.tokenizer.is_none(), "--tokenizer is for ONNX exports: a folder has its tokenizer.json");
            let network = folder::read(model)?;
            let config = config(&model.join("config.json"))?;
            return Ok(Self { network, tokenizer: tokenizer_of(&model.join("tokenizer.json"), &config)? });
        }
        let beside = model.parent().unwrap_or(Path::new("")).join("tokenizer.json");
        let tokenizer = args.tokenizer.clone().or_else(|| beside.exists().then_some(beside));
        // What an export does not say stands beside its tokenizer, or beside it.
        let folders = [tokenizer.as_deref().and_then(Path::parent), model.parent()];
        let configs = folders.into_iter().flatten().map(|folder| folder.join("config.json"));
        let config = match configs.into_iter().find(|path| path.exists()) {
            Some(path) => config(&path)?,
            None => Value::Null,
        };
        let stated = config.get("max_position_embeddings").and_then(Value::as_u64).map(|n| n as usize);
        let context = args.context.or(stated).with_context(|| {
            format!(
                "{}: an ONNX export does not say for how many tokens it was made: give --context N",
                model.display()
            )
        })?;
        let tokenizer = match tokenizer {
            Some(path) => tokenizer_of(&path, &config)?,
            None => AlignedBytes::zeroed(0),
        };
        Ok(Self { network: onnx::read(model, context)?, tokenizer })
    }
}

fn config(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The tokenizer, with begin and end of a text as the configuration names them, or else as LLaMA's vocabularies do.
fn tokenizer_of(path: &Path, config: &Value) -> Result<AlignedBytes> {
    let [bos, eos] =
        ["bos_token_id", "eos_token_id"].map(|name| config.get(name).and_then(Value::as_u64).map(|id| id as u32));
    let named = |name: &str| tokenizer::id_of(path, name);
    let (bos, eos) = if config.is_null() { (named("<s>")?, named("</s>")?) } else { (bos, eos) };
    tokenizer::read(path, bos, eos)
}

fn calibration(path: &Path, tokenizer: &Tokenizer<'_>) -> Result<Vec<Vec<u32>>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let tokens = |document: &str| Ok(host::encode(tokenizer, document)?.into_iter().map(u32::from).collect());
    let texts = host::documents(&text).into_iter().map(tokens).collect::<Result<Vec<_>>>()?;
    if texts.is_empty() {
        bail!("{}: holds no text", path.display());
    }
    Ok(texts)
}
