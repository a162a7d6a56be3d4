//! Runs the embedded language model on the tokens, or writes the text, that the file `frames.bin` of the PC asks for, and
//! leaves the answer in `outputs.bin`.
//!
//! The request is words of 32 bits, little-endian: what is asked for, seed, temperature in Q16, number of tokens to write,
//! and the tokens of the text or prompt. The answer is such words too.
//!
//! * 0, *steps*: feeds the tokens one by one, each step of each between the marks of the instruction counter, what is
//!   around the first step in its interval. The answer is the CRC-32 of the logits behind each token.
//! * 1, *text*: feeds the prompt, whole blocks through the entry point `prefill`, in an interval of its own; then writes, an
//!   interval from token to token. The answer is the tokens written, and the CRC-32 of the last logits.
//!
//! A last word is how many bytes of stack were ever used, 0 where that is not known. Exit codes: 0 all went well, 2 the model,
//! its memory or the request was refused.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

mod common;
#[cfg(target_arch = "arm")]
#[path = "../../semihost/src/stack.rs"]
mod stack;

use core::ops::{ControlFlow, Range};

use common::{PASSED, REFUSED, embedded};
use semihosting::fs::File;
use semihosting::io::{Read, Write};
use teff::lm::{Budget, DECODE, Generator, LanguageModel, Options, Sampling};
use teff::{Crc32, Model, Session};
use teff_app::markers::{bench_begin, bench_end};

/// Most tokens of a prompt.
const PROMPT: usize = 64;
/// Words of a request before its tokens.
const HEADER: usize = 4;

/// The request, word by word: no buffer adds to the stack that is measured.
struct Request(File);

impl Iterator for Request {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let mut word = [0; 4];
        self.0.read_exact(&mut word).ok()?;
        Some(u32::from_le_bytes(word))
    }
}

/// Answers the request; the exit code.
fn bench(memory: &mut [u8]) -> i32 {
    match answer(memory) {
        Some(()) => PASSED,
        None => REFUSED,
    }
}

#[inline(never)]
fn answer(memory: &mut [u8]) -> Option<()> {
    let mut request = Request(File::open(c"frames.bin").ok()?);
    let mut header = [0; HEADER];
    header.iter_mut().zip(&mut request).for_each(|(to, word)| *to = word);
    let mut out = File::create(c"outputs.bin").ok()?;
    let mut put = |word: u32| out.write_all(&word.to_le_bytes()).ok();
    let model = opened()?;
    let session = Session::new(&model, memory).ok()?;
    match header[0] {
        0 => steps(&model, session, request, &mut put)?,
        _ => text(session, request, header, &mut put)?,
    }
    put(stack_depth())
}

/// The model: by itself, since what opening it needs of the stack is free again before the model runs.
#[inline(never)]
fn opened() -> Option<Model<'static>> {
    embedded().ok()
}

#[cfg(target_arch = "arm")]
fn stack_depth() -> u32 {
    stack::depth().1 as u32
}

#[cfg(not(target_arch = "arm"))]
fn stack_depth() -> u32 {
    0
}

fn crc(logits: &[i32]) -> u32 {
    let mut crc = Crc32::new();
    logits.iter().for_each(|logit| crc.update(&logit.to_le_bytes()));
    crc.finish()
}

/// Index and steps of the entry point of one token.
#[inline(never)]
fn decode(model: &Model<'_>) -> Option<(usize, Range<usize>)> {
    let (index, entry) = model.entries().enumerate().find(|(_, entry)| entry.name() == DECODE)?;
    Some((index, entry.steps()))
}

/// Feeds `tokens` step by step.
#[inline(never)]
fn steps(
    model: &Model<'_>,
    mut session: Session<'_, '_>,
    tokens: Request,
    put: &mut impl FnMut(u32) -> Option<()>,
) -> Option<()> {
    let (index, own) = decode(model)?;
    for (position, token) in (0..).zip(tokens) {
        let mut steps = own.clone();
        bench_begin();
        *session.entry_input_i32(index, 0).ok()?.first_mut()? = token.cast_signed();
        *session.entry_input_i32(index, 1).ok()?.first_mut()? = position;
        session.run_step(steps.next()?).ok()?;
        bench_end();
        for step in steps {
            bench_begin();
            session.run_step(step).ok()?;
            bench_end();
        }
        put(crc(session.entry_output_i32(index, 0).ok()?))?;
    }
    Some(())
}

/// Feeds the prompt and writes on.
#[inline(never)]
fn text(
    session: Session<'_, '_>,
    request: Request,
    [_, seed, temperature, count]: [u32; HEADER],
    put: &mut impl FnMut(u32) -> Option<()>,
) -> Option<()> {
    let sampling = Sampling { temperature, ..Sampling::default() };
    let budget = Budget::tokens(count as usize);
    let options = Options { sampling, seed: seed.into(), stop_tokens: &[], stop_strings: &[], budget };
    let mut prompt = [0_u16; PROMPT];
    let len = prompt.iter_mut().zip(request).map(|(to, word)| *to = word as u16).count();
    let prompt = prompt.get(..len)?;
    let mut lm = LanguageModel::new(session).ok()?;
    let mut generator = Generator::new(&mut lm, None, options.seed);
    bench_begin();
    generator.feed(prompt).ok()?;
    bench_end();
    let mut wrote = Some(());
    bench_begin();
    generator
        .generate(&options, |token| {
            bench_end();
            wrote = wrote.and_then(|()| put(token.into()));
            bench_begin();
            if wrote.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .ok()?;
    bench_end();
    wrote?;
    put(crc(lm.logits().ok()?))
}
