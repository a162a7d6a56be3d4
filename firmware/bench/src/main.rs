//! Runs the self-test of the embedded model, each step between the marks of the instruction counter.
//!
//! Nothing else is in this firmware: no log, no formatting, no frame reader. Its size without the model is what the
//! runtime, with the operators that the model names, costs. Exit codes: 0 the bits of the PC, 1 other bits, 2 the model
//! or its memory was refused.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

mod common;

use common::{PASSED, REFUSED, embedded};
use teff::Session;
use teff_app::markers::{bench_begin, bench_end};

/// Another step's bits than on the PC.
const DIFFERS: i32 = 1;

/// Opens the model, fills its inputs and runs its steps; the exit code.
#[inline(never)]
fn bench(memory: &mut [u8]) -> i32 {
    let Ok(model) = embedded() else { return REFUSED };
    let Ok(mut session) = Session::new(&model, memory) else { return REFUSED };
    let (Some((mut rest, crcs)), Some(entry)) = (model.self_test(), model.entry(0)) else { return REFUSED };
    for index in 0..entry.inputs().count() {
        let Ok(input) = session.input(index) else { return REFUSED };
        let Some((from, tail)) = rest.split_at_checked(input.len()) else { return REFUSED };
        input.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        rest = tail;
    }
    for (index, &crc) in entry.steps().zip(crcs) {
        bench_begin();
        let step = session.run_step(index);
        bench_end();
        if step.ok().map(|step| session.outputs_crc(&step)) != Some(crc) {
            return DIFFERS;
        }
    }
    PASSED
}
