//! Whichever accelerometer is on a bus of I2C.

use core::convert::Infallible;

use adxl345_driver2::{AdxlError, i2c::Device};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use lis3dh::{Lis3dhI2C, SlaveAddr};

use super::super::spectrum::Sample;
use super::{Adxl345, Lis3dh, Sensor, SensorError, adxl345};

/// Where an ADXL345 is, by its pin ALT ADDRESS (on modules often SDO).
const ADXL345: [u8; 2] = [0x53, 0x1D];
/// Its register DEVID.
const DEVID: u8 = 0x00;
/// Where a LIS3DH is, by its pin SA0 (on modules often SDO).
const LIS3DH: [(u8, SlaveAddr); 2] = [(0x18, SlaveAddr::Default), (0x19, SlaveAddr::Alternate)];
/// Its register WHO_AM_I, and what that says.
const WHO_AM_I: u8 = 0x0F;
const LIS3DH_IDENTITY: u8 = 0x33;

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
    pub fn find(mut bus: B, delay: T) -> Result<Self, SensorError<DriverError<B::Error>>> {
        let mut says = |address, register, identity| {
            let mut found = [0];
            bus.write_read(address, &[register], &mut found).is_ok() && found == [identity]
        };
        if let Some(address) = ADXL345.into_iter().find(|&address| says(address, DEVID, adxl345::IDENTITY)) {
            let device = Device::with_address(bus, address).map_err(SensorError::Driver);
            let sensor = device.and_then(|device| Adxl345::new(device, delay));
            return sensor.map(Self::Adxl345).map_err(|error| error.map(DriverError::Adxl345));
        }
        if let Some((_, address)) = LIS3DH.into_iter().find(|&(address, _)| says(address, WHO_AM_I, LIS3DH_IDENTITY)) {
            let device = lis3dh::Lis3dh::new_i2c(bus, address).map_err(SensorError::Driver);
            let sensor = device.and_then(|device| Lis3dh::new(device, delay));
            return sensor.map(Self::Lis3dh).map_err(|error| error.map(DriverError::Lis3dh));
        }
        Err(SensorError::Absent)
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
