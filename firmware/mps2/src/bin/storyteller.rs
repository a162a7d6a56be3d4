//! Tells a story for each line in a file, with the language model that the build embedded.
#![no_std]
#![no_main]

use cortex_m as _; // critical sections, which the logs need
use teff_app::digits::Embedded;
use teff_app::storyteller::Settings;
use teff_semihost::ConstStaticCell;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    teff_semihost::run_storyteller(embedded, &mut MEMORY.take().0, Settings::DEMO)
}
