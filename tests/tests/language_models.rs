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

fn converted(lm: &Path, weights: Width, rounding: Rounding, layout: Layout) -> AlignedBytes {
    let network = folder::read(&lm.join("hf")).expect("the folder");
    let section = tokenizer::read(&lm.join("hf/tokenizer.json"), Some(1), Some(2)).expect("the tokenizer");
    let texts = documents(lm, &Tokenizer::verify(&section).expect("a valid section"));
    let calibration: Vec<Vec<u32>> = texts[100..].iter().map(|t| t.iter().map(|&t| t.into()).collect()).collect();
    let options = Options {
        weights,
        widths: Vec::new(),
        rounding,
        layout,
        metadata: Vec::new(),
        tokenizer: section.to_vec(),
        debug_names: true,
    };
    convert(&network, &calibration, &options, &|| {}).expect("it converts").file
}

fn measured(lm: &Path, weights: Width, rounding: Rounding, activations: u32) -> f64 {
    let file = converted(lm, weights, rounding, Layout { activations, ..LAYOUT });
    let model = Model::verify(&file).expect("a valid file");
    let texts = documents(lm, &Tokenizer::of(&model).expect("a tokenizer"));
    let found = perplexity(&model, &texts[..100], &|| {}).expect("it runs");
    assert_eq!(found.tokens, 33_694);
    note(&format!(
        "{weights:?}, {rounding:?}, A{activations}: perplexity {:.4}, file {}",
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
        measured(&lm, W8, Rounding::Nearest, 16),
        measured(&lm, W8, Rounding::Nearest, 8),
        measured(&lm, g32(4), Rounding::Alternating, 16),
        measured(&lm, g32(2), Rounding::Alternating, 16),
    ];
    let limits = [3.595, 3.600, 3.80, 30.0];
    assert!(found.iter().zip(limits).all(|(found, limit)| *found <= limit), "{found:?}");
}

#[test]
fn greedy_tokens_are_those_of_the_float_engine() {
    let Some(lm) = shared("lm") else { return };
    let file = converted(&lm, W8, Rounding::Nearest, LAYOUT);
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
        assert!(generated >= 40.min(expected.len() + 1 - prompt.len()), "{text:?}: only {generated}");
    }
}
