//! Language models: converted from ../shared/lm, held against their reference outputs.

mod boards;
mod exports;
mod window;

use std::fs;
use std::fs::File;
use std::path::Path;

use ndarray::Array1;
use ndarray_npy::NpzReader;
use serde_json::Value;
use teff::Model;
use teff::lm::{Tokenizer, sample};
use teff_tests::{note, shared, slow};
use teff_tools::aligned::AlignedBytes;
use teff_tools::lm::convert::{Options, convert};
use teff_tools::lm::network::Network;
use teff_tools::lm::perplexity::perplexity;
use teff_tools::lm::program::Layout;
use teff_tools::lm::quantize::{Rounding, Width};
use teff_tools::lm::{float, folder, host, onnx, tokenizer};

pub(crate) const W8: Width = Width { bits: 8, group: 0 };
pub(crate) const LAYOUT: Layout = Layout { activations: 16, context: 512, sinks: None, prefill: 8, verify: 0 };

pub(crate) fn documents(lm: &Path, tokenizer: &Tokenizer<'_>) -> Vec<Vec<u16>> {
    let text = fs::read_to_string(lm.join("tinystories_val_256k.txt")).expect("the text");
    host::documents(&text).iter().map(|text| host::encode(tokenizer, text).expect("it encodes")).collect()
}

/// Calibrated on the documents behind the first hundred, or on what the model itself writes.
pub(crate) fn converted(lm: &Path, weights: Width, layout: Layout, own_text: bool) -> AlignedBytes {
    let network = folder::read(&lm.join("hf")).expect("the folder");
    converted_network(&network, lm, weights, layout, own_text)
}

fn converted_network(network: &Network, lm: &Path, weights: Width, layout: Layout, own_text: bool) -> AlignedBytes {
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
    convert(network, &calibration, &options, &|| {}).expect("it converts").file
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
    let own = folder::read(&lm.join("hf")).expect("the folder");
    follows_the_float_engine(&lm, "hf", &own);
    let tokens: Vec<u32> = (1..100).collect();
    let expected = float::logits(&own, &tokens);
    for name in ["stories260k_with_past.onnx", "stories260k_prefill.onnx"] {
        let network = onnx::read(&lm.join(name), LAYOUT.context).unwrap_or_else(|e| panic!("{e:#}"));
        let far = (float::logits(&network, &tokens) - &expected).fold(0.0_f32, |m, d| m.max(d.abs()));
        assert!(far < 1e-3, "{name}: logits differ from the folder's by {far}");
        follows_the_float_engine(&lm, name, &network);
    }
}

/// Converts a network and holds its greedy tokens against those of llama2.c.
fn follows_the_float_engine(lm: &Path, name: &str, network: &Network) {
    let file = converted_network(network, lm, W8, LAYOUT, true);
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
        note(&format!("{name}, {text:?}: {generated} of {} tokens as run.c", expected.len() + 1 - prompt.len()));
        assert!(generated >= 100.min(expected.len() + 1 - prompt.len()), "{text:?}: only {generated}");
    }
}

/// Ids of all documents equal those of Hugging Face's `tokenizers` (stored with the text), and decode to the text.
#[test]
fn all_documents_have_the_tokens_of_the_reference() {
    let Some(lm) = shared("lm") else { return };
    let section = tokenizer::read(&lm.join("hf/tokenizer.json"), Some(1), Some(2)).expect("the tokenizer");
    let tokenizer = Tokenizer::verify(&section).expect("a valid section");
    let mut npz =
        NpzReader::new(File::open(lm.join("tinystories_val_256k_ids.npz")).expect("the ids")).expect("an .npz");
    let ids: Array1<i16> = npz.by_name("ids").expect("ids");
    let offsets: Array1<i32> = npz.by_name("offsets").expect("offsets");
    let text = fs::read_to_string(lm.join("tinystories_val_256k.txt")).expect("the text");
    let texts = host::documents(&text);
    assert_eq!((texts.len(), offsets.len()), (347, 348));
    for (place, text) in texts.into_iter().enumerate() {
        let range = offsets[place] as usize..offsets[place + 1] as usize;
        let expected: Vec<u16> = ids.as_slice().expect("contiguous")[range].iter().map(|&id| id as u16).collect();
        let found = host::encode(&tokenizer, text).expect("it encodes");
        assert_eq!(found, expected, "document {place}");
        assert_eq!(host::decode(&tokenizer, &found).expect("it decodes"), text, "document {place}");
    }
}

/// 20,000 tokens in 256 slots: as surprised as the float model under the same policy, to the end.
#[test]
fn a_window_slides_for_ever() {
    const TOKENS: usize = 20_000;
    const PART: usize = 2_000;
    const SINKS: usize = 4;
    if !slow("20,000 tokens in 256 slots") {
        return;
    }
    let Some(lm) = shared("lm") else { return };
    let file = converted(&lm, W8, Layout { context: 256, sinks: Some(SINKS), ..LAYOUT }, false);
    let model = Model::verify(&file).expect("a valid file");
    let tokens: Vec<u16> = documents(&lm, &Tokenizer::of(&model).expect("a tokenizer")).concat();
    let network = folder::read(&lm.join("hf")).expect("the folder");
    let mut reference = window::Window::new(&network, 256, SINKS);
    let mut memory = host::memory(&model);
    let mut here = host::language_model(&model, &mut memory).expect("a language model");
    let (mut parts, mut apart) = (Vec::new(), 0.0_f64);
    for part in 0..TOKENS / PART {
        let mut nats = [0.0; 2];
        for pair in tokens[part * PART..=(part + 1) * PART].windows(2) {
            here.feed(&pair[..1]).expect("there is always room");
            let logits: Array1<f32> = here.logits().expect("logits").iter().map(|&l| l as f32 / 65_536.0).collect();
            let surprises = [logits, reference.feed(pair[0].into())].map(|l| float::surprise(l.view(), pair[1].into()));
            apart += (surprises[0] - surprises[1]).abs();
            nats = [nats[0] + surprises[0], nats[1] + surprises[1]];
        }
        parts.push(nats.map(|nats| (nats / PART as f64).exp()));
        note(&format!("tokens up to {}: perplexity {:.4?}", (part + 1) * PART, parts[part]));
    }
    let apart = apart / TOKENS as f64;
    note(&format!("mean difference of a token's surprise: {apart:.4} nats"));
    assert!(parts.iter().all(|[found, expected]| (found / expected - 1.0).abs() < 0.01), "{parts:?}");
    assert!(apart < 0.05, "{apart}");
}
