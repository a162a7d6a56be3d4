//! Links only if the optimizer leaves no panic that can be reached from verifying a model and running it, or from the
//! front end.
//!
//! The panic handler calls a function that exists nowhere: as long as a call of the handler survives, the linker finds
//! it undefined. All operators are in. To see what leads to the panic, give the function an address and look for calls
//! of `core::panicking` and of functions whose names end in `_fail`:
//!
//! ```text
//! cargo rustc --release -- -C link-arg=--defsym=a_panic_can_be_reached=0
//! llvm-objdump --disassemble --demangle --line-numbers ../../target/thumbv7em-none-eabihf/release/teff-no-panic
//! ```
#![no_std]
#![no_main]
#![allow(unsafe_code)]

use core::hint::black_box;
use core::panic::PanicInfo;

use teff::dsp::{Framer, LogMel, MelBank, PreEmphasis, Rfft, hann};
use teff::{Aligned, Model, Session};

unsafe extern "C" {
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: no program with this call is ever linked.
    unsafe { a_panic_can_be_reached() }
}

/// All that a firmware asks of the runtime. True if it went well.
#[inline(never)]
fn infer(file: &[u8], memory: &mut [u8], frame: &[u8], result: &mut [u8]) -> bool {
    let Ok(model) = Model::verify_with(file, teff::ops::ALL) else { return false };
    let Ok(mut session) = Session::new(&model, memory) else { return false };
    if session.self_test().is_err() {
        return false;
    }
    let Ok(input) = session.input(0) else { return false };
    input.iter_mut().zip(frame).for_each(|(to, from)| *to = *from);
    if session.run().is_err() {
        return false;
    }
    let Ok(output) = session.output(0) else { return false };
    result.iter_mut().zip(output).for_each(|(to, from)| *to = *from);
    true
}

static WINDOW: [u16; 400] = hann();
static FFT: Rfft<256> = Rfft::new();
static MEL: MelBank<256> = MelBank::new(16_000, 40, 20, 7_600);
static LOG_MEL: LogMel<'static, 256> = LogMel { window: &WINDOW, fft: &FFT, mel: &MEL };

/// The front end, from samples to log-mel energies.
#[inline(never)]
fn listen(samples: &mut [i16], hop: usize, energies: &mut [i32]) {
    let mut filter = PreEmphasis::new(31_785);
    samples.iter_mut().for_each(|x| *x = filter.apply(*x));
    let mut spectrum = [[0; 2]; 256];
    Framer::<400>::new(hop).feed(samples, |frame| LOG_MEL.run(frame, &mut spectrum, energies));
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut memory = black_box(Aligned([0; 1024]));
    let mut result = [0; 16];
    let done = infer(black_box(&[]), &mut memory.0, black_box(&[0; 16]), &mut result);
    let mut energies = [0; 40];
    listen(black_box(&mut [0; 800]), black_box(160), &mut energies);
    black_box((done, result, energies));
    if cfg!(feature = "counterexample") {
        black_box(result[black_box(16)]);
    }
    loop {
        core::hint::spin_loop();
    }
}
