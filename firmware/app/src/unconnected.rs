//! A pin, and a light, for machines that have none.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

/// A pin, or a PWM pin, that leads nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unconnected;

impl ErrorType for Unconnected {
    type Error = Infallible;
}

impl OutputPin for Unconnected {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_hal::pwm::ErrorType for Unconnected {
    type Error = Infallible;
}

impl embedded_hal::pwm::SetDutyCycle for Unconnected {
    fn max_duty_cycle(&self) -> u16 {
        u16::MAX
    }

    fn set_duty_cycle(&mut self, _duty: u16) -> Result<(), Infallible> {
        Ok(())
    }
}
