//! Watches the machine of a recorded vibration.
#![no_std]
#![no_main]

use riscv as _; // critical sections, which the logs need
use teff_app::digits::Embedded;
use teff_app::vibration::spectrum::BandEnergies;
use teff_semihost::{ConstStaticCell, Unconnected};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));
static ENERGIES: ConstStaticCell<BandEnergies> = ConstStaticCell::new(BandEnergies::new());

#[riscv_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    teff_semihost::run_vibration(embedded, &mut MEMORY.take().0, ENERGIES.take(), Unconnected)
}
