//! Analog Devices' ADXL345 (data sheet, revision G) over I2C or SPI.

use adxl345_driver2::{Adxl345 as Driver, AdxlError};
use embedded_hal::delay::DelayNs;

use super::super::spectrum::Sample;
use super::{Sensor, SensorError, ready};

/// Register DEVID of every ADXL345.
pub(super) const IDENTITY: u8 = 0xE5;

/// An ADXL345 at 1,600 samples a second, ±16 g at full resolution: 3.9 mg for a unit.
#[derive(Debug)]
pub struct Adxl345<D, T> {
    device: D,
    delay: T,
    /// Samples that are known to be in the FIFO.
    ready: u8,
}

impl<D: Driver, T: DelayNs> Adxl345<D, T> {
    /// Sets the sensor up. `device` is `adxl345_driver2::i2c::Device`, which wants a bus of 400 kHz, or
    /// `adxl345_driver2::spi::Device`.
    ///
    /// # Errors
    /// If it does not answer, or is no ADXL345.
    pub fn new(mut device: D, delay: T) -> Result<Self, SensorError<AdxlError>> {
        let found = device.device_id().map_err(SensorError::Driver)?;
        if found != IDENTITY {
            return Err(SensorError::Identity { found, expected: IDENTITY });
        }
        Self::set_up(&mut device).map_err(SensorError::Driver)?;
        Ok(Self { device, delay, ready: 0 })
    }

    fn set_up(device: &mut D) -> Result<(), AdxlError> {
        // Three wires or four are the bus's matter.
        let three_wires = device.access(DATA_FORMAT)? & THREE_WIRES;
        device.set_data_format(three_wires | FULL_RESOLUTION_16G)?;
        device.set_bandwidth_rate(RATE_1600)?;
        device.set_fifo_control(STREAM)?;
        device.set_power_control(MEASURE)
    }
}

/// BW_RATE: 1600 Hz.
const RATE_1600: u8 = 0x0E;
/// DATA_FORMAT: its address, and its bits.
const DATA_FORMAT: u8 = 0x31;
const THREE_WIRES: u8 = 0x40;
const FULL_RESOLUTION_16G: u8 = 0x0B;
/// FIFO_CTL: the oldest sample gives way to the newest.
const STREAM: u8 = 0x80;
/// POWER_CTL: measure.
const MEASURE: u8 = 0x08;

impl<D: Driver, T: DelayNs> Sensor for Adxl345<D, T> {
    type Error = SensorError<AdxlError>;

    fn sample(&mut self) -> Result<Option<Sample>, Self::Error> {
        if self.ready == 0 {
            self.ready = ready(&mut self.delay, || Ok(self.device.fifo_status()?.entries()))?;
        }
        self.ready -= 1;
        let (x, y, z) = self.device.acceleration().map_err(SensorError::Driver)?;
        Ok(Some([x, y, z]))
    }
}
