//! What a model costs on a core: instructions of each operator, code, and memory.
//!
//! The firmware is `firmware/bench`: the runtime, the operators that the model names, and a loop over the steps of the
//! model's self-test. It holds no log and no text. Its flash without the bytes of the model is the *code flash*: vector
//! table, start-up code, runtime, operators, kernels and their constants.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use teff::Model;

use super::tokens::TokenCosts;
use super::{Board, Emulator, build, run_binary};
use crate::report::{ModelReport, StepReport};

const FOLDER: &str = "firmware/bench";
const BINARY: &str = "teff-bench";

const MPS2: Board = Board {
    name: "mps2-an386",
    description: "Cortex-M4F: MPS2 with image AN386",
    target: "thumbv7em-none-eabihf",
    folder: FOLDER,
    binary: BINARY,
    flash: 4 << 20,
    ram: 4 << 20,
    emulator: Emulator::arm(&["-machine", "mps2-an386"]),
};

const VIRT: Board = Board {
    name: "riscv-virt-imc",
    description: "RV32IMC: QEMU's machine virt",
    target: "riscv32imc-unknown-none-elf",
    flash: 8 << 20,
    ram: 8 << 20,
    emulator: Emulator::VIRT_IMC,
    ..MPS2
};

/// The machines of `cargo teff bench`.
pub static MACHINES: &[Board] = &[
    MPS2,
    Board {
        name: "mps2-an385-m0",
        description: "Cortex-M0 and M0+: code for ARMv6-M on MPS2 with image AN385, whose core also runs ARMv7-M",
        target: "thumbv6m-none-eabi",
        emulator: Emulator::arm(&["-machine", "mps2-an385"]),
        ..MPS2
    },
    Board {
        name: "mps2-an385",
        description: "Cortex-M3: MPS2 with image AN385",
        target: "thumbv7m-none-eabi",
        emulator: Emulator::arm(&["-machine", "mps2-an385"]),
        ..MPS2
    },
    Board {
        name: "mps2-an500",
        description: "Cortex-M7: MPS2 with image AN500",
        target: "thumbv7em-none-eabi",
        emulator: Emulator::arm(&["-machine", "mps2-an500"]),
        ..MPS2
    },
    Board {
        name: "mps2-an505",
        description: "Cortex-M33: MPS2+ with image AN505",
        target: "thumbv8m.main-none-eabi",
        ram: 2 << 20,
        emulator: Emulator::arm(&["-machine", "mps2-an505"]),
        ..MPS2
    },
    Board {
        name: "mps3-an547",
        description: "Cortex-M55 with MVE: MPS3 with image AN547",
        target: "thumbv8m.main-none-eabihf",
        flash: 512 << 10,
        ram: 512 << 10,
        emulator: Emulator::arm(&["-machine", "mps3-an547"]),
        ..MPS2
    },
    VIRT,
    Board {
        name: "riscv-virt-imac",
        description: "RV32IMAC: QEMU's machine virt",
        target: "riscv32imac-unknown-none-elf",
        emulator: Emulator::VIRT_IMAC,
        ..VIRT
    },
];

/// The machine of this name.
pub fn by_name(name: &str) -> Option<&'static Board> {
    MACHINES.iter().find(|machine| machine.name == name)
}

/// What a model costs.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// [`Board::name`].
    pub board: &'static str,
    /// [`Board::description`].
    pub description: &'static str,
    /// Each step.
    pub steps: Vec<StepCost>,
    /// Instructions of an inference: the sum over the steps. Of a language model: of a token, mean over the first.
    pub instructions: u64,
    /// Multiply-accumulates of an inference, padded positions included.
    pub macs: u64,
    /// Bytes of flash without the model.
    pub code_flash: u64,
    /// Bytes of the model's file.
    pub model_flash: usize,
    /// Bytes of the arena.
    pub arena: usize,
    /// Bytes of RAM for variables: arena and state are in it, the stack is not.
    pub ram: u64,
    /// Of a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenCosts>,
}

/// What a step costs.
#[derive(Debug, Clone, Serialize)]
pub struct StepCost {
    /// The step.
    #[serde(flatten)]
    pub step: StepReport,
    /// Instructions.
    pub instructions: u64,
}

impl BenchReport {
    /// Instructions for each multiply-accumulate.
    pub fn per_mac(&self) -> f64 {
        self.instructions as f64 / self.macs.max(1) as f64
    }
}

impl StepCost {
    /// Instructions for each multiply-accumulate, if it has any.
    pub fn per_mac(&self) -> Option<f64> {
        (self.step.macs > 0).then(|| self.instructions as f64 / self.step.macs as f64)
    }
}

/// Builds the firmware with the model at `path`, whose bytes are `file`, and runs its self-test on `machine`.
///
/// # Errors
/// If the model has no self-test, the firmware cannot be built or run, or a step gives other bits than on this computer.
pub fn measure(machine: &'static Board, path: &Path, file: &[u8]) -> Result<BenchReport> {
    let model = Model::verify(file).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let report = ModelReport::new(&model);
    ensure!(report.self_test, "{}: holds no self-test: convert it without --no-self-test", path.display());
    let firmware = build(machine, path)?;
    let run = run_binary(machine, &firmware, &[])
        .context("the self-test did not pass (exit code 1: other bits than on this computer, 2: model refused)")?;
    let counts = run.instructions.context("this QEMU takes no plugins and cannot count instructions")?;
    // The self-test runs the first entry point.
    let own = model.entry(0).map_or(0, |entry| entry.steps().len());
    ensure!(counts.intervals() == own, "{} intervals counted, {own} steps", counts.intervals());
    let size = firmware.size()?;
    let costs = report.steps.into_iter().zip(&counts.lengths);
    Ok(BenchReport {
        board: machine.name,
        description: machine.description,
        steps: costs.map(|(step, &instructions)| StepCost { step, instructions }).collect(),
        instructions: counts.total(),
        macs: report.totals.macs,
        code_flash: size.flash - model.file_len() as u64,
        model_flash: model.file_len(),
        arena: model.arena_len(),
        ram: size.ram,
        tokens: None,
    })
}
