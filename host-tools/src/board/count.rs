//! Counting instructions: the plugin `tests/qemu-icount`, built when first needed, and its report.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::build::{build_artifact, cargo};
use super::{Elf, process, repository};

/// Instructions that a board executed from each call of `bench_begin` to the next call of `bench_end`.
///
/// Instructions are not cycles: see the documentation of the processor at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Instructions of each interval.
    pub lengths: Vec<u64>,
}

impl Count {
    /// Instructions of all intervals.
    pub fn total(&self) -> u64 {
        self.lengths.iter().sum()
    }

    /// Number of intervals.
    pub fn intervals(&self) -> usize {
        self.lengths.len()
    }

    /// Mean of the intervals, rounded; 0 if there are none.
    pub fn mean(&self) -> u64 {
        let intervals = u64::try_from(self.intervals()).unwrap_or(u64::MAX);
        (self.total() + intervals / 2).checked_div(intervals).unwrap_or(0)
    }

    /// The report that the plugin writes: `total T intervals N`, and N lines.
    pub(super) fn parse(report: &str) -> Result<Self> {
        let mut lines = report.lines();
        let head = lines.next().context("the report is empty")?;
        let lengths = lines.map(|line| line.parse().with_context(|| format!("{line:?} is no count")));
        let count = Self { lengths: lengths.collect::<Result<_>>()? };
        let expected = format!("total {} intervals {}", count.total(), count.intervals());
        ensure!(head == expected, "the report says {head:?}, its lines {expected:?}");
        Ok(count)
    }
}

/// The argument of `-plugin` that counts in `elf` and writes to `report`; none if the emulator takes no plugins.
pub(super) fn plugin_argument(emulator: &str, elf: &Elf, report: &str) -> Result<Option<String>> {
    let (Some(begin), Some(end)) = (elf.address("bench_begin"), elf.address("bench_end")) else { return Ok(None) };
    if !takes_plugins(emulator) {
        return Ok(None);
    }
    // A comma separates arguments; a doubled one stands for itself.
    let plugin = plugin()?.display().to_string().replace(',', ",,");
    Ok(Some(format!("{plugin},begin={begin:#x},end={end:#x},out={report}")))
}

fn takes_plugins(emulator: &str) -> bool {
    let help = process::run(Command::new(emulator).arg("--help"), Duration::from_secs(60));
    help.is_ok_and(|done| String::from_utf8_lossy(&done.stdout).contains("-plugin "))
}

/// The plugin's file.
fn plugin() -> Result<&'static Path> {
    static PLUGIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let plugin = PLUGIN.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    plugin.as_deref().map_err(|error| anyhow!("cannot build the instruction counter: {error}"))
}

fn build() -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.current_dir(repository()?).args(["build", "--release", "--package", "qemu-icount"]);
    build_artifact(&mut cargo, "qemu_icount")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_checked() {
        let count = Count::parse("total 31 intervals 3\n10\n10\n11\n").expect("a good report");
        assert_eq!((count.total(), count.intervals(), count.mean()), (31, 3, 10));
        assert_eq!(Count::parse("total 0 intervals 0\n").expect("an empty report").mean(), 0);
        assert!(Count::parse("").is_err());
        assert!(Count::parse("total 31 intervals 3\n10\n10\n").is_err());
        assert!(Count::parse("total 1 intervals 1\nx\n").is_err());
    }
}
