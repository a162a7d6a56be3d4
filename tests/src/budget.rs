//! Measured figures held against those of `tests/budgets.toml`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item, Table, value};

/// A figure may leave its budget by this much before it is a regression, or an improvement worth recording.
const TOLERANCE_PERCENT: u64 = 3;

/// Set to renew the file.
const OVERWRITE: &str = "TEFF_OVERWRITE_BUDGETS";

/// Tests of one program may renew figures at the same time.
static FILE: Mutex<()> = Mutex::new(());

/// Holds the figures of `what`, such as `lightcnn-mnist.microbit`, against `tests/budgets.toml`.
///
/// With `TEFF_OVERWRITE_BUDGETS=1` writes them there instead; comments stay.
///
/// # Panics
/// If a figure is a regression, or has no budget; the message shows both numbers.
pub fn check(what: &str, figures: &[(&str, u64)]) {
    let path = crate::root().join("tests/budgets.toml");
    let _one_at_a_time = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = match std::env::var_os(OVERWRITE) {
        Some(_) => renew(&path, what, figures),
        None => compare(&path, what, figures),
    };
    match outcome {
        Ok(hints) => hints.iter().for_each(|hint| crate::note(hint)),
        Err(error) => panic!("{error:#}"),
    }
}

fn read(path: &PathBuf) -> Result<DocumentMut> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("{} is no TOML", path.display()))
}

/// Where the figures of `what` are in the document: a name for each table on the way.
fn names(what: &str) -> impl Iterator<Item = &str> {
    what.split('.')
}

fn compare(path: &PathBuf, what: &str, figures: &[(&str, u64)]) -> Result<Vec<String>> {
    let document = read(path)?;
    let table = names(what).try_fold(document.as_item(), |item, name| item.get(name));
    let mut faults = String::new();
    let mut hints = Vec::new();
    for &(name, found) in figures {
        let budget = table.and_then(|table| table.get(name)).and_then(Item::as_integer);
        let Some(budget) = budget.and_then(|budget| u64::try_from(budget).ok()) else {
            writeln!(faults, "{name} of {what} is {found} and has no budget")?;
            continue;
        };
        let change = percent(found, budget);
        if exceeds(found, budget) {
            writeln!(faults, "{name} of {what} is {found}, its budget {budget}: {change:+.1} %")?;
        } else if improves(found, budget) {
            hints.push(format!(
                "{name} of {what} is {found}, its budget {budget}: {change:+.1} %; {OVERWRITE}=1 keeps it"
            ));
        }
    }
    if faults.is_empty() {
        return Ok(hints);
    }
    let limit = format!("more than {TOLERANCE_PERCENT} % over the budget is a regression");
    bail!("{faults}({limit}; if it is meant, {OVERWRITE}=1 renews tests/budgets.toml)")
}

/// Whether `found` is so much above `budget` that it is a regression.
fn exceeds(found: u64, budget: u64) -> bool {
    u128::from(found) * 100 > u128::from(budget) * u128::from(100 + TOLERANCE_PERCENT)
}

/// Whether `found` is so much below `budget` that it is worth recording.
fn improves(found: u64, budget: u64) -> bool {
    u128::from(found) * 100 < u128::from(budget) * u128::from(100 - TOLERANCE_PERCENT)
}

fn percent(found: u64, base: u64) -> f64 {
    (found as f64 / base as f64 - 1.0) * 100.0
}

fn renew(path: &PathBuf, what: &str, figures: &[(&str, u64)]) -> Result<Vec<String>> {
    let mut document = if Path::new(path).exists() { read(path)? } else { DocumentMut::new() };
    let mut table: &mut Table = document.as_table_mut();
    for name in names(what) {
        let item = table.entry(name).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        table = item.as_table_mut().with_context(|| format!("{name} in {what} is no table"))?;
    }
    table.set_implicit(false);
    for &(name, found) in figures {
        let found = i64::try_from(found).with_context(|| format!("{name} of {what} is {found}"))?;
        match table.get_mut(name).and_then(Item::as_value_mut) {
            // The value alone is replaced: a comment behind it stays.
            Some(old) => {
                let decor = old.decor().clone();
                *old = found.into();
                *old.decor_mut() = decor;
            }
            None => table[name] = value(found),
        }
    }
    fs::write(path, document.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Why.\n[a.b]\nflash = 1000 # bytes\n";

    fn file(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("teff-budget-{name}-{}.toml", std::process::id()));
        fs::write(&path, FILE).expect("a file can be written");
        path
    }

    #[test]
    fn three_percent_either_way_pass_and_more_does_not() {
        let path = file("compare");
        let compare = |found| compare(&path, "a.b", &[("flash", found)]);
        assert_eq!(compare(1030).expect("within the tolerance"), Vec::<String>::new());
        assert_eq!(compare(970).expect("within the tolerance"), Vec::<String>::new());
        assert_eq!(compare(969).expect("an improvement").len(), 1);
        let error = compare(1031).expect_err("a regression").to_string();
        assert!(error.starts_with("flash of a.b is 1031, its budget 1000: +3.1 %\n"), "{error}");
    }

    #[test]
    fn a_figure_without_a_budget_fails() {
        let path = file("absent");
        for (what, name) in [("a.b", "ram"), ("a.c", "flash"), ("x", "flash")] {
            let error = compare(&path, what, &[(name, 1)]).expect_err("no budget").to_string();
            assert!(error.contains("has no budget"), "{error}");
        }
    }

    #[test]
    fn renewing_keeps_comments() {
        let path = file("renew");
        renew(&path, "a.b", &[("flash", 5), ("ram", 6)]).expect("it can be written");
        renew(&path, "a.c", &[("flash", 7)]).expect("it can be written");
        let text = fs::read_to_string(&path).expect("it was written");
        assert_eq!(text, "# Why.\n[a.b]\nflash = 5 # bytes\nram = 6\n\n[a.c]\nflash = 7\n");
        assert!(compare(&path, "a.c", &[("flash", 7)]).is_ok());
    }
}
