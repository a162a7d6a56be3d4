//! New firmware projects: the crate of a board, made to stand on its own around one model.

mod names;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use teff_build::Budget;
use toml_edit::{Array, DocumentMut, Item, value};

use crate::board::{
    App, BOARDS, Board, Emulator, Flasher, HARDWARE, Hardware, canonical, hardware_by_name, repository,
};

/// The files of a project: their paths within it, and their bytes.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The name of the model in the project.
pub const MODEL: &str = "model.teff";

/// What a project can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// A board.
    Hardware(&'static Hardware),
    /// A board that QEMU emulates: its programs read and write files of the PC.
    Emulated(&'static Board),
}

impl Template {
    /// All of them: boards, and those that are there in QEMU only.
    pub fn all() -> impl Iterator<Item = Self> {
        let only_emulated = BOARDS
            .iter()
            .filter(|board| hardware_by_name(board.name).is_none() && matches!(board.emulator, Emulator::Qemu { .. }));
        HARDWARE.iter().map(Self::Hardware).chain(only_emulated.map(Self::Emulated))
    }

    /// That of this name, or of another by which people know it.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|template| template.name() == canonical(name))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware(board) => board.name,
            Self::Emulated(board) => board.name,
        }
    }

    /// What it is, for a person.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Hardware(board) => board.description,
            Self::Emulated(board) => board.description,
        }
    }

    /// What Cargo builds for.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Hardware(board) => board.target,
            Self::Emulated(board) => board.target,
        }
    }

    /// What its firmware gives to a model.
    ///
    /// # Errors
    /// If `teff-build` does not know the board.
    pub fn budget(self) -> Result<Budget> {
        match self {
            Self::Hardware(board) => board.budget(),
            Self::Emulated(board) => board.budget(),
        }
    }

    fn folder(self) -> Result<PathBuf> {
        let folder = match self {
            Self::Hardware(board) => board.folder,
            Self::Emulated(board) => board.folder,
        };
        Ok(repository()?.join(folder))
    }

    /// Whether there is such an application for it.
    pub fn offers(self, app: App) -> bool {
        self.source(app).is_ok()
    }

    /// The source of the program that runs `app`.
    fn source(self, app: App) -> Result<PathBuf> {
        let source = self.folder()?.join("src");
        match (self, app) {
            (Self::Hardware(board), _) => board.program(app).map(|_| ())?,
            (Self::Emulated(_), App::Digits) => (),
            (Self::Emulated(board), _) => {
                let source = source.join("bin").join(app.name()).with_extension("rs");
                ensure!(source.exists(), "the firmware for {} has no application {}", board.description, app.name());
                return Ok(source);
            }
        }
        let name = if app == App::Digits { "main" } else { app.name() };
        Ok(source.join(name).with_extension("rs"))
    }

    /// The command that runs a program there, which Cargo adds; as the board's crate has it, where that is `None`.
    fn runner(self) -> Option<Vec<&'static str>> {
        let Self::Emulated(Board { emulator: Emulator::Qemu { program, machine }, .. }) = self else { return None };
        let rest = [
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "none",
            "-semihosting-config",
            "enable=on,target=native,arg=frames.bin,arg=outputs.bin",
            "-kernel",
        ];
        Some([*program].into_iter().chain(machine.iter().copied()).chain(rest).collect())
    }

    /// What a person must know to run the program.
    fn hints(self, app: App) -> String {
        match self {
            Self::Hardware(board) => {
                let Some((first, others)) = board.flashers.split_first() else { return String::new() };
                let mut text = format!(
                    "The last builds it, writes it to the board and starts it, with the runner in `.cargo/config.toml`, \
                     `{}`. To\ninstall it: {}.\n",
                    first.program(),
                    first.install()
                );
                if !others.is_empty() {
                    text += "\nIn its place these can be the runner:\n\n";
                }
                for other in others {
                    text += &format!("* `{}`; to install it: {}\n", other.runner().join(" "), other.install());
                }
                if matches!(first, Flasher::Espflash(_)) {
                    text += "\nespflash shows what comes over the serial line; the log, which is defmt over RTT, only probe-rs does.\n";
                }
                text
            }
            Self::Emulated(_) => {
                let [frames, outputs] = streams(app);
                format!(
                    "The last builds it and runs it in QEMU, with the runner in `.cargo/config.toml`. In this folder it reads\n\n\
                     * `frames.bin`: {frames}\n\nand writes\n\n* `outputs.bin`: {outputs}\n\nIts log is defmt on standard \
                     output, for `defmt-print`:\n`cargo run --release | defmt-print -e target/TARGET/release/NAME` (`cargo \
                     install defmt-print`).\n"
                )
            }
        }
    }
}

