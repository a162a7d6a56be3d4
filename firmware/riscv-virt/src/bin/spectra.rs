//! Runs the fixed-point front end on the frames of sound in a file.
#![no_std]
#![no_main]

use riscv as _; // critical sections, which the logs need

#[riscv_rt::entry]
fn main() -> ! {
    teff_semihost::run_spectra()
}
