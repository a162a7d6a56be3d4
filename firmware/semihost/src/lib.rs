//! What the emulated boards share: files, logs, panics and exit, all through semihosting.
//!
//! The emulator's command line names the files: `FRAMES OUTPUTS`. Logs are defmt frames on standard output, and exit
//! code 0 says that all went well. A real board has serial lines and flash in place of all this; its crate does not
//! use this one.
#![no_std]

use defmt_semihosting as _;

mod file;
#[cfg(all(feature = "float-registers", target_arch = "arm", not(target_abi = "eabihf")))]
mod float_registers;
mod panic;
#[cfg(target_arch = "arm")]
mod stack;

pub use file::{FileError, Frames, Outputs, open};
pub use static_cell::ConstStaticCell;
pub use teff_app::Unconnected;

use core::fmt::Display;

use embedded_hal::digital::OutputPin;
use teff_app::compare;
use teff_app::conformance::{self, Buffer};
use teff_app::digits::{self, Board, Embedded};
use teff_app::keyword;
use teff_app::spectra;
use teff_app::storyteller::{self, Settings};
use teff_app::vibration::{self, sensor::Recording, spectrum::BandEnergies};

/// Runs the application that the features name, and exits: `compare`, else digits.
pub fn run<P: OutputPin>(embedded: Embedded, memory: &mut [u8], busy: P) -> ! {
    match cfg!(feature = "compare") {
        true => run_compare(embedded, memory),
        false => run_digits(embedded, memory, busy),
    }
}

/// Runs `application` on the files of the command line, checks the stack, and exits.
fn on_files<E: Display>(application: impl FnOnce(Frames, Outputs) -> Result<(), E>) -> ! {
    let (frames, outputs) = match open() {
        Ok(files) => files,
        Err(error) => fail(&error),
    };
    if let Err(error) = application(frames, outputs) {
        fail(&error);
    }
    check_stack();
    succeed()
}

/// Answers the requests in the file of frames, and exits.
pub fn run_compare(embedded: Embedded, memory: &mut [u8]) -> ! {
    on_files(|requests, responses| compare::run(embedded, memory, requests, responses).map(|_| ()))
}

/// Runs the digits application on the files of the command line, and exits.
pub fn run_digits<P: OutputPin>(embedded: Embedded, memory: &mut [u8], busy: P) -> ! {
    on_files(|frames, results| digits::run(embedded, memory, Board { frames, results, busy }).map(|_| ()))
}

/// Runs the self-tests of the models in the file of frames, and exits.
pub fn run_conformance(file: &mut Buffer, memory: &mut Buffer) -> ! {
    let (models, results) = match open() {
        Ok(files) => files,
        Err(error) => fail(&error),
    };
    if let Err(error) = conformance::run(models, results, file, memory) {
        fail(&error);
    }
    succeed()
}

/// Runs the front end on the frames of sound in the file of frames, and exits.
pub fn run_spectra() -> ! {
    on_files(|frames, results| spectra::run(frames, results).map(|_| ()))
}

/// Runs the vibration application on the recording in the file of frames, and exits.
pub fn run_vibration<P: OutputPin>(embedded: Embedded, memory: &mut [u8], energies: &mut BandEnergies, alarm: P) -> ! {
    on_files(|recording, results| {
        let board = vibration::Board { sensor: Recording(recording), results, level: Unconnected, alarm };
        vibration::run(embedded, memory, energies, board).map(|_| ())
    })
}

/// Tells a story for each line in the file of frames, and exits.
pub fn run_storyteller(embedded: Embedded, memory: &mut [u8], settings: Settings) -> ! {
    on_files(|prompts, text| storyteller::run(embedded, memory, settings, prompts, text).map(|_| ()))
}

/// Runs the keyword application on the sound in the file of frames, and exits.
pub fn run_keyword<P: OutputPin>(embedded: Embedded, memory: &mut [u8], heard: P) -> ! {
    on_files(|sound, results| keyword::run(embedded, memory, keyword::Board { sound, results, heard }).map(|_| ()))
}

/// Logs how deep the stack went; if that is to its end, it may have gone further, over the variables.
#[cfg(target_arch = "arm")]
fn check_stack() {
    let (total, used) = stack::depth();
    defmt::debug!("stack: {=usize} of {=usize} bytes used", used, total);
    if used == total {
        fail(&"the stack overflowed: its memory is used to the last word");
    }
}

/// Nothing paints the stack here.
#[cfg(not(target_arch = "arm"))]
fn check_stack() {}

/// Logs `error` and exits with code 1.
pub fn fail(error: &dyn core::fmt::Display) -> ! {
    defmt::error!("{}", defmt::Display2Format(error));
    semihosting::process::exit(1)
}

/// Exits with code 0.
pub fn succeed() -> ! {
    semihosting::process::exit(0)
}
