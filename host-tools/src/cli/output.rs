//! Standard output, progress bars, and files that appear whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Prints `text` to standard output, in colour where that is a terminal that wants it. A reader that closes the pipe
/// early is no error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

/// Prints `value` as JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// A bar for `len` pieces of work, on standard error; invisible where that is no terminal.
pub(super) fn progress(title: &'static str, len: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>12} {bar:32} {pos}/{len} {eta:>4}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(len as u64).with_style(style).with_message(title)
}

/// A sign of life for work of unknown length, on standard error; invisible where that is no terminal.
pub(super) fn spinner(title: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(title);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Writes a file beside its place and then moves it there: an earlier file is replaced whole or not at all.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("cannot write {}", path.display());
    let name = path.file_name().with_context(what)?.to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = fs::File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    });
    if written.is_err() {
        // What went wrong is reported below; the draft may not even exist.
        let _ = fs::remove_file(&draft);
    }
    written.with_context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir_all(folder.join("taken/by-a-folder")).unwrap();
        write_atomically(&folder.join("file"), b"one").unwrap();
        write_atomically(&folder.join("file"), b"two").unwrap();
        assert_eq!(fs::read(folder.join("file")).unwrap(), b"two");
        assert!(write_atomically(&folder.join("taken"), b"three").is_err());
        let left = fs::read_dir(folder).unwrap().count();
        assert_eq!(left, 2, "no draft is left behind");
    }
}
