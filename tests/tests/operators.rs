//! Every operator of the runtime: golden cases against float, and their bits against the goldens.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use ndarray::{ArrayD, IxDyn};
use teff::lm::sample;
use teff::ops::ALL;
use teff::{Model, Session};
use teff_tests::cases::language::{self, LanguageCase};
use teff_tests::cases::{Case, all};
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{Options, convert};
use teff_tools::ir::eval::eval;
use teff_tools::lm::{float, host};
use zerocopy::IntoBytes;

/// Converts and runs a case; gives the names of the operators that it used and the CRC of all outputs.
fn run(case: &Case) -> (HashSet<&'static str>, u32) {
    let name = &case.name;
    let converted =
        convert(&case.graph, &case.samples, &Options::default(), &|| {}).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    let model = Model::verify(&converted.file).unwrap();
    let entry = model.entry(0).unwrap();
    let mut memory = AlignedBytes::zeroed(model.memory_len());
    let mut session = Session::new(&model, &mut memory).unwrap();
    session.self_test().unwrap_or_else(|e| panic!("{name}: {e}"));

    // The float graph gets the very inputs that the int8 model sees.
    let mut inputs = Vec::new();
    for (i, (port, x)) in entry.inputs().zip(&case.samples[0]).enumerate() {
        let tensor = port.tensor().unwrap();
        let bytes = session.input(i).unwrap();
        assert!(tensor.write_reals(bytes, x.iter().copied()), "{name}");
        let real = tensor.read_reals(bytes).collect();
        inputs.push(ArrayD::from_shape_vec(IxDyn(x.shape()), real).unwrap());
    }
    session.run().unwrap();
    let expected = eval(&case.graph, &inputs).unwrap();
    let mut crc = teff::Crc32::new();
    for (i, (port, y)) in entry.outputs().zip(&expected).enumerate() {
        let tensor = port.tensor().unwrap();
        let found: Vec<f32> = tensor.read_reals(session.output(i).unwrap()).collect();
        assert_eq!(found.len(), y.len(), "{name}");
        // A result outside the calibrated range saturates: that is no fault of the operator.
        let (min, max) = tensor.data_type.range();
        let (low, high) = (tensor.dequantize(min), tensor.dequantize(max));
        for (at, (&found, &real)) in found.iter().zip(y).enumerate() {
            let error = (found - real.clamp(low, high)).abs() / tensor.scale;
            assert!(error <= case.steps, "{name}: output {i}, element {at}: {error:.2} steps off ({found} for {real})");
        }
        crc.update(session.output(i).unwrap());
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
        for case in cases {
            let (used, crc) = run(&case);
            if used.contains(operator) {
                covered.insert(operator);
            }
            assert!(found.insert(case.name.clone(), crc).is_none(), "two cases are named {}", case.name);
        }
    }
    for case in language::cases() {
        let (used, crc) = run_language(&case);
        covered.extend(used);
        assert!(found.insert(case.name.to_string(), crc).is_none(), "two cases are named {}", case.name);
    }
    // The converter chooses int8 forms only.
    let chosen: Vec<_> = ALL.iter().filter(|op| op.id < teff::ops::S16).collect();
    for op in &chosen {
        assert!(covered.contains(op.name), "operator {} has no golden case that uses it", op.name);
    }
    assert_eq!(covered.len(), chosen.len(), "a case file stands for an operator that the runtime does not have");

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
