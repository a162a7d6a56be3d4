//! Which names a project may have.

use std::fs;

use anyhow::{Context, Result, ensure};
use toml_edit::DocumentMut;

use crate::board::repository;

/// Crates that every program can name, and folders that Cargo makes beside the program that it builds.
const TAKEN: &[&str] = &["alloc", "build", "core", "deps", "examples", "incremental", "proc_macro", "std", "test"];

/// Words that Rust uses or reserves: Cargo takes none as the name of a package.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false final fn \
                        for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct \
                        super trait true try type typeof unsafe unsized use virtual where while yield";

/// Whether a package that uses what `manifest` names may have the name `name`.
///
/// # Errors
/// Why not.
pub(super) fn check(name: &str, manifest: &DocumentMut) -> Result<()> {
    ensure!(is_package_name(name), "{name:?} is no name for a package: letters, digits, - and _, a letter first");
    let refuse = |taken: bool, what: &str| {
        ensure!(
            !taken,
            "{name} is no name for a package: it is {what}; give the folder another name, such as my-{name}"
        );
        Ok(())
    };
    let is_name = |other: &str| crate_name(other) == crate_name(name);
    refuse(KEYWORDS.split(' ').any(is_name), "a word of the language Rust")?;
    refuse(TAKEN.iter().any(|taken| is_name(taken)), "that of a crate of Rust's own, or of a folder that Cargo makes")?;
    refuse(crates()?.iter().any(|taken| is_name(taken)), "that of a crate of the Teff repository")?;
    let dependencies =
        ["dependencies", "build-dependencies"].into_iter().filter_map(|table| manifest.get(table)?.as_table());
    let mut dependencies = dependencies.flat_map(|table| table.iter().map(|(dependency, _)| dependency));
    refuse(dependencies.any(is_name), "that of a crate that the firmware uses")
}

fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// What names have in common that are one to the compiler, or to a file system.
fn crate_name(name: &str) -> String {
    name.replace('-', "_").to_ascii_lowercase()
}

/// The names of all crates of the repository.
fn crates() -> Result<Vec<String>> {
    let root = repository()?;
    let folders = ["runtime", "host-tools", "tests", "tests/qemu-icount"].map(|folder| root.join(folder));
    let firmware = root.join("firmware");
    let entries = fs::read_dir(&firmware).with_context(|| format!("cannot read {}", firmware.display()))?;
    let manifests = folders.into_iter().chain(entries.flatten().map(|entry| entry.path()));
    let names = manifests.filter_map(|folder| {
        let manifest: DocumentMut = fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()?;
        Some(manifest.get("package")?.get("name")?.as_str()?.to_string())
    });
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_refuses_or_that_collide_are_refused_with_the_reason() {
        let manifest: DocumentMut = "[dependencies]\ncortex-m = \"0.7\"".parse().expect("TOML");
        let refused = |name: &str| check(name, &manifest).expect_err(name).to_string();
        for (names, reason) in [
            (&["", "1st", "a b", "ä", "a/b", "-a"][..], "letters, digits"),
            (&["fn", "Self", "async", "try"], "a word of the language Rust"),
            (
                &["std", "Core", "alloc", "test", "deps", "build", "examples", "incremental"],
                "a folder that Cargo makes",
            ),
            (
                &["teff", "Teff", "teff-app", "teff_app", "teff-tools", "teff-rp2040", "qemu-icount"],
                "the Teff repository",
            ),
            (&["cortex-m", "cortex_m"], "that the firmware uses"),
        ] {
            for name in names {
                let error = refused(name);
                assert!(error.contains("is no name for a package: ") && error.contains(reason), "{error}");
            }
        }
        for name in ["my-app", "teff-at-home", "rp2040", "tests"] {
            assert!(check(name, &manifest).is_ok(), "{name}");
        }
    }
}
