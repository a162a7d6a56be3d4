//! Language models on emulated cores: instructions of a token and RAM within budgets, and whole texts with the bits of this
//! machine.

use std::fs;
use std::path::{Path, PathBuf};

use teff::Model;
use teff::lm::sample::ONE;
use teff::lm::{Budget, Generator, Options, Sampling, Tokenizer};
use teff_tests::{available, budget, note, shared, slow};
use teff_tools::aligned::AlignedBytes;
use teff_tools::board::tokens::{self, Wanted, Written};
use teff_tools::board::{self, Board, bench, linux};
use teff_tools::lm::host;
use teff_tools::lm::program::Layout;
use teff_tools::lm::quantize::Width;

use super::{LAYOUT, W8, converted, documents};

const W4: Width = Width { bits: 4, group: 32 };
/// All that a language model of 260,000 parameters may take with 256 tokens in its cache.
const RAM: u64 = 102_400;

/// A file with its path, in a folder that lasts as long.
struct Converted {
    _folder: tempfile::TempDir,
    path: PathBuf,
    file: AlignedBytes,
}

fn convert(lm: &Path, weights: Width, activations: u32) -> Converted {
    let file = converted(lm, weights, Layout { activations, context: 256, ..LAYOUT }, true);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.teff");
    fs::write(&path, &file[..]).expect("it can be written");
    Converted { _folder: folder, path, file }
}

fn machine(name: &str) -> Option<&'static Board> {
    let machine = bench::by_name(name).expect("it is in the table");
    available(name, board::availability(machine)).then_some(machine)
}

/// 256 tokens of the text that no model was calibrated on.
fn text_tokens(lm: &Path, model: &Model<'_>) -> Vec<u16> {
    let texts = documents(lm, &Tokenizer::of(model).expect("a tokenizer"));
    texts.concat().into_iter().take(tokens::TOKENS).collect()
}

fn within_budgets(key: &str, weights: Width, activations: u32, machines: &[&str]) {
    let Some(lm) = shared("lm") else { return };
    let converted = convert(&lm, weights, activations);
    let model = Model::verify(&converted.file).expect("a valid file");
    let text = text_tokens(&lm, &model);
    for machine in machines.iter().filter_map(|name| machine(name)) {
        let report = tokens::measure(machine, &converted.path, &converted.file, &text)
            .unwrap_or_else(|error| panic!("{key}: {error:#}"));
        let costs = report.tokens.expect("it is a language model");
        assert_eq!((costs.first, costs.count), (32, 256));
        let mut figures = vec![("first-32", report.instructions), ("mean-256", costs.mean)];
        if costs.stack.is_some() {
            assert!(costs.ram <= RAM, "{key} on {}: {} bytes of RAM", machine.name, costs.ram);
            figures.push(("ram", costs.ram));
        }
        budget::check(&format!("lm.{key}.{}", machine.name), &figures);
    }
}

#[test]
fn tokens_of_8_bit_weights_stay_within_budgets() {
    within_budgets("stories260k-w8", W8, 16, &["mps2-an386", "mps2-an385-m0", "riscv-virt-imc"]);
}

#[test]
fn tokens_of_8_bit_activations_stay_within_budgets() {
    within_budgets("stories260k-w8a8", W8, 8, &["mps2-an386"]);
}

#[test]
fn tokens_of_4_bit_weights_stay_within_budgets() {
    within_budgets("stories260k-w4", W4, 16, &["mps2-an386", "mps2-an385-m0"]);
}

/// The text that this machine writes.
fn written_here(model: &Model<'_>, wanted: &Wanted<'_>) -> (Vec<u16>, u32) {
    let sampling = Sampling { temperature: wanted.temperature, ..Sampling::default() };
    let budget = Budget::tokens(wanted.count as usize);
    let options = Options { sampling, seed: wanted.seed.into(), stop_tokens: &[], stop_strings: &[], budget };
    let mut memory = host::memory(model);
    let mut lm = host::language_model(model, &mut memory).expect("a language model");
    let mut generator = Generator::new(&mut lm, None, options.seed);
    generator.feed(wanted.prompt).expect("it fits");
    let mut tokens = Vec::new();
    let each = |token| {
        tokens.push(token);
        std::ops::ControlFlow::Continue(())
    };
    generator.generate(&options, each).expect("it writes");
    (tokens, tokens::logits_crc(&mut lm).expect("logits"))
}

/// Texts from a prompt that goes through whole blocks of `prefill`, and from nothing but the token that begins a text;
/// always the likeliest token, and drawn at temperature 1.
fn same_texts(weights: Width, machines: &[&str], count: u32) {
    let Some(lm) = shared("lm") else { return };
    let converted = convert(&lm, weights, 16);
    let model = Model::verify(&converted.file).expect("a valid file");
    let tokenizer = Tokenizer::of(&model).expect("a tokenizer");
    let prompt =
        host::encode(&tokenizer, "Once upon a time, there was a little girl named Lily. She").expect("encodes");
    assert!(prompt.len() > 8, "it fills a block");
    let begin = [tokenizer.bos().expect("a token that begins texts")];
    let wanted = [
        Wanted { prompt: &prompt, seed: 0, temperature: 0, count },
        Wanted { prompt: &begin, seed: 7, temperature: ONE, count },
    ];
    let expected: Vec<(Vec<u16>, u32)> = wanted.iter().map(|wanted| written_here(&model, wanted)).collect();
    note(&format!("{weights:?}: {}", host::decode(&tokenizer, &expected[0].0).expect("it decodes")));
    for machine in machines.iter().filter_map(|name| machine(name)) {
        let found = tokens::write(machine, &converted.path, &wanted).unwrap_or_else(|error| panic!("{error:#}"));
        assert_same(machine.name, found, &expected);
    }
    if machines.len() > 1 && aarch64() {
        let program = linux::build("text").expect("the example builds");
        for cpu in linux::CPUS {
            let found = tokens::write_on_linux(cpu, &program, &converted.path, &wanted);
            assert_same(cpu, found.unwrap_or_else(|error| panic!("{error:#}")), &expected);
        }
    }
}

fn assert_same(place: &str, found: Vec<Written>, expected: &[(Vec<u16>, u32)]) {
    assert_eq!(found.len(), expected.len());
    for (text, (Written { tokens, crc, .. }, expected)) in found.into_iter().zip(expected).enumerate() {
        assert_eq!((&tokens, crc), (&expected.0, expected.1), "{place}, text {text}: not this machine's");
    }
}

/// Whether programs for 64-bit Arm Linux can be run here.
fn aarch64() -> bool {
    available("64-bit Arm", linux::availability())
}

const CORES: [&str; 4] = ["mps2-an386", "mps2-an505", "mps2-an385-m0", "riscv-virt-imc"];

#[test]
fn texts_are_the_same_on_cortex_m4() {
    same_texts(W8, &["mps2-an386"], 64);
}

#[test]
fn whole_texts_are_the_same_everywhere() {
    if slow("texts on all cores") {
        same_texts(W8, &CORES, 200);
        same_texts(W4, &CORES, 200);
    }
}
