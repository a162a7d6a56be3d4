//! The pin that is high while the model runs.

use anyhow::{Context, Result};
use embedded_hal::digital::{ErrorType, OutputPin};
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{Chip, LineRequestFlags};

/// A pin, or none.
pub struct Busy(Option<CdevPin>);

impl Busy {
    /// Takes the pin `CHIP:LINE`, such as `/dev/gpiochip0:17`, as an output that is low.
    ///
    /// # Errors
    /// If there is no such pin, or another program has it.
    pub fn open(name: Option<&str>) -> Result<Self> {
        let Some(name) = name else { return Ok(Self(None)) };
        let (chip, line) = name.rsplit_once(':').with_context(|| format!("{name}: wanted CHIP:LINE"))?;
        let line: u32 = line.parse().with_context(|| format!("{name}: {line} is no number of a line"))?;
        let request = || {
            let line = Chip::new(chip)?.get_line(line)?;
            CdevPin::new(line.request(LineRequestFlags::OUTPUT, 0, "teff-pi")?)
        };
        Ok(Self(Some(request().with_context(|| format!("cannot use the pin {name}"))?)))
    }
}

impl ErrorType for Busy {
    type Error = <CdevPin as ErrorType>::Error;
}

impl OutputPin for Busy {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.as_mut().map_or(Ok(()), OutputPin::set_low)
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.0.as_mut().map_or(Ok(()), OutputPin::set_high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pin_is_fine_and_a_wrong_one_is_named() {
        let mut none = Busy::open(None).unwrap();
        assert!(none.set_high().is_ok() && none.set_low().is_ok());
        for (name, part) in [("17", "CHIP:LINE"), ("/dev/gpiochip0:x", "no number"), ("/dev/null:17", "/dev/null:17")] {
            let error = format!("{:#}", Busy::open(Some(name)).err().unwrap());
            assert!(error.contains(part), "{error}");
        }
    }
}
