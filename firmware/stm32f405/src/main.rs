//! Teff on the STM32F405 (Cortex-M4F, 1 MB flash, 192 KB RAM), as on the Feather STM32F405 or the Netduino Plus 2.
//!
//! Frames come in on PA10 and outputs go out on PA9 (USART1, 115200 baud); PC1 is high while the model runs. The crystal
//! has 12 MHz.
#![no_std]
#![no_main]

#[cfg(feature = "slots")]
mod slots;

use stm32f4xx_hal::rcc::Config;
use stm32f4xx_hal::serial;
use stm32f4xx_hal::{pac, prelude::*};
use teff_app::digits::{Board, Embedded};
use teff_probe::{ConstStaticCell, Receiver, Transmitter};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

#[cfg(not(feature = "slots"))]
use model::MEMORY_LEN;
#[cfg(feature = "slots")]
use slots::MEMORY_LEN;

static MEMORY: ConstStaticCell<teff::Aligned<[u8; MEMORY_LEN]>> = ConstStaticCell::new(teff::Aligned([0; MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = pac::Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let mut rcc = device.RCC.freeze(Config::hse(12.MHz()).sysclk(168.MHz()));
    let (gpioa, gpioc) = (device.GPIOA.split(&mut rcc), device.GPIOC.split(&mut rcc));
    let pins = (gpioa.pa9, gpioa.pa10);
    let config = serial::Config::default().baudrate(115_200.bps());
    let Ok(line) = device.USART1.serial::<u8>(pins, config, &mut rcc) else {
        teff_probe::fail(&"the serial line cannot be set up")
    };
    let (transmitter, receiver) = line.split();
    let board = Board {
        frames: Receiver(receiver),
        results: Transmitter(transmitter),
        busy: gpioc.pc1.into_push_pull_output(),
    };
    let memory = &mut MEMORY.take().0;
    #[cfg(feature = "slots")]
    let mut flash = device.FLASH;
    #[cfg(feature = "slots")]
    teff_probe::slots::run(slots::flash(&mut flash), &model::PUBLIC_KEY, embedded, memory, board);
    #[cfg(not(feature = "slots"))]
    teff_probe::run(embedded, memory, board)
}
