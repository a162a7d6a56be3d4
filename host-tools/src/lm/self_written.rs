//! Texts that a model writes itself, to be calibrated on where no others are given (as in Liu et al., "LLM-QAT: Data-Free
//! Quantization Aware Training for Large Language Models", 2023).

use anyhow::Result;
use rayon::prelude::*;
use teff::Model;
use teff::lm::{Random, Sampling, Tokenizer, sample};

use super::convert::{CALIBRATION_TOKENS, Options, emit_quantized, quantize_network};
use super::host;
use super::network::Network;
use super::program::Layout;
use super::quantize::{Rounding, Width};

/// Most tokens of a text.
const LENGTH: usize = 256;
/// Products of weights that writing may cost: a minute or two.
const PRODUCTS: usize = 1 << 35;
/// Seed of the first text.
const SEED: u64 = 30_000;
/// Fewest tokens in all.
const FEWEST: usize = 2_048;

/// Texts as `network` writes them at temperature 1, each with a seed of its own; weights are rounded to the nearest of 8
/// bits for that.
///
/// # Errors
/// As [`super::convert::convert`].
pub(super) fn self_written(network: &Network, options: &Options) -> Result<Vec<Vec<u32>>> {
    let layout =
        Layout { activations: 16, context: network.architecture.context.min(LENGTH), sinks: None, ..options.layout };
    let draft = Options {
        weights: Width { bits: 8, group: 0 },
        widths: Vec::new(),
        rounding: Rounding::Nearest,
        layout,
        ..options.clone()
    };
    let file = emit_quantized(&quantize_network(network, &[], &draft, &|| {})?, &draft)?.file;
    let model = Model::verify(&file)?;
    let tokenizer = Tokenizer::of(&model).ok();
    let ends = [tokenizer.and_then(|t| t.bos()), tokenizer.and_then(|t| t.eos())];
    let tokens = PRODUCTS.checked_div(network.parameters()).unwrap_or(0).clamp(FEWEST, CALIBRATION_TOKENS);
    let write = |index: u64| -> Result<Vec<u32>> {
        let mut random = Random(SEED + index);
        let mut memory = host::memory(&model);
        let mut lm = host::language_model(&model, &mut memory)?;
        let any = random.below(network.architecture.vocabulary as u32) as u16;
        let mut token = ends[0].unwrap_or(any);
        let mut text = vec![token.into()];
        while lm.room() > 1 {
            lm.feed(&[token])?;
            let sampling = Sampling { temperature: sample::ONE, ..Sampling::default() };
            match sample::sample(lm.logits()?, &sampling, &mut random) {
                Some(next) if !ends.contains(&Some(next)) => token = next,
                _ => break,
            }
            text.push(token.into());
        }
        Ok(text)
    };
    // As many texts as it takes if all are as long as can be; short ones make it fewer tokens.
    (0..tokens.div_ceil(layout.context) as u64).into_par_iter().map(write).collect()
}
