//! Watches a machine with the nRF52840-DK: an ADXL345 or LIS3DH on I2C (SDA P0.26, SCL P0.27) is its sensor, LED 1 shows the
//! score and LED 2 is dark during an alarm; scores go out on the board's USB serial port (P0.06, 115200 baud).
#![no_std]
#![no_main]

mod line;

use core::cell::RefCell;

use nrf52840_hal::gpio::{Level, p0};
use nrf52840_hal::pac::Peripherals;
use nrf52840_hal::pwm::{Channel, Pwm, PwmChannel};
use nrf52840_hal::timer::Timer;
use nrf52840_hal::uarte::Baudrate;
use nrf52840_hal::{twim, twim::Twim};
use teff_app::digits::Embedded;
use teff_app::vibration::sensor::Accelerometer;
use teff_app::vibration::spectrum::BandEnergies;
use teff_app::vibration::{self, Board};
use teff_probe::ConstStaticCell;

use crate::line::Half;

mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

static MEMORY: ConstStaticCell<teff::Aligned<[u8; model::MEMORY_LEN]>> =
    ConstStaticCell::new(teff::Aligned([0; model::MEMORY_LEN]));
static ENERGIES: ConstStaticCell<BandEnergies> = ConstStaticCell::new(BandEnergies::new());

#[cortex_m_rt::entry]
fn main() -> ! {
    let embedded = Embedded { model: model::MODEL, ops: model::OPS };
    let Some(device) = Peripherals::take() else { teff_probe::fail(&"the board's peripherals are taken") };
    let port = p0::Parts::new(device.P0);
    let line = RefCell::new(line::usb(device.UARTE0, (port.p0_06, port.p0_08), None, Baudrate::BAUD115200));
    let (sda, scl) = (port.p0_26.into_floating_input().degrade(), port.p0_27.into_floating_input().degrade());
    let bus = Twim::new(device.TWIM1, twim::Pins { scl, sda }, twim::Frequency::K400);
    let sensor = match Accelerometer::find(bus, Timer::new(device.TIMER0)) {
        Ok(sensor) => sensor,
        Err(error) => teff_probe::fail(&error),
    };
    // On for as long as the pin is low, which lights the LED.
    let pwm = Pwm::new(device.PWM0);
    pwm.set_output_pin(Channel::C0, port.p0_13.into_push_pull_output(Level::High).degrade()).enable();
    let (level, alarm) = (PwmChannel::new(&pwm, Channel::C0), port.p0_14.into_push_pull_output(Level::Low));
    let board = Board { sensor, results: Half(&line), level, alarm };
    teff_probe::ended(vibration::run(embedded, &mut MEMORY.take().0, ENERGIES.take(), board))
}
