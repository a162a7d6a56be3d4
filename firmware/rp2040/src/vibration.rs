//! Watches a machine with the Raspberry Pi Pico: an ADXL345 or LIS3DH on I2C0 (SDA GPIO 4, SCL GPIO 5) is its sensor, the LED
//! shows the score and GPIO 15 is high during an alarm; scores go out on GPIO 0 (UART0, 115200 baud).
#![no_std]
#![no_main]

mod pico;

use rp2040_hal::clocks::Clock;
use rp2040_hal::fugit::RateExtU32;
use rp2040_hal::gpio::Pins;
use rp2040_hal::pac::Peripherals;
use rp2040_hal::pwm::Slices;
use rp2040_hal::{I2C, Sio, Timer};
use teff_app::digits::Embedded;
use teff_app::vibration::sensor::Accelerometer;
use teff_app::vibration::spectrum::BandEnergies;
use teff_app::vibration::{self, Board};
use teff_probe::ConstStaticCell;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));
static ENERGIES: ConstStaticCell<BandEnergies> = ConstStaticCell::new(BandEnergies::new());

#[rp2040_hal::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(mut device) = Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let (plls, resets) = ((device.PLL_SYS, device.PLL_USB), &mut device.RESETS);
    let clocks = pico::clocks(device.XOSC, device.CLOCKS, plls, device.WATCHDOG, resets);
    let pins = Pins::new(device.IO_BANK0, device.PADS_BANK0, Sio::new(device.SIO).gpio_bank0, resets);
    let line = pico::line(device.UART0, pins.gpio0, pins.gpio1, &clocks, resets);
    let (_, results) = line.split();
    let (sda, scl) = (pins.gpio4.reconfigure(), pins.gpio5.reconfigure());
    let bus = I2C::i2c0(device.I2C0, sda, scl, 400.kHz(), resets, clocks.system_clock.freq());
    let sensor = match Accelerometer::find(bus, Timer::new(device.TIMER, resets, &clocks)) {
        Ok(sensor) => sensor,
        Err(error) => teff_probe::fail(&error),
    };
    let mut pwm = Slices::new(device.PWM, resets).pwm4;
    pwm.enable();
    let mut level = pwm.channel_b;
    level.output_to(pins.gpio25);
    let board = Board { sensor, results, level, alarm: pins.gpio15.into_push_pull_output() };
    teff_probe::ended(vibration::run(embedded, &mut MEMORY.take().0, ENERGIES.take(), board))
}
