//! Teff on Arm's MPS2 and MPS3 boards, as QEMU emulates them: the target that it is built for names the core, and with it the
//! board.
#![no_std]
#![no_main]

mod led;

use cortex_m as _; // critical sections, which the logs need
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
    teff_semihost::run(embedded, &mut MEMORY.take().0, led::Led::new())
}