/// What an application reads, and what it writes.
const fn streams(app: App) -> [&'static str; 2] {
    match app {
        App::Digits => {
            ["the bytes of the model's input, frame after frame", "the bytes of the model's output for each"]
        }
        App::Keyword => [
            "sound, samples of 16 bits at 16 kHz, little-endian",
            "three bytes for each run of the model: the class of the word that is heard or 255, the best class, its score",
        ],
        App::Storyteller => ["prompts, a line each", "the text that each begins"],
        App::Vibration => [
            "a recording, x, y and z of each sample of an accelerometer, 16 bits each, little-endian",
            "the bytes of the model's score, once for each spectrum after the baseline's",
        ],
    }
}

/// The files of a project of this name for `app` on `board`, with `model`, the bytes of a `.teff`.
///
/// They are those of the board's crate in the repository, without other programs; Teff's own crates are used where they
/// are.
///
/// # Errors
/// If `name` is no name for a package, the board has no such application, or the repository is not there or not as expected.
pub fn files(board: Template, app: App, name: &str, model: &[u8]) -> Result<Files> {
    let source = board.source(app)?;
    let template = board.folder()?;
    let manifest: DocumentMut = text(&template.join("Cargo.toml"))?.parse().context("the board's Cargo.toml")?;
    names::check(name, &manifest)?;
    let mut files = Files::new();
    add_all(&mut files, &template, Path::new(""))?;
    let main = text(&source)?;
    for module in modules(&main) {
        let path = Path::new("src").join(format!("{module}.rs"));
        files.insert(path.clone(), read(&template.join(path))?);
    }
    // Programs in src/bin find the modules beside main.rs by their paths.
    let main = main.lines().filter(|line| !line.starts_with("#[path = \"../")).map(|line| format!("{line}\n"));
    files.insert("src/main.rs".into(), main.collect::<String>().into_bytes());
    files.insert("Cargo.toml".into(), self::manifest(manifest, &template, name, board)?.into_bytes());
    let config = text(&template.join(".cargo/config.toml"))?;
    files.insert(".cargo/config.toml".into(), self::config(&config, board)?.into_bytes());
    let script = text(&template.join("build.rs"))?;
    files.insert("build.rs".into(), build_script(&script)?.into_bytes());
    files.insert(MODEL.into(), model.to_vec());
    files.insert(".gitignore".into(), b"/target\n".to_vec());
    files.insert("README.md".into(), readme(board, app, name).into_bytes());
    Ok(files)
}

/// The files of the crate in `template`, in its folder `within` and those below it, but for sources and what is built.
fn add_all(files: &mut Files, template: &Path, within: &Path) -> Result<()> {
    let folder = template.join(within);
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let path = within.join(entry.file_name());
        if entry.path().is_file() {
            files.insert(path, read(&entry.path())?);
        } else if ![".cargo", "src", "target"].map(Path::new).contains(&path.as_path()) {
            add_all(files, template, &path)?;
        }
    }
    Ok(())
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

/// The modules that a program names as files beside it.
fn modules(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("mod ")?.strip_suffix(';'))
}

