//! Decoders as different exporters write them (tests/setup/language-models.sh), against ONNX Runtime.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use teff::Model;
use teff_tests::note;
use teff_tools::lm::convert::{Options, convert};
use teff_tools::lm::program::Layout;
use teff_tools::lm::quantize::Rounding;
use teff_tools::lm::{float, host, onnx};

use super::W8;

/// Tokens of the cache.
const CONTEXT: usize = 64;
/// The converted model's largest error, as a part of the largest logit: weights of 8 bits rounded to the nearest, a cache of
/// 8 bits.
const QUANTIZED: f32 = 0.03;
/// The recognised network's.
const EXACT: f32 = 1e-4;

fn folder() -> Option<PathBuf> {
    let path = teff_tests::root().join("target/language-models");
    if path.join(".version").exists() {
        return Some(path);
    }
    assert!(!teff_tests::in_ci(), "the exports are missing: run tests/setup/language-models.sh");
    teff_tests::skip("exports of language models", "tests/setup/language-models.sh has not run");
    None
}

fn models(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut models: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    models.sort();
    models
}

/// Logits of the converted model, token by token.
fn logits(file: &[u8], ids: &[u32]) -> Array2<f32> {
    let model = Model::verify(file).expect("a valid file");
    let mut memory = host::memory(&model);
    let mut lm = host::language_model(&model, &mut memory).expect("a language model");
    let mut all = Array2::zeros((ids.len(), lm.vocabulary()));
    for (&id, mut row) in ids.iter().zip(all.rows_mut()) {
        lm.feed(&[id as u16]).expect("it fits");
        row.iter_mut().zip(lm.logits().expect("logits")).for_each(|(to, logit)| *to = *logit as f32 / 65_536.0);
    }
    all
}

#[test]
fn exports_give_onnx_runtimes_logits() {
    let Some(folder) = folder() else { return };
    let models = models(&folder);
    assert!(models.len() >= 20, "{} models", models.len());
    let mut failures = Vec::new();
    for path in models {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut npz = NpzReader::new(File::open(path.with_extension("npz")).expect("the logits")).expect("an .npz");
        let ids: Array1<i32> = npz.by_name("ids").expect("ids");
        let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
        let expected: Array2<f32> = npz.by_name("logits").expect("logits");
        let network = match onnx::read(&path, CONTEXT) {
            Ok(network) => network,
            Err(error) => {
                failures.push(format!("{name}: {error:#}"));
                continue;
            }
        };
        let options = Options {
            weights: W8,
            widths: Vec::new(),
            rounding: Rounding::Nearest,
            layout: Layout { activations: 16, context: CONTEXT, sinks: None, prefill: 4, verify: 0 },
            metadata: Vec::new(),
            tokenizer: Vec::new(),
            debug_names: true,
        };
        let file = convert(&network, &[], &options, &|| {}).expect("it converts").file;
        let largest = expected.fold(0.0_f32, |m, v| m.max(v.abs()));
        let far = |found: &Array2<f32>| (found - &expected).fold(0.0_f32, |m, d| m.max(d.abs())) / largest;
        let errors = [far(&float::logits(&network, &ids)), far(&logits(&file, &ids))];
        note(&format!("{name}: recognised {:.1e}, converted {:.1e} of the largest logit", errors[0], errors[1]));
        if !(errors[0] < EXACT && errors[1] < QUANTIZED) {
            failures.push(format!("{name}: {errors:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is no network of Teff's is refused, and the message says where it differs.
#[test]
fn what_is_not_recognised_is_named() {
    let Some(folder) = folder() else { return };
    let cases = [
        ("learned_positions", "depends on its position"),
        ("query_norm", "what the graph computes differs"),
        ("alibi", "more than queries and keys"),
        ("side_by_side", "blocks side by side"),
        ("elu", "(Elu)"),
    ];
    for (name, part) in cases {
        let path = folder.join("refused").join(format!("{name}.onnx"));
        let error = onnx::read(&path, CONTEXT).err().unwrap_or_else(|| panic!("{name} was accepted"));
        let text = format!("{error:#}");
        note(&format!("{name}: {text}"));
        assert!(text.contains(part) && text.contains("node /"), "{name}: {text}");
    }
}
