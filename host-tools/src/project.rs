//! New firmware projects: the crate of a board, made to stand on its own around one model.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use toml_edit::{DocumentMut, Item, value};

use crate::board::{App, Hardware, repository};

/// The files of a project: their paths within it, and their bytes.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The name of the model in the project.
pub const MODEL: &str = "model.teff";

/// The files of a project of this name for `app` on `board`, with `model`, the bytes of a `.teff`.
///
/// They are those of the board's crate in the repository, without other programs; Teff's own crates are used where they
/// are.
///
/// # Errors
/// If `name` is no name for a package, the board has no such application, or the repository is not there or not as expected.
pub fn files(board: &Hardware, app: App, name: &str, model: &[u8]) -> Result<Files> {
    ensure!(is_package_name(name), "{name:?} is no name for a package: letters, digits, - and _, a letter first");
    board.program(app)?;
    let template = repository()?.join(board.folder);
    let mut files = Files::new();
    let entries = fs::read_dir(&template).with_context(|| format!("cannot read {}", template.display()))?;
    for entry in entries {
        let path = PathBuf::from(entry?.file_name());
        if template.join(&path).is_file() {
            files.insert(path.clone(), read(&template.join(path))?);
        }
    }
    let main = match app {
        App::Digits => "main",
        _ => app.name(),
    };
    let main = text(&template.join(format!("src/{main}.rs")))?;
    for module in modules(&main) {
        let path = Path::new("src").join(format!("{module}.rs"));
        files.insert(path.clone(), read(&template.join(path))?);
    }
    files.insert("src/main.rs".into(), main.into_bytes());
    let manifest = text(&template.join("Cargo.toml"))?;
    files.insert("Cargo.toml".into(), self::manifest(&manifest, &template, name, board)?.into_bytes());
    let config = text(&template.join(".cargo/config.toml"))?;
    files.insert(".cargo/config.toml".into(), self::config(&config, board)?.into_bytes());
    let script = text(&template.join("build.rs"))?;
    files.insert("build.rs".into(), build_script(&script)?.into_bytes());
    files.insert(MODEL.into(), model.to_vec());
    files.insert(".gitignore".into(), b"/target\n".to_vec());
    files.insert("README.md".into(), readme(board, name).into_bytes());
    Ok(files)
}

/// Writes `files` to a new folder: all of them, or nothing.
///
/// # Errors
/// If the folder exists and is not empty, or cannot be written.
pub fn write(files: &Files, folder: &Path) -> Result<()> {
    let what = || format!("cannot write {}", folder.display());
    let taken = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!taken && !folder.is_file(), "{} exists already and is not empty", folder.display());
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(what)?;
    let draft = tempfile::Builder::new().prefix(".teff-new-").tempdir_in(parent).with_context(what)?;
    let project = draft.path().join("project");
    for (path, bytes) in files {
        let path = project.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&project)).with_context(what)?;
        fs::write(path, bytes).with_context(what)?;
    }
    fs::rename(&project, folder).with_context(what)
}

fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The modules that a program names as files beside it.
fn modules(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("mod ")?.strip_suffix(';'))
}

/// The manifest: another name, paths from anywhere, one program.
fn manifest(text: &str, template: &Path, name: &str, board: &Hardware) -> Result<String> {
    let mut manifest: DocumentMut = text.parse().context("the board's Cargo.toml")?;
    let package = &mut manifest["package"];
    package["name"] = value(name);
    package["description"] = value(format!("A Teff model on {}", board.description));
    if let Some(package) = package.as_table_like_mut() {
        package.remove("default-run");
    }
    manifest.remove("bin");
    if let Some(dependencies) = manifest["dependencies"].as_table_like_mut() {
        // What emulators give in place of the board.
        dependencies.remove("teff-semihost");
    }
    for table in ["dependencies", "build-dependencies"] {
        let Some(dependencies) = manifest[table].as_table_like_mut() else { continue };
        for (_, dependency) in dependencies.iter_mut() {
            let Some(path) = dependency.get("path").and_then(Item::as_str) else { continue };
            let path = template.join(path);
            let path = fs::canonicalize(&path).with_context(|| format!("no crate in {}", path.display()))?;
            dependency["path"] = value(path.to_str().context("the repository's path is no text")?);
        }
    }
    if let Some(features) = manifest["features"].as_table_like_mut() {
        for (_, feature) in features.iter_mut() {
            if let Some(parts) = feature.as_array_mut() {
                parts.retain(|part| part.as_str().is_none_or(|part| !part.starts_with("teff-semihost/")));
            }
        }
    }
    Ok(manifest.to_string())
}

