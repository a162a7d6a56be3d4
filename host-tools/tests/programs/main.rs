//! Subcommands that run other programs, with fakes of these: which are run, in which order, with what, and what becomes
//! of their failures.
#![cfg(unix)]

mod deploy;
mod flash;
mod messages;
mod models;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder in which a test works, and the only one in which `teff` finds programs.
struct Bench {
    folder: TempDir,
}

impl Bench {
    /// With fakes of `programs`: each writes its name and its arguments to a log, and ends well unless told otherwise.
    fn with(programs: &[&str]) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        for program in programs {
            bench.program(program, "");
        }
        bench
    }

    /// A fake that then does `script`, of which the last command gives its exit code.
    fn program(&self, name: &str, script: &str) {
        let path = self.at(name);
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n", self.at("log").display());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the fakes were called with, a call a line; without the questions for their versions.
    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.at("log")).unwrap_or_default();
        log.lines().filter(|line| !line.ends_with(" --version")).map(str::to_string).collect()
    }

    fn teff(&self, args: &[&str]) -> Output {
        let mut teff = Command::new(env!("CARGO_BIN_EXE_teff"));
        teff.args(args).env("PATH", self.folder.path()).env("CARGO", self.at("cargo"));
        teff.env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR")).output().unwrap()
    }

    /// The standard output of a run that went well.
    fn text(&self, args: &[&str]) -> String {
        let output = self.teff(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message of a run that failed.
    fn failure(&self, args: &[&str]) -> String {
        let output = self.teff(args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn shipped() -> String {
    model("lightcnn-mnist/model.teff")
}

/// A file of the models that are shipped.
fn model(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(file);
    path.to_str().unwrap().to_string()
}
