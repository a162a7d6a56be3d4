//! Runs the self-tests of the models in a file: every operator of the runtime, on this processor.
#![no_std]
#![no_main]

use cortex_m as _; // critical sections, which the logs need
use teff_app::conformance::{Buffer, CAPACITY};
use teff_semihost::ConstStaticCell;

static FILE: ConstStaticCell<Buffer> = ConstStaticCell::new(teff::Aligned([0; CAPACITY]));
static MEMORY: ConstStaticCell<Buffer> = ConstStaticCell::new(teff::Aligned([0; CAPACITY]));

#[cortex_m_rt::entry]
fn main() -> ! {
    teff_semihost::run_conformance(FILE.take(), MEMORY.take())
}