/// Cargo's configuration: what it builds for without being told.
fn config(text: &str, board: &Hardware) -> Result<String> {
    let mut config: DocumentMut = text.parse().context("the board's .cargo/config.toml")?;
    config["build"]["target"] = value(board.target);
    Ok(config.to_string())
}

/// The build script: the model of the project in place of the repository's.
fn build_script(text: &str) -> Result<String> {
    const CALL: &str = "teff_build::firmware(";
    ensure!(text.contains(CALL), "the board's build.rs does not call teff_build::firmware");
    Ok(text.replace(CALL, &format!("teff_build::firmware_of({MODEL:?}, ")))
}

fn readme(board: &Hardware, name: &str) -> String {
    let tools: Vec<_> =
        board.flashers.iter().map(|flasher| format!("* {}: {}", flasher.program(), flasher.install())).collect();
    format!(
        "# {name}

A firmware for {} with the model in `{MODEL}`, made by `teff new`.

    rustup target add {}
    cargo build --release
    cargo run --release

The last builds it, writes it to the board and starts it, with the runner in `.cargo/config.toml`. It needs one of

{}

`src/main.rs` sets up clocks and pins and calls the application; its head says which pins. `build.rs` gives the model's
share of the memories: the build stops if the model does not fit. Replace `{MODEL}` and build again to change the model.
",
        board.description,
        board.target,
        tools.join("\n")
    )
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is no text", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::HARDWARE;

    #[test]
    fn a_project_stands_on_its_own() {
        for (board, app) in HARDWARE.iter().flat_map(|board| board.apps.iter().map(move |&app| (board, app))) {
            let files = files(board, app, "my-app", b"model").expect("a project");
            let of = |path: &str| String::from_utf8(files[Path::new(path)].clone()).expect("text");
            let manifest: DocumentMut = of("Cargo.toml").parse().expect("TOML");
            assert_eq!(manifest["package"]["name"].as_str(), Some("my-app"));
            let paths = ["teff", "teff-app", "teff-probe"].map(|name| manifest["dependencies"][name]["path"].as_str());
            assert!(paths.iter().all(|path| path.is_some_and(|path| Path::new(path).is_absolute())), "{paths:?}");
            assert!(!of("Cargo.toml").contains("semihost"), "{}: what emulators give is left out", board.name);
            assert!(of("build.rs").contains("teff_build::firmware_of(\"model.teff\", teff_build::Budget"));
            assert!(of(".cargo/config.toml").contains(&format!("target = \"{}\"", board.target)));
            let call = if app == App::Digits { "teff_probe::run(".into() } else { format!("{}::run(", app.name()) };
            assert!(of("src/main.rs").contains(&call), "{} {}", board.name, app.name());
            let sources = files.keys().filter(|path| path.starts_with("src")).count();
            assert_eq!(sources, 1 + modules(&of("src/main.rs")).count(), "{} {}", board.name, app.name());
            assert!(files.keys().all(|path| !path.starts_with("src/bin")), "{}", board.name);
            assert_eq!(files[Path::new(MODEL)], b"model");
        }
    }

    #[test]
    fn names_that_cargo_refuses_are_refused() {
        for name in ["", "1st", "a b", "ä", "a/b", "-a"] {
            let error = files(&HARDWARE[0], App::Digits, name, b"").expect_err(name).to_string();
            assert!(error.contains("is no name for a package"), "{error}");
        }
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_half_done() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::from([("a/b".into(), b"1".to_vec()), ("c".into(), b"2".to_vec())]);
        let project = folder.path().join("deep/project");
        write(&files, &project).unwrap();
        assert_eq!(fs::read(project.join("a/b")).unwrap(), b"1");
        let error = write(&files, &project).unwrap_err().to_string();
        assert!(error.ends_with("exists already and is not empty"), "{error}");
        let impossible = Files::from([("a".into(), Vec::new()), ("a/b".into(), Vec::new())]);
        assert!(write(&impossible, &folder.path().join("deep/other")).is_err());
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
        fs::create_dir(folder.path().join("empty")).unwrap();
        write(&files, &folder.path().join("empty")).unwrap();
    }
}
