//! Tells a story for each line that comes over the serial line, token by token as it is written, with the language model that
//! the build embedded.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

#[path = "../uart.rs"]
mod uart;

use cortex_m as _; // critical sections, which the logs need
use teff_app::digits::Embedded;
use teff_app::storyteller::{self, Settings};
use teff_semihost::{ConstStaticCell, fail};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let (prompts, text) = uart::Uart::take().split();
    match storyteller::run(embedded, &mut MEMORY.take().0, Settings::DEMO, prompts, text) {
        Ok(_) => fail(&"the serial line has ended"),
        Err(error) => fail(&error),
    }
}
