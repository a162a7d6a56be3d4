//! The smallest use of a model: reads the bytes of its input from the file `frames.bin` of the PC, runs it, writes the bytes of its
//! output to `outputs.bin`, and so on until the file ends.
//!
//! Exit codes: 0 all went well, 2 the model, its memory or a file was refused.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

mod common;
mod short_memory;

use core::mem::ManuallyDrop;

use common::{PASSED, REFUSED, embedded};
use semihosting::fs::File;
use semihosting::io::{Read, Write};
use teff::Session;

/// Answers all values; the exit code.
fn bench(memory: &mut [u8]) -> i32 {
    match answer(memory) {
        Some(()) => PASSED,
        None => REFUSED,
    }
}

fn answer(memory: &mut [u8]) -> Option<()> {
    let model = embedded().ok()?;
    let mut session = Session::new(&model, memory).ok()?;
    // The host closes them when the program exits.
    let mut values = ManuallyDrop::new(File::open(c"frames.bin").ok()?);
    let mut results = ManuallyDrop::new(File::create(c"outputs.bin").ok()?);
    while values.read_exact(session.input(0).ok()?).is_ok() {
        session.run().ok()?;
        results.write_all(session.output(0).ok()?).ok()?;
    }
    Some(())
}
