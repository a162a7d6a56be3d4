//! Language models: converted from ../shared/lm, held against their reference outputs.

use std::fs;
use std::path::Path;

use serde_json::Value;
use teff::Model;
use teff::lm::{Tokenizer, sample};
use teff_tests::{note, shared};
use teff_tools::aligned::AlignedBytes;
use teff_tools::lm::convert::{Options, convert};
use teff_tools::lm::perplexity::perplexity;
use teff_tools::lm::program::Layout;
use teff_tools::lm::quantize::{Rounding, Width};
use teff_tools::lm::{folder, host, tokenizer};

const W8: Width = Width { bits: 8, group: 0 };
const LAYOUT: Layout = Layout { activations: 16, context: 512, sinks: None, prefill: 8, verify: 0 };

fn documents(lm: &Path, tokenizer: &Tokenizer<'_>) -> Vec<Vec<u16>> {
    let text = fs::read_to_string(lm.join("tinystories_val_256k.txt")).expect("the text");
    host::documents(&text).iter().map(|text| host::encode(tokenizer, text).expect("it encodes")).collect()
}

/// Calibrated on the documents behind the first hundred, or on what the model itself writes.
fn converted(lm: &Path, weights: Width, layout: Layout, own_text: bool) -> AlignedBytes {
    let network = folder::read(&lm.join("hf")).expect("the folder");
    let section = tokenizer::read(&lm.join("hf/tokenizer.json"), Some(1), Some(2)).expect("the tokenizer");
    let texts = documents(lm, &Tokenizer::verify(&section).expect("a valid section"));
    let first = if own_text { texts.len() } else { 100 };
    let calibration: Vec<Vec<u32>> = texts[first..].iter().map(|t| t.iter().map(|&t| t.into()).collect()).collect();
    let options = Options {
        weights,
        widths: Vec::new(),
        rounding: Rounding::Alternating,
        layout,
        metadata: Vec::new(),
        tokenizer: section.to_vec(),
        debug_names: true,
    };
    convert(&network, &calibration, &options, &|| {}).expect("it converts").file
}

fn measured(lm: &Path, weights: Width, activations: u32, own_text: bool) -> f64 {
    let file = converted(lm, weights, Layout { activations, ..LAYOUT }, own_text);
    let model = Model::verify(&file).expect("a valid file");
    let texts = documents(lm, &Tokenizer::of(&model).expect("a tokenizer"));
    let found = perplexity(&model, &texts[..100], &|| {}).expect("it runs");
    assert_eq!(found.tokens, 33_694);
    note(&format!(
        "{weights:?}, A{activations}, own text {own_text}: perplexity {:.4}, file {}",
        found.perplexity,
        file.len()
    ));
    found.perplexity
}

#[test]
fn perplexities_are_as_promised() {
    let Some(lm) = shared("lm") else { return };
    let g32 = |bits| Width { bits, group: 32 };
    let found = [
        measured(&lm, W8, 16, false),
        measured(&lm, W8, 8, false),
        measured(&lm, g32(4), 16, false),
        measured(&lm, g32(2), 16, false),
        measured(&lm, W8, 16, true),
        measured(&lm, g32(4), 16, true),
    ];
    let limits = [3.590, 3.600, 3.80, 30.0, 3.590, 3.80];
    assert!(found.iter().zip(limits).all(|(found, limit)| *found <= limit), "{found:?}");
}

#[test]
fn greedy_tokens_are_those_of_the_float_engine() {
    let Some(lm) = shared("lm") else { return };
    let file = converted(&lm, W8, LAYOUT, true);
    let model = Model::verify(&file).expect("a valid file");
    let reference: Value =
        serde_json::from_str(&fs::read_to_string(lm.join("reference_greedy.json")).expect("the reference"))
            .expect("JSON");
    let ids = |value: &Value| -> Vec<u16> {
        value.as_array().expect("a list").iter().map(|id| id.as_u64().expect("an id") as u16).collect()
    };
    let tokenizer = Tokenizer::of(&model).expect("a tokenizer");
    for generation in reference["generations"].as_array().expect("a list") {
        let prompt = ids(&generation["prompt_ids"]);
        let expected = ids(&generation["output_ids"]);
        let text = generation["prompt"].as_str().expect("a prompt");
        assert_eq!(host::encode(&tokenizer, text).expect("it encodes"), prompt);
        let mut memory = host::memory(&model);
        let mut lm = host::language_model(&model, &mut memory).expect("a language model");
        lm.feed(&prompt).expect("it fits");
        let mut agreed = prompt.len() - 1;
        assert_eq!(expected[..agreed], prompt[1..]);
        loop {
            let token = sample::argmax(lm.logits().expect("logits")).expect("a token");
            if expected.get(agreed) != Some(&token) {
                break;
            }
            agreed += 1;
            lm.feed(&[token]).expect("it fits");
        }
        let generated = agreed + 1 - prompt.len();
        note(&format!("{text:?}: {generated} of {} tokens as run.c", expected.len() + 1 - prompt.len()));
        assert!(generated >= 100.min(expected.len() + 1 - prompt.len()), "{text:?}: only {generated}");
    }
}
