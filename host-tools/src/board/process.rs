//! Child processes that may not run for ever.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What a process left behind.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Finished {
    /// Its standard error as text, without the white space at the end.
    pub(super) fn messages(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_string()
    }
}

/// Runs `command` to its end, or kills it after `limit`.
pub(super) fn run(command: &mut Command, limit: Duration) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = wait(&mut child, limit).with_context(|| program.clone())?;
    let collect = |reader: thread::JoinHandle<io::Result<Vec<u8>>>| match reader.join() {
        Ok(bytes) => bytes.with_context(|| format!("cannot read what {program} says")),
        Err(_) => bail!("the reader of {program} panicked"),
    };
    let (stdout, stderr) = (collect(stdout)?, collect(stderr)?);
    let Some(status) = status else {
        let messages = String::from_utf8_lossy(&stderr);
        bail!("{program} did not end within {} s and was stopped\n{}", limit.as_secs(), messages.trim_end());
    };
    Ok(Finished { status, stdout, stderr })
}

/// The exit status; none if the process had to be killed.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a pipe while the process runs, so that it never waits for a full one.
fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_are_collected() {
        let done = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]), Duration::from_secs(60));
        let done = done.expect("sh is there");
        assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(3), b"out\n".as_slice()));
        assert_eq!(done.messages(), "err");
    }

    #[test]
    fn a_process_that_hangs_is_stopped() {
        let error = run(Command::new("sleep").arg("60"), Duration::from_millis(20)).err().expect("it is stopped");
        assert!(error.to_string().contains("did not end within"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error =
            run(&mut Command::new("teff-no-such-program"), Duration::from_secs(1)).err().expect("no such program");
        assert!(error.to_string().contains("teff-no-such-program"), "{error}");
    }
}
