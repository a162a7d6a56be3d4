//! `teff deploy`.

use std::fs;

use super::{Bench, shipped};

/// A machine that has all that is needed.
fn equipped() -> Bench {
    let bench = Bench::with(&["ssh", "scp", "cargo", "cargo-deb", "aarch64-linux-gnu-gcc"]);
    let libraries = bench.at("libraries");
    fs::create_dir(&libraries).unwrap();
    fs::write(libraries.join("libcore-1.rlib"), "").unwrap();
    bench.program("rustc", &format!("echo '{}'", libraries.display()));
    bench
}

/// Calls of the fakes, without those by which `teff` finds out what there is.
fn done(bench: &Bench) -> Vec<String> {
    bench.calls().into_iter().filter(|call| !call.starts_with("rustc")).collect()
}

#[test]
fn without_execute_the_commands_are_shown_and_nothing_is_run() {
    let bench = equipped();
    let text = bench.text(&["deploy", "--host", "pi@berry", "--model", &shipped(), "--run"]);
    assert_eq!(done(&bench), [""; 0]);
    let commands: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(commands.len(), 10, "{text}");
    assert!(commands[0].ends_with("cargo build --release --target aarch64-unknown-linux-gnu"), "{text}");
    assert!(commands[1].contains("cargo deb --no-build"), "{text}");
    assert_eq!(commands[9], "nothing was done: --execute runs these commands");
    assert!(!text.contains("missing"), "{text}");
}

#[test]
fn with_execute_they_are_run_in_that_order() {
    let bench = equipped();
    let args = ["deploy", "--host", "pi@berry", "--model", &shipped(), "--run"];
    let shown = bench.text(&args);
    // As the fakes log them: without folders, quotes and comments.
    let expected: Vec<_> = shown
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("nothing"))
        .map(|line| line.split_once("&& cargo").map_or(line.to_string(), |(_, rest)| format!("cargo{rest}")))
        .map(|line| line.replace('\'', ""))
        .collect();
    bench.text(&[&args[..], &["--execute"]].concat());
    assert_eq!(done(&bench), expected);
    assert!(expected[8].starts_with("ssh pi@berry sudo systemctl enable teff-pi"), "{expected:?}");

    let model_only = equipped();
    model_only.text(&["deploy", "--host", "pi@berry", "--model", &shipped(), "--model-only", "--yes"]);
    assert_eq!(done(&model_only).len(), 4);
    assert!(!done(&model_only).iter().any(|call| call.contains("dpkg") || call.starts_with("cargo")));
}

#[test]
fn the_first_failure_ends_it_with_a_remedy() {
    let bench = equipped();
    bench.program("scp", "exit 7");
    let message = bench.failure(&["deploy", "--host", "pi@berry", "--execute"]);
    assert!(message.contains("could not copy the package: scp failed") && message.contains('7'), "{message}");
    assert!(message.contains("can you log in with ssh?"), "{message}");
    assert!(done(&bench).last().unwrap().starts_with("scp"), "{:?}", done(&bench));
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let bench = Bench::with(&["cargo"]);
    let plan = bench.text(&["deploy", "--host", "pi@berry"]);
    let failure = bench.failure(&["deploy", "--host", "pi@berry", "--execute"]);
    assert_eq!(bench.calls(), [""; 0]);
    for text in [plan, failure] {
        for part in ["ssh is not installed", "openssh-client", "gcc-aarch64-linux-gnu", "cargo install cargo-deb"] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}

#[test]
fn a_model_that_is_none_goes_nowhere() {
    let bench = equipped();
    fs::write(bench.at("bad.teff"), "no model").unwrap();
    let bad = bench.at("bad.teff");
    let message = bench.failure(&["deploy", "--host", "pi@berry", "--model", bad.to_str().unwrap(), "--execute"]);
    assert!(message.contains("bad.teff") && done(&bench).is_empty(), "{message}");
}
