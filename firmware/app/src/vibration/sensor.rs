//! Where samples come from: accelerometers, or a recording.
//!
//! Both accelerometers are used with their FIFO of 32 samples, so that none is lost while a spectrum is computed, which
//! may take 20 ms.

use core::fmt::{self, Debug, Display};

use embedded_io::Read;

use super::spectrum::Sample;
use crate::stream::fill;

#[cfg(feature = "accelerometers")]
mod accelerometer;
#[cfg(feature = "accelerometers")]
mod adxl345;
#[cfg(feature = "accelerometers")]
mod lis3dh;

#[cfg(feature = "accelerometers")]
pub use accelerometer::{Accelerometer, DriverError, Kind};
#[cfg(feature = "accelerometers")]
pub use adxl345::Adxl345;
#[cfg(feature = "accelerometers")]
pub use lis3dh::{BusError, Lis3dh};

/// Gives samples at a constant rate.
pub trait Sensor {
    /// What may go wrong.
    type Error: Debug;

    /// Waits for the next sample. `None`: there will be no more.
    ///
    /// # Errors
    /// If the sensor does not answer, or has nothing to say for much longer than a sample takes.
    fn sample(&mut self) -> Result<Option<Sample>, Self::Error>;
}

/// A recording: x, y and z of each sample, i16 little-endian.
#[derive(Debug)]
pub struct Recording<R>(pub R);

/// Why a recording cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingError<E> {
    /// The stream could not be read.
    Read(E),
    /// It ended within a sample.
    Partial,
}

impl<R: Read> Sensor for Recording<R> {
    type Error = RecordingError<R::Error>;

    fn sample(&mut self) -> Result<Option<Sample>, Self::Error> {
        let mut bytes = [0; 6];
        match fill(&mut self.0, &mut bytes).map_err(RecordingError::Read)? {
            0 => return Ok(None),
            6 => {}
            _ => return Err(RecordingError::Partial),
        }
        let mut sample = Sample::default();
        for (x, &bytes) in sample.iter_mut().zip(bytes.as_chunks().0) {
            *x = i16::from_le_bytes(bytes);
        }
        Ok(Some(sample))
    }
}

/// Why an accelerometer gives no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SensorError<E> {
    /// No accelerometer answers at any of its addresses.
    Absent,
    /// Another device answers at this address: its identity, and the sensor's.
    Identity {
        /// What the device says.
        found: u8,
        /// What the sensor would say.
        expected: u8,
    },
    /// The bus, as the driver tells.
    Driver(E),
    /// No sample within a tenth of a second.
    Silent,
}

#[cfg(feature = "accelerometers")]
impl<E> SensorError<E> {
    /// With another name for what the driver says.
    fn map<F>(self, name: impl FnOnce(E) -> F) -> SensorError<F> {
        match self {
            Self::Absent => SensorError::Absent,
            Self::Identity { found, expected } => SensorError::Identity { found, expected },
            Self::Driver(error) => SensorError::Driver(name(error)),
            Self::Silent => SensorError::Silent,
        }
    }
}

impl<E: Debug> Display for SensorError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(
                f,
                "no ADXL345 answers at 0x53 or 0x1d, and no LIS3DH at 0x18 or 0x19: check supply, SDA, SCL and their pull-ups"
            ),
            Self::Identity { found, expected } => {
                write!(f, "the device says that it is {found:#04x}, not {expected:#04x}: check address and wiring")
            }
            Self::Driver(error) => write!(f, "the sensor does not answer: {error:?}"),
            Self::Silent => write!(f, "the sensor has no sample for a tenth of a second: check its supply"),
        }
    }
}

/// Looks every 200 µs, up to a tenth of a second, until `look` finds samples in the FIFO; gives their number.
#[cfg(feature = "accelerometers")]
fn ready<E>(
    delay: &mut impl embedded_hal::delay::DelayNs,
    mut look: impl FnMut() -> Result<u8, E>,
) -> Result<u8, SensorError<E>> {
    let mut waits = 0;
    loop {
        match look().map_err(SensorError::Driver)? {
            0 if waits == 500 => return Err(SensorError::Silent),
            0 => delay.delay_us(200),
            count => return Ok(count),
        }
        waits += 1;
    }
}
