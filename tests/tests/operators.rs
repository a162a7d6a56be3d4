//! Every operator of the runtime: golden cases against float, and their bits against the goldens.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use teff::lm::sample;
use teff::ops::ALL;
use teff::{Model, Session};
use teff_tests::cases::language::{self, LanguageCase};
use teff_tests::cases::{Case, all};
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::convert;
use teff_tools::interpreter::{Interpreter, seen_inputs};
use teff_tools::ir::eval::eval;
use teff_tools::lm::{float, host};
use teff_tools::quantize::Width;
use zerocopy::IntoBytes;

/// Converts and runs a case; gives the names of the operators that it used and the CRC of all outputs.
fn run(case: &Case, activations: Width) -> (HashSet<&'static str>, u32) {
    let name = format!("{} in {activations:?}", case.name);
    let converted = convert(&case.graph, &case.samples, &case.options(activations), &|| {})
        .unwrap_or_else(|e| panic!("{name}: {e:#}"));
    let model = Model::verify(&converted.file).unwrap();
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    Session::new(&model, &mut memory).unwrap().self_test().unwrap_or_else(|e| panic!("{name}: {e}"));

    // The float graph gets the very inputs that the quantized model sees.
    let inputs = &case.samples[0];
    let outputs = Interpreter::new(&model).run(inputs).unwrap();
    let expected = eval(&case.graph, &seen_inputs(&model, inputs).unwrap()).unwrap();
    let mut crc = teff::Crc32::new();
    let ports = model.entry(0).unwrap().outputs();
    for (i, ((port, output), y)) in ports.zip(&outputs).zip(&expected).enumerate() {
        let tensor = port.tensor().unwrap();
        assert_eq!(output.device.shape(), y.shape(), "{name}");
        // A result outside the calibrated range saturates: that is no fault of the operator.
        let (min, max) = tensor.data_type.range();
        let (low, high) = (tensor.dequantize(min), tensor.dequantize(max));
        let steps = case.steps(activations);
        for (at, (&found, &real)) in output.device.iter().zip(y).enumerate() {
            let error = (found - real.clamp(low, high)).abs() / tensor.scale;
            assert!(error <= steps, "{name}: output {i}, element {at}: {error:.2} steps off ({found} for {real})");
        }
        crc.update(&output.bytes);
    }
    (model.steps().map(|step| step.op.name).collect(), crc.finish())
}

/// Feeds a language model and holds its logits against float; gives its operators and the CRC of all logits.
fn run_language(case: &LanguageCase) -> (HashSet<&'static str>, u32) {
    let name = case.name;
    let model = Model::verify(&case.file).unwrap();
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    Session::new(&model, &mut memory).unwrap().self_test().unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut lm = host::language_model(&model, &mut memory).unwrap();
    let tokens: Vec<u32> = case.tokens.iter().map(|&token| token.into()).collect();
    let expected = float::logits(&case.network, &tokens);
    let mut crc = teff::Crc32::new();
    let mut likeliest = Vec::new();
    for (token, expected) in case.tokens.iter().zip(expected.rows()) {
        lm.feed(&[*token]).unwrap();
        let logits = lm.logits().unwrap();
        let largest = expected.fold(0.0, |m: f32, x| m.max(x.abs()));
        for (&found, &real) in logits.iter().zip(expected) {
            let error = (found as f32 / 65_536.0 - real).abs() / largest;
            assert!(error <= case.tolerance, "{name}: {found} for {real}, {error} of the largest");
        }
        likeliest.push(i32::from(sample::argmax(logits).unwrap()));
        crc.update(logits.as_bytes());
    }
    let last = lm.logits().unwrap().to_vec();
    // Prefill and verify give the bits of decode.
    lm.reset();
    lm.feed(&case.tokens).unwrap();
    assert_eq!(lm.logits().unwrap(), last, "{name}: prefill");
    lm.reset();
    lm.feed(&case.tokens[..2]).unwrap();
    assert_eq!(lm.verify(&case.tokens[2..5]).unwrap(), &likeliest[2..5], "{name}: verify");
    (model.steps().map(|step| step.op.name).collect(), crc.finish())
}

#[test]
fn every_operator_agrees_with_float_and_with_its_goldens() {
    let mut found = BTreeMap::new();
    let mut covered = HashSet::new();
    for (operator, cases) in all() {
        let forms = [operator.to_string(), format!("{operator}_s16"), format!("{operator}_s32")];
        for case in cases {
            for (activations, suffix) in [(Width::Int8, ""), (Width::Int16, "_s16")] {
                let (used, crc) = run(&case, activations);
                covered.extend(used.into_iter().filter(|name| forms.iter().any(|form| form == name)));
                let name = format!("{}{suffix}", case.name);
                assert!(found.insert(name, crc).is_none(), "two cases are named {}", case.name);
            }
        }
        assert!(ALL.iter().any(|op| op.name == operator), "{operator} is no operator of the runtime");
    }
    for case in language::cases() {
        let (used, crc) = run_language(&case);
        covered.extend(used);
        assert!(found.insert(case.name.to_string(), crc).is_none(), "two cases are named {}", case.name);
    }
    for op in ALL {
        assert!(covered.contains(op.name), "operator {} has no golden case that uses it", op.name);
    }

    let text = found.iter().fold(String::new(), |mut text, (name, crc)| {
        writeln!(text, "{name} {crc:08x}").unwrap();
        text
    });
    teff_tests::golden("operators.txt", &text);
}

#[test]
fn ids_are_unique_and_ascend() {
    assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    let names: HashSet<_> = ALL.iter().map(|op| op.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn every_operator_is_in_the_format_document() {
    let document = std::fs::read_to_string(teff_tests::root().join("docs/format.md")).unwrap();
    for op in ALL {
        assert!(document.contains(&format!("| {} | {} |", op.id, op.name)), "docs/format.md lacks {}", op.name);
    }
}

/// The guide's code is the code of the operator that it describes, so that it cannot grow stale.
#[test]
fn the_guide_to_adding_an_operator_quotes_the_tree() {
    let read = |path: &str| std::fs::read_to_string(teff_tests::root().join(path)).unwrap();
    let guide = read("docs/adding-an-operator.md");
    let tree: String = [
        "runtime/src/ops/mod.rs",
        "runtime/src/ops/maximum.rs",
        "host-tools/src/ops/mod.rs",
        "host-tools/src/ops/maximum.rs",
        "tests/src/cases/mod.rs",
    ]
    .map(read)
    .concat();
    let blocks: Vec<&str> = guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 5);
    for block in blocks {
        assert!(tree.contains(block), "docs/adding-an-operator.md quotes what is not in the tree:\n{block}");
    }
}
