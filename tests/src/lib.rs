//! What the suites under `tests/` share.

pub mod budget;
pub mod cases;
pub mod mlperf;
pub mod recorder;
pub mod run;
pub mod surgery;

use std::io::Write;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder of test data that lies beside the repository, if it is there; says so, if it is not.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    skip(&format!("tests on {folder}"), "the folder ../shared is not beside this repository");
    None
}

/// Reports a test that could not run, and why.
pub fn skip(what: &str, why: &str) {
    note(&format!("SKIPPED {what}: {why}"));
}

/// Prints a line, also when the test passes: not through `eprintln!`, which the test harness then keeps to itself.
pub fn note(line: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether this is a CI run, in which nothing of the repository's own may be skipped.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Whether `what` can be tested here; if not, says why.
///
/// # Panics
/// If it cannot, in CI.
pub fn available(what: &str, availability: Result<(), String>) -> bool {
    let Err(why) = availability else { return true };
    assert!(!in_ci(), "{what} cannot be tested, and in CI nothing is skipped: {why}");
    skip(what, &why);
    false
}

/// Whether tests that take more than a minute run: with `TEFF_SLOW_TESTS=1`, as in CI. Says so, if not.
pub fn slow(what: &str) -> bool {
    let wanted = std::env::var_os("TEFF_SLOW_TESTS").is_some();
    if !wanted {
        skip(what, "it takes minutes; TEFF_SLOW_TESTS=1 runs it");
    }
    wanted
}

/// Holds the table of figures `text` against the document `docs/NAME`, whose words must be the same and whose numbers may
/// differ by `tolerance`, since float arithmetic, by which ranges are calibrated, differs from one processor to another; with
/// `TEFF_OVERWRITE_GOLDENS=1` writes it there instead.
///
/// # Panics
/// If they differ; the message shows the first differing word of both.
pub fn figures(name: &str, text: &str, tolerance: f64) {
    let path = root().join("docs").join(name);
    if std::env::var_os("TEFF_OVERWRITE_GOLDENS").is_some() {
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let alike = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= tolerance,
        _ => a == b,
    };
    let mut words = stored.split_whitespace().zip(text.split_whitespace());
    if let Some((stored, found)) = words.find(|(stored, found)| !alike(stored, found)) {
        panic!("docs/{name}: {stored:?}, found {found:?} (TEFF_OVERWRITE_GOLDENS=1 renews it)");
    }
    assert_eq!(stored.split_whitespace().count(), text.split_whitespace().count(), "docs/{name} has other rows");
}

/// Holds a board's log against a golden, as [`golden`] does: its lines of the level INFO, which are the same on every board.
/// What is not, such as how deep the stack goes, is logged at a lower level.
pub fn golden_log(name: &str, log: &[String]) {
    let info: String = log.iter().filter(|line| line.starts_with("INFO")).map(|line| format!("{line}\n")).collect();
    golden(name, &info);
}

/// Holds `text` against `tests/goldens/NAME`; with `TEFF_OVERWRITE_GOLDENS=1` writes it there instead.
///
/// # Panics
/// If they differ; the message shows the first differing line of both.
pub fn golden(name: &str, text: &str) {
    let path = root().join("tests/goldens").join(name);
    if std::env::var_os("TEFF_OVERWRITE_GOLDENS").is_some() {
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = stored.lines().zip(text.lines()).enumerate();
    if let Some((i, (stored, found))) = lines.find(|(_, (stored, found))| stored != found) {
        panic!("tests/goldens/{name}, line {}: golden {stored:?}, found {found:?}", i + 1);
    }
    assert_eq!(stored.lines().count(), text.lines().count(), "tests/goldens/{name} has another number of lines");
}
