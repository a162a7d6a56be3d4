//! Classifies the frames that come over the serial line; the LED is on meanwhile.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

#[path = "../led.rs"]
mod led;
#[path = "../uart.rs"]
mod uart;

use cortex_m as _; // critical sections, which the logs need
use teff_app::digits::{self, Board, Embedded};
use teff_semihost::{ConstStaticCell, fail};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let (frames, results) = uart::Uart::take().split();
    match digits::run(embedded, &mut MEMORY.take().0, Board { frames, results, busy: led::Led::new() }) {
        Ok(_) => fail(&"the serial line has ended"),
        Err(error) => fail(&error),
    }
}
