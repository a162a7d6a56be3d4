//! STMicroelectronics' LIS3DH (data sheet DocID17530) over I2C or SPI.

use core::fmt::Debug;

use embedded_hal::delay::DelayNs;
use lis3dh::{FifoMode, Lis3dhCore, Mode, Range, Register};

use super::super::spectrum::Sample;
use super::{Sensor, SensorError, ready};

/// A LIS3DH at 1,344 samples a second, ±16 g, 12 bits in the upper part of 16: 0.75 mg for a unit.
#[derive(Debug)]
pub struct Lis3dh<D, T> {
    device: D,
    delay: T,
    /// Samples that are known to be in the FIFO.
    ready: u8,
}

/// CTRL_REG1: 1344 Hz, not low power, all three axes.
const RATE_1344: u8 = 0b1001_0111;

/// The error of the driver of a sensor on this bus.
pub type BusError<C> = lis3dh::Error<<C as Lis3dhCore>::BusError, <C as Lis3dhCore>::PinError>;

impl<C: Lis3dhCore, T: DelayNs> Lis3dh<lis3dh::Lis3dh<C>, T> {
    /// Sets the sensor up; `lis3dh::Lis3dh::new_i2c` or `new_spi`, which make `device`, have checked its identity.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn new(mut device: lis3dh::Lis3dh<C>, delay: T) -> Result<Self, SensorError<BusError<C>>> {
        let set_up = |device: &mut lis3dh::Lis3dh<C>| {
            device.set_mode(Mode::HighResolution)?;
            // The driver's own rates end at 400 Hz.
            device.write_register(Register::CTRL1, RATE_1344)?;
            device.set_range(Range::G16)?;
            device.enable_fifo(FifoMode::Stream, 0)
        };
        set_up(&mut device).map_err(SensorError::Driver)?;
        Ok(Self { device, delay, ready: 0 })
    }
}

impl<C, T: DelayNs> Sensor for Lis3dh<lis3dh::Lis3dh<C>, T>
where
    C: Lis3dhCore,
    C::BusError: Debug,
    C::PinError: Debug,
{
    type Error = SensorError<BusError<C>>;

    fn sample(&mut self) -> Result<Option<Sample>, Self::Error> {
        if self.ready == 0 {
            // The count has five bits; a full FIFO of 32 says 31 and that it overran.
            let look =
                || self.device.get_fifo_status().map(|status| status.stack_size.saturating_add(status.overrun.into()));
            self.ready = ready(&mut self.delay, look)?;
        }
        self.ready -= 1;
        let bytes = self.device.read_accel_bytes().map_err(SensorError::Driver)?;
        let mut sample = Sample::default();
        for (x, &bytes) in sample.iter_mut().zip(bytes.as_chunks().0) {
            *x = i16::from_le_bytes(bytes);
        }
        Ok(Some(sample))
    }
}
