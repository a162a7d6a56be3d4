//! `text MODEL REQUEST ANSWER`: lets a language model write a text, as `teff-bench-tokens` of `firmware/bench` does on a
//! microcontroller.
//!
//! REQUEST is words of 32 bits, little-endian: 1, seed, temperature in Q16, number of tokens to write, and the tokens of the
//! prompt. ANSWER is such words too: the tokens written, and the CRC-32 of the last logits.

use std::error::Error;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::{env, fs};

use teff::lm::{Budget, Generator, LanguageModel, Options, Sampling};
use teff::{Crc32, Model, Session};
use zerocopy::IntoBytes;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, request, answer] = arguments.as_slice() else {
        eprintln!("usage: text MODEL REQUEST ANSWER");
        return ExitCode::from(2);
    };
    match run(model, request, answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(model: &str, request: &str, answer: &str) -> Result<(), Box<dyn Error>> {
    let file = fs::read(model).map_err(|error| format!("{model}: {error}"))?;
    let mut place = aligned(file.len());
    place.as_mut_bytes()[..file.len()].copy_from_slice(&file);
    let model = Model::verify(place.as_bytes()).map_err(|error| format!("{model}: {error}"))?;
    let mut memory = aligned(model.memory_len());
    let mut lm = LanguageModel::new(Session::new(&model, memory.as_mut_bytes())?)?;

    let bytes = fs::read(request).map_err(|error| format!("{request}: {error}"))?;
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
    let [1, seed, temperature, count, ref prompt @ ..] = words[..] else {
        return Err(format!("{request} asks for no text").into());
    };
    let prompt = prompt.iter().map(|&token| u16::try_from(token)).collect::<Result<Vec<_>, _>>()?;
    let sampling = Sampling { temperature, ..Sampling::default() };
    let budget = Budget::tokens(count as usize);
    let options = Options { sampling, seed: seed.into(), stop_tokens: &[], stop_strings: &[], budget };
    let mut generator = Generator::new(&mut lm, None, options.seed);
    generator.feed(&prompt)?;
    let mut written: Vec<u32> = Vec::new();
    generator.generate(&options, |token| {
        written.push(token.into());
        ControlFlow::Continue(())
    })?;
    let mut crc = Crc32::new();
    lm.logits()?.iter().for_each(|logit| crc.update(&logit.to_le_bytes()));
    written.push(crc.finish());
    let bytes: Vec<u8> = written.into_iter().flat_map(u32::to_le_bytes).collect();
    fs::write(answer, bytes).map_err(|error| format!("{answer}: {error}").into())
}

/// Room for `len` bytes that starts at a multiple of 16, as model files and session memory must.
fn aligned(len: usize) -> Vec<u128> {
    const { assert!(align_of::<u128>() == 16) };
    vec![0; len.div_ceil(16)]
}
