//! The storyteller on the STM32F405: each line that comes in on PA10 begins a story, which goes out on PA9 token by token
//! (USART1, 115200 baud). The next line has to wait until it is told. The crystal has 12 MHz.
#![no_std]
#![no_main]

use stm32f4xx_hal::rcc::Config;
use stm32f4xx_hal::serial;
use stm32f4xx_hal::{pac, prelude::*};
use teff_app::digits::Embedded;
use teff_app::storyteller::{self, Settings};
use teff_probe::{ConstStaticCell, Receiver, Transmitter};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = pac::Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let mut rcc = device.RCC.freeze(Config::hse(12.MHz()).sysclk(168.MHz()));
    let gpioa = device.GPIOA.split(&mut rcc);
    let pins = (gpioa.pa9, gpioa.pa10);
    let config = serial::Config::default().baudrate(115_200.bps());
    let Ok(line) = device.USART1.serial::<u8>(pins, config, &mut rcc) else {
        teff_probe::fail(&"the serial line cannot be set up")
    };
    let (text, prompts) = line.split();
    let memory = &mut MEMORY.take().0;
    let told = storyteller::run(embedded, memory, Settings::DEMO, Receiver(prompts), Transmitter(text));
    teff_probe::ended(told)
}
