//! `docs/operators.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::path::Path;

use crate::Outcome;
use crate::case::Case;

/// The outcome of a case.
pub(crate) struct Row {
    name: String,
    /// None: a function of several nodes.
    operator: Option<String>,
    float: bool,
    outcome: Outcome,
}

impl Row {
    pub(crate) fn new(case: &Case, outcome: Outcome) -> Self {
        Row { name: case.name.clone(), operator: case.operator().map(str::to_string), float: case.is_float(), outcome }
    }

    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self.outcome, Outcome::Wrong(_))
    }

    /// The advice at the end of an error, which is the same for all cases that fail in one way.
    fn reason(&self) -> Option<String> {
        let Outcome::Refused(text) = &self.outcome else { return None };
        let last = text.lines().last().unwrap_or_default();
        let advice = last.rsplit_once("): ").or_else(|| last.split_once("]: ")).map_or(last, |(_, advice)| advice);
        let advice = advice.split(": ").last().unwrap_or(advice);
        Some(advice.trim().replace('|', "\\|"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(f, "passed  {}", self.name),
            Outcome::Refused(why) => write!(f, "refused {}: {}", self.name, why.replace('\n', " ")),
            Outcome::Wrong(why) => write!(f, "wrong   {}: {why}", self.name),
        }
    }
}

/// Operators that have float cases of one node and pass all of them.
pub(crate) fn complete(rows: &[Row]) -> BTreeSet<&str> {
    let float = || rows.iter().filter(|r| r.float).filter_map(|r| Some((r.operator.as_deref()?, &r.outcome)));
    let mut complete: BTreeSet<&str> = float().map(|(operator, _)| operator).collect();
    for (operator, outcome) in float() {
        if *outcome != Outcome::Passed {
            complete.remove(operator);
        }
    }
    complete
}

#[derive(Default)]
struct Counts {
    /// Float cases passed and in all.
    float: [usize; 2],
    /// Other cases passed and in all.
    other: [usize; 2],
    reasons: BTreeSet<String>,
}

impl Counts {
    fn add(&mut self, row: &Row) {
        let counts = if row.float { &mut self.float } else { &mut self.other };
        counts[0] += usize::from(row.outcome == Outcome::Passed);
        counts[1] += 1;
        self.reasons.extend(row.reason());
    }

    fn write(&self, text: &mut String, name: &str) {
        let part = |[passed, all]: [usize; 2]| if all == 0 { "–".to_string() } else { format!("{passed} of {all}") };
        let mut reasons: Vec<&str> = self.reasons.iter().map(String::as_str).collect();
        if reasons.len() > 2 {
            reasons.truncate(2);
            reasons.push("…");
        }
        let (float, other) = (part(self.float), part(self.other));
        writeln!(text, "| {name} | {float} | {other} | {} |", reasons.join("; ")).unwrap();
    }
}

const HEAD: &str = "# Operators

What becomes of ONNX's own node tests (`onnx` 1.19.1), written by the test that runs them:

```sh
TEFF_OVERWRITE_GOLDENS=1 cargo test --release -p teff-tools --test onnx_nodes
```

A case is converted in up to three forms: with all its inputs as inputs, with all but the first float input as constants,
and with all but the first input. It has **passed** if one form, run in integers, gives the expected output, and is
**refused** if all end in a clear error before anything is flashed. No case may be wrong in any form: the test fails then.

**What counts as the expected output.** The float graph must give it to 10⁻³. For the integer model the tolerance follows
from the quantization steps alone: the float graph is evaluated three times more with every activation rounded to its step
on the device (to nearest, all up, all down), and exact arithmetic in between. Where D is the largest deviation of these
from the expected output, the integer model may deviate by 2·D, and by 2 steps of the output (of int8, if weights of 8 bits
take part). Integers and truth values must be the expected ones, or those of the evaluation rounded to nearest, on which
alone the device can decide. Where that one is off by more than a quarter of the output's largest magnitude, the case says
nothing and counts as refused. A case must pass with int8 and with int16 activations; its own input is the calibration set.

*Float* cases have a float32 input first and float32, integer or truth values beside it; the other cases have other types
(float16, strings, sequences, uint8 …). The last column gives up to two reasons for which cases were refused.

**Quantized operators** (QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, and those with QLinear or Integer in their
names) are run under the scales that the case prescribes, in int8 alone, and calibrated only where an input is float. An
integer of the result may be one off, since Teff rounds a half up and ONNX to even; a real number half a step of its scale.
(Four cases of QLinearMatMul expect a result beyond int8 to wrap around. By ONNX's definition, and in ONNX Runtime, it
saturates: that is what counts here.)
";

/// Writes the document, or compares it.
///
/// # Panics
/// If it differs from the one in the repository.
pub(crate) fn document(rows: &[Row]) {
    let mut operators: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut functions = Counts::default();
    for row in rows {
        match row.operator.as_deref() {
            Some(operator) => operators.entry(operator).or_default().add(row),
            None => functions.add(row),
        }
    }
    let passed = rows.iter().filter(|r| r.outcome == Outcome::Passed).count();
    let complete = complete(rows);
    let mut text = HEAD.to_string();
    writeln!(text, "\nOf {} cases {passed} pass, {} are refused, 0 are wrong.", rows.len(), rows.len() - passed)
        .unwrap();
    writeln!(text, "{} operators pass all their float cases of one node.", complete.len()).unwrap();
    writeln!(text, "\n| operator | float cases passed | other cases passed | why refused |\n|---|---|---|---|")
        .unwrap();
    for (name, counts) in &operators {
        counts.write(&mut text, &if complete.contains(name) { format!("**{name}**") } else { name.to_string() });
    }
    functions.write(&mut text, "*functions of several nodes*");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators.md");
    if std::env::var_os("TEFF_OVERWRITE_GOLDENS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = stored.lines().zip(text.lines());
    let different = lines.find(|(stored, found)| stored != found);
    assert!(stored == text, "docs/operators.md is not up to date (TEFF_OVERWRITE_GOLDENS=1): {different:?}");
}
