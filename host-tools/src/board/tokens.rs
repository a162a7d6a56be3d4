//! What tokens of a language model cost on a core, and texts that a core writes.
//!
//! The firmware is `teff-bench-tokens` of `firmware/bench`; its source says what is asked and answered.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use teff::lm::{DECODE, LanguageModel, sample};
use teff::{Crc32, Model};

use super::bench::{BenchReport, StepCost};
use super::{Board, Elf, ProgramRun, build_binary, linux, run_binary};
use crate::lm::host;
use crate::report::ModelReport;

const BINARY: &str = "teff-bench-tokens";
/// The first tokens, whose mean stands for short texts.
pub const FIRST: usize = 32;
/// Tokens that are fed, if the cache has room for so many.
pub const TOKENS: usize = 256;
/// Most tokens of a prompt that the firmware takes.
pub const PROMPT: usize = 64;

const STEPS: u32 = 0;
const TEXT: u32 = 1;

/// What tokens cost, beyond what a [`BenchReport`] says of one.
#[derive(Debug, Clone, Serialize)]
pub struct TokenCosts {
    /// The means of [`BenchReport::steps`] and [`BenchReport::instructions`] are over so many tokens from an empty cache.
    pub first: usize,
    /// Tokens fed in all.
    pub count: usize,
    /// Instructions of a token: mean over all of them.
    pub mean: u64,
    /// Bytes of stack at its deepest, verification included; none where that is not known.
    pub stack: Option<u64>,
    /// Bytes of RAM in all: arena, cache, stack.
    pub ram: u64,
}

/// The tokens with which a model is measured if there are no others: what it writes itself, always the likeliest, from the
/// token that begins texts on.
///
/// # Errors
/// If the model is no language model.
pub fn own_tokens(model: &Model<'_>, count: usize) -> Result<Vec<u16>> {
    let begin = teff::lm::Tokenizer::of(model).ok().and_then(|tokenizer| tokenizer.bos()).unwrap_or(0);
    let mut memory = host::memory(model);
    let mut lm = host::language_model(model, &mut memory)?;
    let mut tokens = vec![begin];
    while tokens.len() < count.min(lm.slots()) {
        lm.feed(&tokens[tokens.len() - 1..])?;
        tokens.push(sample::argmax(lm.logits()?).context("the model has no vocabulary")?);
    }
    Ok(tokens)
}

/// Whether a model has tokens to measure.
pub fn is_language_model(model: &Model<'_>) -> bool {
    model.entries().any(|entry| entry.name() == DECODE)
}

/// Feeds `tokens` to the model at `path`, whose bytes are `file`, on `machine`.
///
/// # Errors
/// If the firmware cannot be built or run, or logits have other bits than on this computer.
pub fn measure(machine: &'static Board, path: &Path, file: &[u8], tokens: &[u16]) -> Result<BenchReport> {
    let model = Model::verify(file).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let report = ModelReport::new(&model);
    let entry = model.entries().find(|entry| entry.name() == DECODE).context("the model is no language model")?;
    let steps = entry.steps();
    let firmware = build_binary(machine, BINARY, path)?;
    let (run, mut answer) = ask(machine, &firmware, [STEPS, 0, 0, 0], tokens)?;
    let stack = answer.pop().filter(|&bytes| bytes > 0).map(u64::from);
    let expected = logits_crcs(&model, tokens)?;
    ensure!(answer.len() == expected.len(), "{} answers to {} tokens", answer.len(), expected.len());
    if let Some(place) = answer.iter().zip(&expected).position(|(found, expected)| found != expected) {
        anyhow::bail!("the logits behind token {place} have other bits than on this computer");
    }
    let counts = run.instructions.context("this QEMU takes no plugins and cannot count instructions")?;
    ensure!(counts.intervals() == steps.len() * tokens.len(), "{} intervals counted", counts.intervals());
    let of_tokens: Vec<&[u64]> = counts.lengths.chunks_exact(steps.len()).collect();
    let first = FIRST.min(of_tokens.len());
    let mean = |of_tokens: &[&[u64]]| {
        let total: u64 = of_tokens.iter().flat_map(|token| token.iter()).sum();
        rounded_mean(total, of_tokens.len())
    };
    let step_mean = |step: usize| rounded_mean(of_tokens[..first].iter().map(|token| token[step]).sum(), first);
    let own: Vec<_> = report.steps.into_iter().skip(steps.start).take(steps.len()).collect();
    let size = firmware.size()?;
    Ok(BenchReport {
        board: machine.name,
        description: machine.description,
        instructions: mean(&of_tokens[..first]),
        macs: own.iter().map(|step| step.macs).sum(),
        steps: own
            .into_iter()
            .enumerate()
            .map(|(place, step)| StepCost { step, instructions: step_mean(place) })
            .collect(),
        code_flash: size.flash - model.file_len() as u64,
        model_flash: model.file_len(),
        arena: model.arena_len(),
        ram: size.ram,
        tokens: Some(TokenCosts {
            first,
            count: of_tokens.len(),
            mean: mean(&of_tokens),
            stack,
            ram: model.memory_len() as u64 + stack.unwrap_or(0),
        }),
    })
}

