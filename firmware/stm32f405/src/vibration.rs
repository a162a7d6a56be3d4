//! Watches a machine with the STM32F405: an ADXL345 or LIS3DH on I2C1 (SDA PB7, SCL PB6) is its sensor, a light on PC6 shows
//! the score and PC1 is high during an alarm; scores go out on PA9 (USART1, 115200 baud). The crystal has 12 MHz.
#![no_std]
#![no_main]

use stm32f4xx_hal::rcc::Config;
use stm32f4xx_hal::serial;
use stm32f4xx_hal::{pac, prelude::*};
use teff_app::digits::Embedded;
use teff_app::vibration::sensor::Accelerometer;
use teff_app::vibration::spectrum::BandEnergies;
use teff_app::vibration::{self, Board};
use teff_probe::{ConstStaticCell, Transmitter};

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));
static ENERGIES: ConstStaticCell<BandEnergies> = ConstStaticCell::new(BandEnergies::new());

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = pac::Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let mut rcc = device.RCC.freeze(Config::hse(12.MHz()).sysclk(168.MHz()));
    let (gpioa, gpiob, gpioc) =
        (device.GPIOA.split(&mut rcc), device.GPIOB.split(&mut rcc), device.GPIOC.split(&mut rcc));
    let config = serial::Config::default().baudrate(115_200.bps());
    let Ok(results) = device.USART1.tx(gpioa.pa9, config, &mut rcc) else {
        teff_probe::fail(&"the serial line cannot be set up")
    };
    let bus = device.I2C1.i2c((gpiob.pb6, gpiob.pb7), 400.kHz(), &mut rcc);
    let sensor = match Accelerometer::find(bus, device.TIM5.delay_us(&mut rcc)) {
        Ok(sensor) => sensor,
        Err(error) => teff_probe::fail(&error),
    };
    let (_, (channel, ..)) = device.TIM3.pwm_hz(1.kHz(), &mut rcc);
    let mut level = channel.with(gpioc.pc6);
    level.enable();
    let board = Board { sensor, results: Transmitter(results), level, alarm: gpioc.pc1.into_push_pull_output() };
    teff_probe::ended(vibration::run(embedded, &mut MEMORY.take().0, ENERGIES.take(), board))
}
