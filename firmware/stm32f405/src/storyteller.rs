//! The storyteller on the STM32F405: each line that comes in on PA10 begins a story, which goes out on PA9 token by token
//! (USART1, 115200 baud). The next line has to wait until it is told. The crystal has 12 MHz.
#![no_std]
#![no_main]

#[cfg(feature = "slots")]
mod slots;

use stm32f4xx_hal::rcc::Config;
use stm32f4xx_hal::serial;
use stm32f4xx_hal::{pac, prelude::*};
use teff_app::digits::Embedded;
#[cfg(not(feature = "slots"))]
use teff_app::storyteller;
use teff_app::storyteller::Settings;
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
    let gpioa = device.GPIOA.split(&mut rcc);
    let pins = (gpioa.pa9, gpioa.pa10);
    let config = serial::Config::default().baudrate(115_200.bps());
    let Ok(line) = device.USART1.serial::<u8>(pins, config, &mut rcc) else {
        teff_probe::fail(&"the serial line cannot be set up")
    };
    let (text, prompts) = line.split();
    let memory = &mut MEMORY.take().0;
    let (prompts, text) = (Receiver(prompts), Transmitter(text));
    #[cfg(feature = "slots")]
    let mut flash = device.FLASH;
    #[cfg(feature = "slots")]
    teff_probe::slots::run_storyteller(
        slots::flash(&mut flash),
        &model::PUBLIC_KEY,
        embedded,
        memory,
        Settings::DEMO,
        (prompts, text),
    );
    #[cfg(not(feature = "slots"))]
    teff_probe::ended(storyteller::run(embedded, memory, Settings::DEMO, prompts, text))
}
