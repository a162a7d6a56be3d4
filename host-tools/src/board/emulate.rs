//! Runs a firmware in an emulator.
//!
//! Under QEMU the firmware reads frames from a file and writes outputs to another, through semihosting; their names are its
//! command line. Its standard output is its log. In a script of `tests/emulators` it reads and writes its serial line, and
//! its log is taken out of its RAM. All files lie in a folder that goes away.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::count::{self, Count};
use super::{Board, Elf, Emulator, log, process};

const LIMIT: Duration = Duration::from_secs(600);

const FIRMWARE: &str = "firmware.elf";
const FLASH: &str = "flash.bin";
const FRAMES: &str = "frames.bin";
const OUTPUTS: &str = "outputs.bin";
const COUNTS: &str = "counts.txt";

/// What a board answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardRun {
    /// The outputs for all frames, one after another.
    pub outputs: Vec<i8>,
    /// What it logged: level, space, text.
    pub log: Vec<String>,
    /// Instructions of each inference; none if this emulator cannot count.
    pub instructions: Option<Count>,
}

/// Runs `firmware` on frames, one after another in `frames`, each as long as the model's input.
///
/// # Errors
/// If the emulator cannot run, or the firmware does not end well; the message holds its log.
pub fn run(board: &Board, firmware: &Elf, frames: &[i8]) -> Result<BoardRun> {
    outputs_of(run_binary(board, firmware, frames)?)
}

/// [`run`] with more in the board's flash than the firmware: `bytes` at `offset`, such as its model slots.
///
/// # Errors
/// As [`run`]; and if the emulator is QEMU, which loads a firmware and no flash.
pub fn run_with_flash(board: &Board, firmware: &Elf, offset: usize, bytes: &[u8], frames: &[i8]) -> Result<BoardRun> {
    outputs_of(emulate(board, firmware, Some((offset, bytes)), frames)?)
}

fn outputs_of(run: ProgramRun) -> Result<BoardRun> {
    match run.outputs {
        Some(outputs) => Ok(BoardRun { outputs, log: run.log, instructions: run.instructions }),
        None => bail!("the firmware wrote no outputs; its log:\n{}", run.log.join("\n")),
    }
}

/// What a program on a board left behind; unlike a [`BoardRun`], it need not write outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramRun {
    /// The outputs, if it wrote any.
    pub outputs: Option<Vec<i8>>,
    /// What it logged: level, space, text.
    pub log: Vec<String>,
    /// Instructions of each interval; none if this emulator cannot count.
    pub instructions: Option<Count>,
}

/// [`run`] for any program.
///
/// # Errors
/// As [`run`], but for outputs.
pub fn run_binary(board: &Board, program: &Elf, frames: &[i8]) -> Result<ProgramRun> {
    emulate(board, program, None, frames)
}

fn emulate(board: &Board, program: &Elf, beside: Option<(usize, &[u8])>, frames: &[i8]) -> Result<ProgramRun> {
    let folder = tempfile::tempdir().context("cannot make a folder for the run")?;
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).with_context(|| format!("cannot write {name}"))
    };
    write(FIRMWARE, program.bytes())?;
    write(FRAMES, &frames.iter().map(|&value| value.cast_unsigned()).collect::<Vec<_>>())?;

    let mut emulator = board.emulator.command()?;
    emulator.current_dir(folder.path());
    match board.emulator {
        Emulator::Qemu { program: qemu, .. } => {
            ensure!(beside.is_none(), "QEMU loads a firmware, and nothing beside it");
            emulator
                .args(["-nographic", "-monitor", "none", "-serial", "none", "-no-reboot", "-icount", "shift=0"])
                .args(["-semihosting-config", &format!("enable=on,target=native,arg={FRAMES},arg={OUTPUTS}")])
                .args(["-kernel", FIRMWARE]);
            if let Some(plugin) = count::plugin_argument(qemu, program, COUNTS)? {
                emulator.args(["-plugin", &plugin]);
            }
        }
        Emulator::Script { .. } => {
            let mut flash = program.flash_image()?;
            if let Some((offset, bytes)) = beside {
                ensure!(flash.len() <= offset, "the firmware reaches into what is beside it in the flash");
                flash.resize(offset, 0xFF);
                flash.extend_from_slice(bytes);
            }
            write(FLASH, &flash)?;
            emulator.args([FLASH, FRAMES, OUTPUTS, COUNTS]);
            let log = program.address("_SEGGER_RTT").context("the firmware has no log over RTT")?;
            let marks = ["bench_begin", "bench_end"].map(|mark| program.address(mark));
            for address in [Some(log)].into_iter().chain(marks).flatten() {
                emulator.arg(format!("{address:#x}"));
            }
        }
    }
    let done = process::run(&mut emulator, LIMIT)?;
    let log = log::decode(program, &done.stdout);
    if !done.status.success() {
        let log = log.unwrap_or_else(|error| vec![format!("{error:#}")]);
        bail!("the firmware on {} ended with {}\n{}\n{}", board.name, done.status, log.join("\n"), done.messages());
    }
    let read = |name: &str| fs::read(folder.path().join(name)).ok();
    let outputs = read(OUTPUTS).map(|bytes| bytes.into_iter().map(u8::cast_signed).collect());
    let instructions = read(COUNTS).map(|report| Count::parse(&String::from_utf8_lossy(&report)));
    Ok(ProgramRun { outputs, log: log?, instructions: instructions.transpose()? })
}
