//! ONNX's backend node tests: every case gives the expected output in integers, or is refused; nothing is silently wrong.
//!
//! Each case is converted in up to three forms: with all its inputs as inputs, with all but the first float input as constants
//! (the weights of a convolution, the bounds of a clip), and with all but the first input. [`judge`] says what counts as right; [`table`] makes
//! `docs/operators.md` of the outcomes, with `TEFF_OVERWRITE_GOLDENS=1`, or compares it.

mod case;
mod judge;
mod quantized;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;
use teff_tools::{import, passes};

use case::Case;
use table::Row;

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The expected output.
    Passed,
    /// An error, and its text.
    Refused(String),
    /// Another output.
    Wrong(String),
}

/// Converts a case whose inputs of these places are constants, and judges the result.
fn run(case: &Case, constants: &[usize]) -> Outcome {
    let (model, options) = case.model(constants);
    let mut graph = match import::from_model(model, None, &options) {
        Ok(graph) => graph,
        Err(error) => return Outcome::Refused(format!("{error:#}")),
    };
    let judged = passes::run(&mut graph).and_then(|()| {
        if case.is_quantized() {
            return quantized::judge(case, constants, &graph);
        }
        let given = case.given(constants, &graph)?;
        let want = case.wanted(&graph)?;
        judge::judge(&graph, given, &want)
    });
    judged.unwrap_or_else(|error| Outcome::Wrong(format!("{error:#}")))
}

/// The outcome over both forms: wrong if one is, passed if one does.
fn outcome(case: &Case) -> Outcome {
    let run = |constants: &[usize]| {
        let run = || run(case, constants);
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Outcome::Wrong("panic".into()))
    };
    let outcomes: Vec<Outcome> = case.forms().iter().map(|constants| run(constants)).collect();
    let wrong = outcomes.iter().find(|o| matches!(o, Outcome::Wrong(_)));
    wrong.or(outcomes.iter().find(|o| **o == Outcome::Passed)).unwrap_or(&outcomes[0]).clone()
}

#[test]
fn every_node_test_gives_the_expected_output_or_is_refused() {
    let Some(cases) = case::all() else { return };
    assert!(cases.len() > 1000, "only {} cases", cases.len());
    std::panic::set_hook(Box::new(|_| {}));
    let rows: Vec<Row> = cases.par_iter().map(|case| Row::new(case, outcome(case))).collect();
    let _ = std::panic::take_hook();
    for row in &rows {
        println!("{row}");
    }
    let wrong: Vec<String> = rows.iter().filter(|r| r.is_wrong()).map(ToString::to_string).collect();
    let complete = table::complete(&rows).len();
    println!("ONNX node tests: {} cases, {} wrong, {complete} operators complete", rows.len(), wrong.len());
    assert!(wrong.is_empty(), "wrong results:\n{}", wrong.join("\n"));
    table::document(&rows);
    assert!(complete >= 60, "only {complete} operators pass all their float cases");
}
