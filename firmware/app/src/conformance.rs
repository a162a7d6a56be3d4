//! Runs the self-tests of a stream of models: whether this device computes, step by step, what the PC computed.
//!
//! In the stream a model is the length of its file, u32 little-endian, and the bytes of the file. For each of them one
//! byte goes out: 0 if every step gave the bits of the PC, else one of [`Verdict`].

use embedded_io::{Read, Write};
use teff::{Aligned, Model, Session};

use crate::digits::read_frame;
use crate::error::Error;

/// Longest file, and largest memory of a model, in bytes.
pub const CAPACITY: usize = 64 << 10;

/// A buffer for a file or for the memory of a session.
pub type Buffer = Aligned<[u8; CAPACITY]>;

/// What became of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every step gave the bits of the PC.
    Passed = 0,
    /// The file does not verify, or its memory does not fit.
    Refused = 1,
    /// A step gave other bits, or the file holds no self-test.
    Failed = 2,
}

/// Runs all models of the stream; gives their number.
///
/// # Errors
/// If the stream cannot be read, ends within a model or holds one that is too long, or a result cannot be written.
pub fn run<R: Read, W: Write>(
    mut models: R,
    mut results: W,
    file: &mut Buffer,
    memory: &mut Buffer,
) -> Result<u32, Error<R::Error, W::Error, core::convert::Infallible>> {
    let mut count = 0_u32;
    let mut len = [0; 4];
    while read_frame(&mut models, &mut len)? {
        let needed = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
        let Some(bytes) = file.0.get_mut(..needed) else {
            return Err(Error::PartialFrame { needed, found: CAPACITY });
        };
        if !read_frame(&mut models, bytes)? {
            return Err(Error::PartialFrame { needed, found: 0 });
        }
        let verdict = judge(bytes, memory);
        if verdict != Verdict::Passed {
            info!("model {=u32} of the stream: {=u8}", count, verdict as u8);
        }
        results.write_all(&[verdict as u8]).map_err(Error::Write)?;
        count = count.saturating_add(1);
    }
    results.flush().map_err(Error::Write)?;
    info!("{=u32} models", count);
    Ok(count)
}

fn judge(bytes: &[u8], memory: &mut Buffer) -> Verdict {
    let Ok(model) = Model::verify(bytes) else { return Verdict::Refused };
    let Ok(mut session) = Session::new(&model, &mut memory.0) else { return Verdict::Refused };
    match session.self_test() {
        Ok(()) => Verdict::Passed,
        Err(_) => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use super::*;

    /// The shipped model as a stream holds it.
    fn model() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/lightcnn-mnist/model.teff");
        std::fs::read(path).expect("the shipped model")
    }

    fn judge_all(files: &[Vec<u8>]) -> Result<Vec<u8>, bool> {
        let mut stream = Vec::new();
        for file in files {
            stream.extend((file.len() as u32).to_le_bytes());
            stream.extend(file);
        }
        let mut results = [9; 8];
        let (mut file, mut memory) = (Box::new(Aligned([0; CAPACITY])), Box::new(Aligned([0; CAPACITY])));
        let count = run(&stream[..], &mut results[..], &mut file, &mut memory);
        count.map(|n| results[..n as usize].to_vec()).map_err(|e| matches!(e, Error::PartialFrame { .. }))
    }

    #[test]
    fn each_model_has_its_verdict() {
        let mut cut = model();
        cut.pop();
        let verdicts = [Verdict::Passed, Verdict::Refused, Verdict::Passed].map(|v| v as u8).to_vec();
        assert_eq!(judge_all(&[model(), cut, model()]), Ok(verdicts));
    }

    #[test]
    fn a_file_that_is_too_long_is_an_error() {
        assert_eq!(judge_all(&[std::vec![0; CAPACITY + 1]]), Err(true));
    }
}
