//! `teff generate` and `teff chat`.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use teff::lm::sample::ONE;
use teff::lm::tokenizer::Piece;
use teff::lm::{Budget, Finish, Generator, Options, Sampling, Tokenizer};

use super::output;
use super::teff_file::TeffFile;
use crate::lm::host;

/// How tokens are chosen.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SamplingArgs {
    /// 0: always the likeliest token; 1: as the model says; above: wilder
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    pub(super) temperature: f64,
    /// Only among the K likeliest tokens; 0: all
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(super) top_k: u32,
    /// Only among the likeliest tokens whose probabilities sum up to P
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(super) top_p: f64,
    /// Make tokens of the last 64 less likely: above 1
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    pub(super) repetition_penalty: f64,
    /// Seed of the choices: the same text on every machine
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
    /// Most tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(super) tokens: usize,
    /// Stop at the end of the Nth line
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) lines: Option<u32>,
    /// Stop after this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(super) stop: Vec<String>,
    /// Longer texts above 1, shorter below: the distance of the stop tokens' logits to the largest is multiplied by it
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    pub(super) stop_scale: f64,
}

impl SamplingArgs {
    fn sampling(&self) -> Result<Sampling> {
        let q16 = |what: &str, x: f64| {
            ensure!((0.0..32_768.0).contains(&x), "--{what}: {x} is not from 0 to 32767");
            Ok((x * f64::from(ONE)).round() as u32)
        };
        ensure!(self.repetition_penalty > 0.0, "--repetition-penalty must be above 0");
        Ok(Sampling {
            temperature: q16("temperature", self.temperature)?,
            top_k: self.top_k,
            top_p: q16("top-p", self.top_p)?.min(ONE),
            repetition_penalty: q16("repetition-penalty", self.repetition_penalty)?,
        })
    }
}

/// Write a text with a language model
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  teff generate model.teff --prompt \"Once upon a time\"
  teff generate model.teff --prompt \"Once\" --temperature 0.8 --top-p 0.9 --seed 7 --lines 3")]
pub(super) struct Args {
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    pub(super) model: PathBuf,
    /// How the text begins
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) prompt: String,
    #[command(flatten)]
    pub(super) sampling: SamplingArgs,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Talk to a language model, a line at a time, until the end of the input
#[derive(Debug, clap::Args)]
pub(super) struct ChatArgs {
    /// The .teff model
    #[arg(value_name = "MODEL.teff")]
    model: PathBuf,
    #[command(flatten)]
    sampling: SamplingArgs,
}

#[derive(Serialize)]
struct Generated {
    prompt_tokens: Vec<u16>,
    tokens: Vec<u16>,
    text: String,
    finish: String,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    let tokenizer = Tokenizer::of(&model).with_context(|| args.model.display().to_string())?;
    let mut memory = host::memory(&model);
    let mut lm = host::language_model(&model, &mut memory)?;
    let mut generator = Generator::new(&mut lm, Some(tokenizer), args.sampling.seed);
    let prompt = host::encode(&tokenizer, &args.prompt)?;
    ensure!(!prompt.is_empty(), "the prompt is empty, and the model's texts begin with no token of their own");
    generator.feed(&prompt)?;
    if !args.json {
        output::print(&args.prompt)?;
    }
    let (tokens, finish) = write(&mut generator, &tokenizer, &args.sampling, args.prompt.is_empty(), !args.json)?;
    if args.json {
        let text = host::decode(&tokenizer, &[prompt.as_slice(), &tokens].concat())?;
        return output::print_json(&Generated { prompt_tokens: prompt, tokens, text, finish: format!("{finish:?}") });
    }
    output::print("\n")
}

pub(super) fn chat(args: &ChatArgs) -> Result<()> {
    let file = TeffFile::read(&args.model)?;
    let model = file.model()?;
    let tokenizer = Tokenizer::of(&model).with_context(|| args.model.display().to_string())?;
    let mut memory = host::memory(&model);
    let mut lm = host::language_model(&model, &mut memory)?;
    let mut seed = args.sampling.seed;
    let mut started = false;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        let mut prompt = host::encode(&tokenizer, &line)?;
        if started {
            // What was said before stays in the cache.
            prompt.retain(|&token| Some(token) != tokenizer.bos());
        }
        if prompt.len() >= lm.room() {
            lm.reset();
            prompt = host::encode(&tokenizer, &line)?;
            output::print("(the context was full: starting anew)\n")?;
        }
        if prompt.is_empty() {
            continue;
        }
        let mut generator = Generator::new(&mut lm, Some(tokenizer), seed);
        generator.feed(&prompt)?;
        write(&mut generator, &tokenizer, &args.sampling, false, true)?;
        output::print("\n")?;
        (seed, started) = (seed.wrapping_add(1), true);
    }
    Ok(())
}

/// Generates, and prints each token as it comes.
fn write(
    generator: &mut Generator<'_, '_, '_>,
    tokenizer: &Tokenizer<'_>,
    args: &SamplingArgs,
    first: bool,
    show: bool,
) -> Result<(Vec<u16>, Finish)> {
    let stop_tokens: Vec<u16> = [tokenizer.bos(), tokenizer.eos()].into_iter().flatten().collect();
    let stops: Vec<&str> = args.stop.iter().map(String::as_str).collect();
    let longest = teff::lm::generator::MAX_STOP_LEN;
    ensure!(stops.iter().all(|s| !s.is_empty() && s.len() <= longest), "--stop: texts of 1 to {longest} bytes");
    ensure!((0.0..1_000.0).contains(&args.stop_scale), "--stop-scale must be from 0 to 1000");
    let options = Options {
        sampling: args.sampling()?,
        seed: args.seed,
        stop_tokens: &stop_tokens,
        stop_strings: &stops,
        budget: Budget {
            tokens: args.tokens,
            stop_scale: (args.stop_scale * f64::from(ONE)).round() as u32,
            closing: &[],
        },
    };
    let mut tokens = Vec::new();
    let mut first = first;
    let mut lines = 0;
    let finish = generator.generate(&options, |token| {
        tokens.push(token);
        let mut bytes: Vec<u8> = tokenizer.token_bytes(token, first).collect();
        first &= tokenizer.piece(token) == Piece::Special;
        lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u32;
        let ended = args.lines.is_some_and(|wanted| lines >= wanted);
        if show {
            // The last line is ended where the text ends.
            let _ = bytes.pop_if(|byte| ended && *byte == b'\n');
            let mut out = std::io::stdout().lock();
            if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
                return ControlFlow::Break(());
            }
        }
        if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok((tokens, finish))
}
