//! From the sources to a Raspberry Pi: the commands that build the package, copy it and start it.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::board;

/// What is deployed, and where to.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// `[USER@]HOST`, as ssh takes it.
    pub host: String,
    /// A model to run in place of the one in the package.
    pub model: Option<PathBuf>,
    /// The package is there already.
    pub model_only: bool,
    /// Starts the service, now and whenever the Raspberry Pi starts.
    pub run: bool,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub what: &'static str,
    /// The program.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it runs, if not here.
    pub folder: Option<PathBuf>,
    /// What to look at when it fails.
    pub remedy: &'static str,
}

/// The crate of the program, from the root of the repository.
const CRATE: &str = "firmware/raspberry-pi";
/// The folder on the Raspberry Pi, in the home of the user.
const REMOTE: &str = "teff-deploy";
/// Where the service looks for a model first.
const INSTALLED: &str = "/var/lib/teff/model.teff";
const SERVICE: &str = "teff-pi";

impl Deployment {
    /// The commands, in their order; `root` is that of the repository.
    ///
    /// # Errors
    /// If `host` is no host.
    pub fn steps(&self, root: &Path) -> Result<Vec<Step>> {
        let host = self.host.as_str();
        let is_host = !host.is_empty() && !host.starts_with('-') && !host.contains(|c: char| c.is_whitespace());
        ensure!(is_host, "{host:?} is no host: wanted [USER@]HOST, such as pi@raspberrypi.local");
        let package = package_path(root);
        let mut steps = if self.model_only { Vec::new() } else { package_steps(root) };
        steps.push(ssh(host, "make a folder on the Raspberry Pi", format!("mkdir -p {REMOTE}")));
        if !self.model_only {
            steps.push(scp(host, "copy the package", &package, "teff-pi.deb"));
            steps.push(ssh(host, "install it", format!("sudo dpkg --install {REMOTE}/teff-pi.deb")));
        }
        if let Some(model) = &self.model {
            steps.push(scp(host, "copy the model", model, "model.teff"));
            steps.push(ssh(host, "verify it there", format!("teff-pi check {REMOTE}/model.teff")));
            // A reader finds the old file or the new one, and nothing between.
            let install = format!(
                "sudo install -D -m 644 {REMOTE}/model.teff {INSTALLED}.new && sudo mv {INSTALLED}.new {INSTALLED}"
            );
            steps.push(ssh(host, "put it where the service looks first", install));
        }
        if self.run {
            let start = format!(
                "sudo systemctl enable {SERVICE} && sudo systemctl restart {SERVICE} && systemctl --no-pager status {SERVICE}"
            );
            steps.push(ssh(host, "start the service", start));
        }
        Ok(steps)
    }
}

/// The commands that make the package for the Raspberry Pi.
pub fn package_steps(root: &Path) -> Vec<Step> {
    let target = board::linux::TARGET;
    let package = package_path(root).display().to_string();
    let cargo = |what, arguments: &[&str], remedy| Step {
        what,
        program: "cargo",
        arguments: arguments.iter().map(ToString::to_string).collect(),
        folder: Some(root.join(CRATE)),
        remedy,
    };
    vec![
        cargo(
            "build the program for 64-bit Arm Linux",
            &["build", "--release", "--target", target],
            "the compiler says above what is wrong",
        ),
        cargo(
            "make the Debian package",
            &["deb", "--no-build", "--no-strip", "--target", target, "--output", &package],
            "cargo-deb says above what is wrong",
        ),
    ]
}

/// Where [`package_steps`] put the package.
pub fn package_path(root: &Path) -> PathBuf {
    root.join("target/deploy/teff-pi.deb")
}

fn ssh(host: &str, what: &'static str, command: String) -> Step {
    let arguments = vec![host.to_string(), command];
    let remedy = "can you log in with ssh, and does sudo work there without a password?";
    Step { what, program: "ssh", arguments, folder: None, remedy }
}

fn scp(host: &str, what: &'static str, from: &Path, name: &str) -> Step {
    let arguments = vec![from.display().to_string(), format!("{host}:{REMOTE}/{name}")];
    Step { what, program: "scp", arguments, folder: None, remedy: "can you log in with ssh?" }
}

/// What `steps` need and this machine has not, each with the command that brings it.
pub fn missing(steps: &[Step]) -> Vec<String> {
    let builds = steps.iter().any(|step| step.program == "cargo");
    let copies = steps.iter().any(|step| step.program != "cargo");
    let linker =
        ("aarch64-linux-gnu-gcc", "install the package gcc-aarch64-linux-gnu, or run `bash tests/setup/qemu.sh`");
    let needs = [
        (copies, ("ssh", "install the package openssh-client")),
        (copies, ("scp", "install the package openssh-client")),
        (builds, linker),
        (builds, ("cargo-deb", "cargo install cargo-deb --locked")),
    ];
    let wanted = needs.into_iter().filter(|(needed, _)| *needed).map(|(_, program)| program);
    let mut missing: Vec<_> = wanted
        .filter(|(program, _)| !is_on_path(program))
        .map(|(program, remedy)| format!("{program} is not installed: {remedy}"))
        .collect();
    if builds && let Err(why) = board::target_availability(board::linux::TARGET) {
        missing.push(why);
    }
    missing
}

/// Whether a file of this name is in a folder in which programs are looked for.
fn is_on_path(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

impl Step {
    /// Runs it; what it says goes to the terminal.
    ///
    /// # Errors
    /// If it cannot be started or fails.
    pub fn run(&self) -> Result<()> {
        let mut command = if self.program == "cargo" { board::cargo() } else { Command::new(self.program) };
        command.args(&self.arguments);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let status = command.status().with_context(|| format!("cannot start {}", self.program))?;
        ensure!(status.success(), "could not {}: {} failed: {status}; {}", self.what, self.program, self.remedy);
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(folder) = &self.folder {
            write!(f, "cd {} && ", quoted(&folder.display().to_string()))?;
        }
        f.write_str(self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

/// As a shell wants it.
pub(crate) fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+~%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_string()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(deployment: &Deployment) -> Vec<String> {
        deployment.steps(Path::new("/repo")).expect("steps").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_wish_adds_its_commands() {
        let plain = Deployment { host: "pi@berry".into(), ..Deployment::default() };
        let programs = ["cd", "cd", "ssh", "scp", "ssh"];
        let words = |commands: &[String]| -> Vec<String> {
            commands.iter().map(|c| c.split(' ').next().unwrap_or_default().to_string()).collect()
        };
        assert_eq!(words(&commands(&plain)), programs);
        let model = Deployment { model: Some("/m/it's.teff".into()), model_only: true, run: true, ..plain };
        let commands = commands(&model);
        assert_eq!(words(&commands), ["ssh", "scp", "ssh", "ssh", "ssh"]);
        assert_eq!(commands[1], r"scp '/m/it'\''s.teff' pi@berry:teff-deploy/model.teff");
        assert!(commands[2].contains("teff-pi check") && commands[3].contains("install -D"), "{commands:?}");
        assert!(commands[4].contains("systemctl restart teff-pi"), "{commands:?}");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["", "-oProxyCommand=x", "a b"] {
            let deployment = Deployment { host: host.into(), ..Deployment::default() };
            let error = deployment.steps(Path::new("/repo")).expect_err(host).to_string();
            assert!(error.contains("is no host"), "{error}");
        }
    }
}