/// The manifest: another name, paths from anywhere, one program.
fn manifest(mut manifest: DocumentMut, template: &Path, name: &str, board: Template) -> Result<String> {
    let package = &mut manifest["package"];
    package["name"] = value(name);
    package["description"] = value(format!("A Teff model on {}", board.description()));
    if let Some(package) = package.as_table_like_mut() {
        package.remove("default-run");
    }
    manifest.remove("bin");
    // What emulators give in place of the board.
    let emulated = matches!(board, Template::Emulated(_));
    if let Some(dependencies) = manifest["dependencies"].as_table_like_mut().filter(|_| !emulated) {
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
    if let Some(features) = manifest["features"].as_table_like_mut().filter(|_| !emulated) {
        for (_, feature) in features.iter_mut() {
            if let Some(parts) = feature.as_array_mut() {
                parts.retain(|part| part.as_str().is_none_or(|part| !part.starts_with("teff-semihost/")));
            }
        }
    }
    Ok(manifest.to_string())
}

/// Cargo's configuration: what it builds for without being told, and what runs it.
fn config(text: &str, board: Template) -> Result<String> {
    let mut config: DocumentMut = text.parse().context("the board's .cargo/config.toml")?;
    config["build"]["target"] = value(board.target());
    if let Some(runner) = board.runner() {
        config["target"][board.target()]["runner"] = value(runner.into_iter().collect::<Array>());
    }
    Ok(config.to_string())
}

/// The build script: the model of the project in place of the repository's.
fn build_script(text: &str) -> Result<String> {
    const CALL: &str = "teff_build::firmware(";
    ensure!(text.contains(CALL), "the board's build.rs does not call teff_build::firmware");
    Ok(text.replace(CALL, &format!("teff_build::firmware_of({MODEL:?}, ")))
}

fn readme(board: Template, app: App, name: &str) -> String {
    let (target, hints) = (board.target(), board.hints(app).replace("TARGET", board.target()).replace("NAME", name));
    format!(
        "# {name}

A firmware for {} with the model in `{MODEL}`, made by `teff new`.

    rustup target add {target}
    cargo build --release
    cargo run --release

{hints}
`src/main.rs` sets up the board and calls the application; its head says what is where. `build.rs` gives the model's share of
the memories: the build stops if the model does not fit. Replace `{MODEL}` and build again to change the model.
",
        board.description(),
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

    #[test]
    fn a_project_stands_on_its_own() {
        let apps = [App::Digits, App::Keyword, App::Storyteller, App::Vibration];
        let all = Template::all().flat_map(|board| apps.map(|app| (board, app)));
        let mut made = 0;
        for (board, app) in all.filter(|&(board, app)| board.source(app).is_ok()) {
            made += 1;
            let files = files(board, app, "my-app", b"model").expect("a project");
            let of = |path: &str| String::from_utf8(files[Path::new(path)].clone()).expect("text");
            let manifest: DocumentMut = of("Cargo.toml").parse().expect("TOML");
            assert_eq!(manifest["package"]["name"].as_str(), Some("my-app"));
            let emulated = matches!(board, Template::Emulated(_));
            let support = if emulated { "teff-semihost" } else { "teff-probe" };
            let paths = ["teff", "teff-app", support].map(|name| manifest["dependencies"][name]["path"].as_str());
            assert!(paths.iter().all(|path| path.is_some_and(|path| Path::new(path).is_absolute())), "{paths:?}");
            assert_eq!(of("Cargo.toml").contains("semihost"), emulated, "{}: what emulators give", board.name());
            assert!(of("build.rs").contains("teff_build::firmware_of(\"model.teff\", "));
            let config = of(".cargo/config.toml");
            assert!(config.contains(&format!("target = \"{}\"", board.target())));
            assert!(!emulated || config.contains("\"-kernel\""), "{}", board.name());
            if emulated {
                let reads = match app {
                    App::Digits => "the bytes of the model's input",
                    App::Keyword => "sound",
                    App::Storyteller => "prompts",
                    App::Vibration => "a recording",
                };
                assert!(of("README.md").contains(&format!("`frames.bin`: {reads}")), "{} {}", board.name(), app.name());
            }
            if let Template::Hardware(board) = board {
                assert_runner(board, &config.parse().expect("TOML"), &of("README.md"));
            }
            let main = of("src/main.rs");
            let calls = [format!("{}::run", app.name()), "teff_probe::run(".into(), "teff_semihost::run".into()];
            assert!(calls.iter().any(|call| main.contains(call)), "{} {}", board.name(), app.name());
            let sources = files.keys().filter(|path| path.starts_with("src")).count();
            assert_eq!(sources, 1 + modules(&main).count(), "{} {}", board.name(), app.name());
            assert!(!main.contains("../") && files.keys().all(|path| !path.starts_with("src/bin")), "{}", board.name());
            assert_eq!(files[Path::new(MODEL)], b"model");
        }
        assert!(made > Template::all().count());
    }

    /// The runner is what `teff flash` takes first, and the README says how to install it before it names others.
    fn assert_runner(board: &Hardware, config: &DocumentMut, readme: &str) {
        let targets = config["target"].as_table_like().expect("a table").iter();
        let is_ours = |key: &str| key == board.target || (key.contains("\"arm\"") && board.target.starts_with("thumb"));
        let runners: Vec<_> = targets.filter(|(key, _)| is_ours(key)).map(|(_, target)| &target["runner"]).collect();
        let [runner] = runners[..] else { panic!("{}: one runner in {config}", board.name) };
        let mut words: Vec<_> = match (runner.as_str(), runner.as_array()) {
            (Some(text), _) => text.split(' ').collect(),
            (None, Some(words)) => words.iter().filter_map(|word| word.as_str()).collect(),
            (None, None) => panic!("{}: no runner in {config}", board.name),
        };
        let mut expected = board.flashers[0].runner();
        assert_eq!(words[0], expected[0], "{}", board.name);
        // Options may stand in any order.
        words.sort_unstable();
        expected.sort_unstable();
        assert_eq!(words, expected, "{}", board.name);
        let places = board.flashers.iter().map(|f| readme.find(f.install()).expect("it says how to install it"));
        assert!(places.is_sorted(), "{}: {readme}", board.name);
        assert!(readme.contains(&format!("`{}`. To\ninstall", board.flashers[0].program())), "{readme}");
    }

    #[test]
    fn every_board_has_a_budget_below_its_memories() {
        for board in Template::all() {
            let [flash, ram] = match board {
                Template::Hardware(board) => [board.flash, board.ram],
                Template::Emulated(board) => [board.flash, board.ram],
            };
            let Budget { flash: for_flash, ram: for_ram } = board.budget().expect("it is known");
            assert!((for_flash as u64) < flash && (for_ram as u64) < ram, "{}", board.name());
        }
    }

    #[test]
    fn names_of_what_a_project_uses_are_refused() {
        for name in ["a b", "teff", "cortex-m-rt", "core"] {
            let error = files(Template::Hardware(&HARDWARE[0]), App::Digits, name, b"").expect_err(name).to_string();
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
