//! Whichever accelerometer is on a bus of I2C.

use core::convert::Infallible;

use adxl345_driver2::{AdxlError, i2c::Device};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use lis3dh::{Lis3dhI2C, SlaveAddr};

use super::super::spectrum::Sample;
use super::{Adxl345, Lis3dh, Sensor, SensorError, adxl345};

/// The accelerometers that there are drivers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Analog Devices' ADXL345.
    Adxl345,
    /// STMicroelectronics' LIS3DH.
    Lis3dh,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Adxl345, Self::Lis3dh];

    /// Where it may be on a bus of I2C: by its pin ALT ADDRESS or SA0 (on modules often SDO), low and high.
    pub const fn addresses(self) -> [u8; 2] {
        match self {
            Self::Adxl345 => [0x53, 0x1D],
            Self::Lis3dh => [0x18, 0x19],
        }
    }

    /// The register with its identity (DEVID, WHO_AM_I), and what that says.
    const fn identity(self) -> (u8, u8) {
        match self {
            Self::Adxl345 => (0x00, adxl345::IDENTITY),
            Self::Lis3dh => (0x0F, 0x33),
        }
    }

    /// The address at which it answers.
    fn address_on<B: I2c>(self, bus: &mut B) -> Option<u8> {
        let (register, identity) = self.identity();
        self.addresses().into_iter().find(|&address| {
            let mut found = [0];
            bus.write_read(address, &[register], &mut found).is_ok() && found == [identity]
        })
    }
}

/// An ADXL345 or a LIS3DH, as they are set up by [`Adxl345::new`] and [`Lis3dh::new`].
pub enum Accelerometer<B, T> {
    /// Analog Devices' ADXL345.
    Adxl345(Adxl345<Device<B>, T>),
    /// STMicroelectronics' LIS3DH.
    Lis3dh(Lis3dh<lis3dh::Lis3dh<Lis3dhI2C<B>>, T>),
}

/// What the driver of an [`Accelerometer`] says; `E` is the error of the bus.
#[derive(Debug)]
pub enum DriverError<E> {
    /// That of the ADXL345.
    Adxl345(AdxlError),
    /// That of the LIS3DH.
    Lis3dh(lis3dh::Error<E, Infallible>),
}

impl<B: I2c, T: DelayNs> Accelerometer<B, T> {
    /// Looks for an accelerometer on `bus`, of 400 kHz, at all its addresses, and sets it up.
    ///
    /// # Errors
    /// [`SensorError::Absent`] if none says that it is one of them; or if it then does not answer.
    pub fn find(bus: B, delay: T) -> Result<Self, SensorError<DriverError<B::Error>>> {
        Self::find_among(&Kind::ALL, bus, delay)
    }

    /// As [`Accelerometer::find`], but looks for these kinds alone, in their order.
    ///
    /// # Errors
    /// The same.
    pub fn find_among(kinds: &[Kind], mut bus: B, delay: T) -> Result<Self, SensorError<DriverError<B::Error>>> {
        let mut found = kinds.iter().filter_map(|&kind| Some((kind, kind.address_on(&mut bus)?)));
        let (kind, address) = found.next().ok_or(SensorError::Absent)?;
        match kind {
            Kind::Adxl345 => {
                let device = Device::with_address(bus, address).map_err(SensorError::Driver);
                let sensor = device.and_then(|device| Adxl345::new(device, delay));
                sensor.map(Self::Adxl345).map_err(|error| error.map(DriverError::Adxl345))
            }
            Kind::Lis3dh => {
                let [default, _] = kind.addresses();
                let address = if address == default { SlaveAddr::Default } else { SlaveAddr::Alternate };
                let device = lis3dh::Lis3dh::new_i2c(bus, address).map_err(SensorError::Driver);
                let sensor = device.and_then(|device| Lis3dh::new(device, delay));
                sensor.map(Self::Lis3dh).map_err(|error| error.map(DriverError::Lis3dh))
            }
        }
    }
}

impl<B: I2c, T: DelayNs> Sensor for Accelerometer<B, T> {
    type Error = SensorError<DriverError<B::Error>>;

    fn sample(&mut self) -> Result<Option<Sample>, Self::Error> {
        match self {
            Self::Adxl345(sensor) => sensor.sample().map_err(|error| error.map(DriverError::Adxl345)),
            Self::Lis3dh(sensor) => sensor.sample().map_err(|error| error.map(DriverError::Lis3dh)),
        }
    }
}