fn rounded_mean(total: u64, count: usize) -> u64 {
    let count = count.max(1) as u64;
    (total + count / 2) / count
}

/// CRC-32 of the logits behind each token, on this computer.
fn logits_crcs(model: &Model<'_>, tokens: &[u16]) -> Result<Vec<u32>> {
    let mut memory = host::memory(model);
    let mut lm = host::language_model(model, &mut memory)?;
    tokens
        .iter()
        .map(|&token| {
            lm.feed(&[token])?;
            logits_crc(&mut lm)
        })
        .collect()
}

/// CRC-32 of the logits.
///
/// # Errors
/// None of a verified language model.
pub fn logits_crc(lm: &mut LanguageModel<'_, '_>) -> Result<u32> {
    let mut crc = Crc32::new();
    lm.logits()?.iter().for_each(|logit| crc.update(&logit.to_le_bytes()));
    Ok(crc.finish())
}

/// A text that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// At most [`PROMPT`] tokens.
    pub prompt: &'a [u16],
    /// Of the choices.
    pub seed: u32,
    /// In Q16; 0: the likeliest.
    pub temperature: u32,
    /// Tokens to write.
    pub count: u32,
}

/// What a core wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The tokens.
    pub tokens: Vec<u16>,
    /// Of the logits behind the last.
    pub crc: u32,
    /// Instructions of the prompt, if they can be counted.
    pub prompt_instructions: Option<u64>,
}

/// Lets `machine` write texts with the model at `path`.
///
/// # Errors
/// If the firmware cannot be built or run.
pub fn write(machine: &'static Board, path: &Path, wanted: &[Wanted<'_>]) -> Result<Vec<Written>> {
    let firmware = build_binary(machine, BINARY, path)?;
    wanted
        .iter()
        .map(|wanted| {
            ensure!(wanted.prompt.len() <= PROMPT, "a prompt has at most {PROMPT} tokens");
            let (run, mut answer) = ask(machine, &firmware, wanted.header(), wanted.prompt)?;
            let crc = (answer.pop(), answer.pop()).1.context("the firmware gave no answer")?;
            let prompt_instructions = run.instructions.and_then(|count| count.lengths.first().copied());
            Ok(Written { tokens: answer.into_iter().map(|token| token as u16).collect(), crc, prompt_instructions })
        })
        .collect()
}

/// [`write()`] on 64-bit Arm Linux, on an emulated `cpu`; `program` is the runtime's example `text`.
///
/// # Errors
/// If the program cannot be run, or refuses the model.
pub fn write_on_linux(cpu: &str, program: &Path, path: &Path, wanted: &[Wanted<'_>]) -> Result<Vec<Written>> {
    wanted
        .iter()
        .map(|wanted| {
            let run = linux::run(cpu, program, path, &request(wanted.header(), wanted.prompt))?;
            let mut answer = words(&run.outputs);
            let crc = answer.pop().context("the program gave no answer")?;
            let tokens = answer.into_iter().map(|token| token as u16).collect();
            Ok(Written { tokens, crc, prompt_instructions: None })
        })
        .collect()
}

impl Wanted<'_> {
    /// What stands before the prompt in a request.
    fn header(&self) -> [u32; 4] {
        [TEXT, self.seed, self.temperature, self.count]
    }
}

/// Runs the firmware on a request; gives the words of its answer.
fn ask(machine: &Board, firmware: &Elf, header: [u32; 4], tokens: &[u16]) -> Result<(ProgramRun, Vec<u32>)> {
    let run = run_binary(machine, firmware, &request(header, tokens))
        .context("exit code 2: the model or the request was refused")?;
    let answer = words(run.outputs.as_deref().context("the firmware gave no answer")?);
    Ok((run, answer))
}

fn request(header: [u32; 4], tokens: &[u16]) -> Vec<i8> {
    let words = header.into_iter().chain(tokens.iter().map(|&token| token.into()));
    words.flat_map(u32::to_le_bytes).map(u8::cast_signed).collect()
}

fn words(bytes: &[i8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(word.map(i8::cast_unsigned))).collect()
}
