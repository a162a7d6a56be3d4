//! `frames MODEL FRAMES OUTPUTS`: runs a model on each frame of a file.
//!
//! A frame is the bytes of the model's first input, already quantized; nothing stands between frames. The bytes of
//! the first output go to OUTPUTS in the same way. The CRC-32 of all outputs is printed, to compare with a board's,
//! and the instructions that the kernels were chosen for.

use std::error::Error;
use std::process::ExitCode;
use std::{env, fs};

use teff::{Model, SelfTestError, Session, arch, crc32};
use zerocopy::IntoBytes;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, frames, outputs] = arguments.as_slice() else {
        eprintln!("usage: frames MODEL FRAMES OUTPUTS");
        return ExitCode::from(2);
    };
    match run(model, frames, outputs) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(model: &str, frames: &str, outputs: &str) -> Result<String, Box<dyn Error>> {
    let file = fs::read(model).map_err(|error| format!("{model}: {error}"))?;
    let mut place = aligned(file.len());
    place.as_mut_bytes()[..file.len()].copy_from_slice(&file);
    let model = Model::verify(place.as_bytes()).map_err(|error| format!("{model}: {error}"))?;

    let mut memory = aligned(model.memory_len());
    let mut session = Session::new(&model, memory.as_mut_bytes())?;
    match session.self_test() {
        Ok(()) | Err(SelfTestError::Absent) => {}
        Err(error) => return Err(error.into()),
    }

    let bytes = fs::read(frames).map_err(|error| format!("{frames}: {error}"))?;
    let frame_len = session.input(0)?.len();
    if bytes.len() % frame_len != 0 {
        return Err(format!("{frames}: {} bytes are no multiple of a frame's {frame_len}", bytes.len()).into());
    }
    let mut results = Vec::new();
    for frame in bytes.chunks_exact(frame_len) {
        session.input(0)?.copy_from_slice(frame);
        session.run()?;
        results.extend_from_slice(session.output(0)?);
    }
    fs::write(outputs, &results).map_err(|error| format!("{outputs}: {error}"))?;
    let (count, crc) = (bytes.len() / frame_len, crc32(&results));
    Ok(format!("{count} frames, output CRC-32 {crc:08x}, by {}", arch::instructions()))
}

/// Room for `len` bytes that starts at a multiple of 16, as model files and session memory must.
fn aligned(len: usize) -> Vec<u128> {
    const { assert!(align_of::<u128>() == 16) };
    vec![0; len.div_ceil(16)]
}
