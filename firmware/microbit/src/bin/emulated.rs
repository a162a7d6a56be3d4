//! Teff on the BBC micro:bit (Cortex-M0, 256 KB flash, 16 KB RAM), as QEMU emulates it, with frames from a file of the PC.
//!
//! The busy LED is the first of the display: row 1 feeds it, column 1 draws from it.
#![no_std]
#![no_main]

use microbit::Board;
use teff_app::digits::Embedded;
use teff_semihost::ConstStaticCell;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    match Board::take() {
        // Columns are low after reset, so row 1 alone lights the LED.
        Some(board) => teff_semihost::run(embedded, &mut MEMORY.take().0, board.display_pins.row1),
        None => teff_semihost::fail(&"the board's peripherals are taken"),
    }
}
