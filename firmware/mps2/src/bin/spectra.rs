//! Runs the fixed-point front end on the frames of sound in a file.
#![no_std]
#![no_main]

use cortex_m as _; // critical sections, which the logs need

#[cortex_m_rt::entry]
fn main() -> ! {
    teff_semihost::run_spectra()
}
