//! Accelerometers on the buses of a Raspberry Pi.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use embedded_hal::digital::{self, OutputPin};
use embedded_hal::spi::{self, Operation, SpiBus, SpiDevice};
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{Delay, I2cdev, SpidevDevice};
use lis3dh::Lis3dhSPI;
use teff_app::vibration::sensor::{Accelerometer, Adxl345, Kind, Lis3dh, SensorError};

/// Bits per second: the ADXL345 wants 2 MHz or more at its rate, and at most 5 MHz.
const SPI_HZ: u32 = 2_000_000;

/// An accelerometer, and the device of its bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'s> {
    kind: Kind,
    bus: Bus,
    device: &'s str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bus {
    I2c,
    Spi,
}

impl Bus {
    /// What the kernel's name of a device says, also of one that a link leads to.
    fn of(device: &str) -> Option<Self> {
        let path = fs::canonicalize(device).unwrap_or_else(|_| device.into());
        let name = path.file_name()?.to_str()?;
        let is =
            |prefix| name.strip_prefix(prefix).is_some_and(|rest: &str| rest.starts_with(|c: char| c.is_ascii_digit()));
        match () {
            () if is("i2c-") => Some(Self::I2c),
            () if is("spidev") => Some(Self::Spi),
            () => None,
        }
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Adxl345 => "adxl345",
        Kind::Lis3dh => "lis3dh",
    }
}

impl<'s> Place<'s> {
    /// The accelerometer that `frames` names: `lis3dh:` or `adxl345:`, and the device of a bus, `/dev/i2c-1` or
    /// `/dev/spidev0.0`. `None` if it names something else.
    ///
    /// # Errors
    /// If it names one of the two on something that is no bus, or another one on a bus.
    pub fn parse(frames: &'s str) -> Result<Option<Self>> {
        let (what, device) = frames.split_once(':').unwrap_or(("", frames));
        match (Kind::ALL.into_iter().find(|&kind| name(kind) == what), Bus::of(device)) {
            (Some(kind), Some(bus)) => Ok(Some(Self { kind, bus, device })),
            (None, None) => Ok(None),
            _ => bail!(
                "{frames}: an accelerometer is lis3dh:DEVICE or adxl345:DEVICE, where DEVICE is a bus of I2C such as \
                 /dev/i2c-1 or of SPI such as /dev/spidev0.0"
            ),
        }
    }

    /// Sets the accelerometer up; on I2C at whichever of its two addresses it answers.
    ///
    /// # Errors
    /// If there is no such bus, or no such sensor on it.
    pub fn open(self) -> Result<Found> {
        let (kind, device) = (name(self.kind), self.device);
        let absent = |why: String| anyhow!("no {kind} answers on {device}: {why}");
        match self.bus {
            Bus::I2c => {
                let what = || format!("cannot open the bus {device} of the {kind}: is I2C switched on (raspi-config)?");
                let sensor = Accelerometer::find_among(&[self.kind], I2cdev::new(device).with_context(what)?, Delay);
                let [low, high] = self.kind.addresses();
                let sensor = sensor.map_err(|error| match error {
                    SensorError::Absent => {
                        absent(format!("neither at {low:#04x} nor at {high:#04x}; check supply, SDA and SCL"))
                    }
                    error => absent(error.to_string()),
                });
                Ok(Found::I2c(sensor?))
            }
            Bus::Spi => {
                let what = || format!("cannot open the bus {device} of the {kind}: is SPI switched on (raspi-config)?");
                let mut bus = SpidevDevice::open(device).with_context(what)?;
                // Both sensors take mode 3.
                let options =
                    SpidevOptions::new().bits_per_word(8).max_speed_hz(SPI_HZ).mode(SpiModeFlags::SPI_MODE_3).build();
                bus.configure(&options).with_context(|| format!("cannot set {device} to mode 3 at {SPI_HZ} Hz"))?;
                match self.kind {
                    Kind::Adxl345 => {
                        let sensor = adxl345_driver2::spi::Device::new(bus, false).map_err(SensorError::Driver);
                        let sensor = sensor.and_then(|sensor| Adxl345::new(sensor, Delay));
                        Ok(Found::Adxl345(sensor.map_err(|error| absent(error.to_string()))?))
                    }
                    Kind::Lis3dh => {
                        let (bus, select) = selected(bus);
                        let sensor = lis3dh::Lis3dh::new_spi(bus, select).map_err(SensorError::Driver);
                        let sensor = sensor.and_then(|sensor| Lis3dh::new(sensor, Delay));
                        Ok(Found::Lis3dh(sensor.map_err(|error| absent(error.to_string()))?))
                    }
                }
            }
        }
    }
}

type OnSpidev = Lis3dhSPI<Selected<SpidevDevice>, Select<SpidevDevice>>;

/// An accelerometer that was set up.
pub enum Found {
    /// Either kind on I2C.
    I2c(Accelerometer<I2cdev, Delay>),
    /// An ADXL345 on SPI.
    Adxl345(Adxl345<adxl345_driver2::spi::Device<SpidevDevice>, Delay>),
    /// A LIS3DH on SPI.
    Lis3dh(Lis3dh<lis3dh::Lis3dh<OnSpidev>, Delay>),
}

/// What the driver of the LIS3DH says on a bus whose pin it believes to be its own, while the kernel selects the device for the
/// time of one transaction: what is written waits for what is read behind it, or for the end of the selection.
struct Transaction<D> {
    device: D,
    written: Vec<u8>,
}

/// The bus.
pub struct Selected<D>(Rc<RefCell<Transaction<D>>>);
/// The pin that selects.
pub struct Select<D>(Rc<RefCell<Transaction<D>>>);

/// The two halves of `device` as the driver of the LIS3DH wants them.
fn selected<D: SpiDevice>(device: D) -> (Selected<D>, Select<D>) {
    let shared = Rc::new(RefCell::new(Transaction { device, written: Vec::new() }));
    (Selected(shared.clone()), Select(shared))
}

/// The bus failed.
#[derive(Debug)]
pub struct Failed<E>(E);

impl<E: spi::Error> spi::Error for Failed<E> {
    fn kind(&self) -> spi::ErrorKind {
        self.0.kind()
    }
}

impl<E: spi::Error> digital::Error for Failed<E> {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

impl<D: SpiDevice> Selected<D> {
    /// One transaction: what was written, then `operation`.
    fn run(&self, operation: Operation<'_, u8>) -> Result<(), Failed<D::Error>> {
        let Transaction { device, written } = &mut *self.0.borrow_mut();
        let written = std::mem::take(written);
        device.transaction(&mut [Operation::Write(&written), operation]).map_err(Failed)
    }
}

impl<D: SpiDevice> spi::ErrorType for Selected<D> {
    type Error = Failed<D::Error>;
}

impl<D: SpiDevice> SpiBus for Selected<D> {
    fn read(&mut self, words: &mut [u8]) -> Result<(), Self::Error> {
        self.run(Operation::Read(words))
    }

    fn write(&mut self, words: &[u8]) -> Result<(), Self::Error> {
        self.0.borrow_mut().written.extend_from_slice(words);
        Ok(())
    }

    fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Self::Error> {
        self.run(Operation::Transfer(read, write))
    }

    fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Self::Error> {
        self.run(Operation::TransferInPlace(words))
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<D: SpiDevice> digital::ErrorType for Select<D> {
    type Error = Failed<D::Error>;
}

impl<D: SpiDevice> OutputPin for Select<D> {
    /// The selection begins: what an earlier one left unsaid, because it failed, stays so.
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.borrow_mut().written.clear();
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        let Transaction { device, written } = &mut *self.0.borrow_mut();
        let written = std::mem::take(written);
        if written.is_empty() { Ok(()) } else { device.write(&written).map_err(Failed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff_app::vibration::sensor::Sensor;

    #[test]
    fn sensors_are_named_by_kind_and_bus() {
        for (frames, kind, bus) in [
            ("lis3dh:/dev/i2c-1", Kind::Lis3dh, Bus::I2c),
            ("adxl345:/dev/i2c-10", Kind::Adxl345, Bus::I2c),
            ("lis3dh:/dev/spidev0.0", Kind::Lis3dh, Bus::Spi),
            ("adxl345:/dev/spidev0.1", Kind::Adxl345, Bus::Spi),
        ] {
            let device = frames.split_once(':').unwrap().1;
            assert_eq!(Place::parse(frames).unwrap(), Some(Place { kind, bus, device }));
        }
        for other in
            ["-", "frames.bin", "/dev/serial0", "tcp:0.0.0.0:7437", "camera:/dev/video0", "i2c-notes/frames.bin"]
        {
            assert_eq!(Place::parse(other).unwrap(), None, "{other}");
        }
    }

    #[test]
    fn a_link_to_a_bus_is_that_bus() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spidev0.0"), "").unwrap();
        let link = folder.path().join("accelerometer");
        std::os::unix::fs::symlink("spidev0.0", &link).unwrap();
        let frames = format!("lis3dh:{}", link.display());
        assert_eq!(Place::parse(&frames).unwrap().unwrap().bus, Bus::Spi);
    }

    #[test]
    fn what_is_no_sensor_or_no_bus_is_refused_with_the_forms() {
        for frames in ["lis2dh:/dev/i2c-1", "/dev/spidev0.0", "lis3dh:/dev/serial0", "adxl345:", "adxl345:spidev"] {
            let error = Place::parse(frames).unwrap_err().to_string();
            for part in [frames, "lis3dh:", "adxl345:", "/dev/i2c-1", "/dev/spidev0.0"] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn a_bus_that_is_missing_is_an_error_that_says_how_it_is_switched_on() {
        for (frames, bus) in [
            ("lis3dh:/dev/i2c-99", "I2C"),
            ("adxl345:/dev/i2c-99", "I2C"),
            ("lis3dh:/dev/spidev99.0", "SPI"),
            ("adxl345:/dev/spidev99.0", "SPI"),
        ] {
            let error = Place::parse(frames).unwrap().unwrap().open().err().unwrap();
            let (error, (kind, device)) = (format!("{error:#}"), frames.split_once(':').unwrap());
            let start = format!("cannot open the bus {device} of the {kind}: is {bus} switched on (raspi-config)?: ");
            assert!(error.starts_with(&start) && error.contains("No such file"), "{error}");
        }
    }

    /// A LIS3DH with one sample in its FIFO. Between transactions it is not selected, and forgets what it was told to read.
    struct Device([u8; 0x40]);

    impl spi::ErrorType for Device {
        type Error = std::convert::Infallible;
    }

    impl SpiDevice for Device {
        fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Self::Error> {
            let mut command = None;
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => {
                        for &byte in *bytes {
                            match &mut command {
                                None => command = Some((byte & 0x80 != 0, usize::from(byte & 0x3F))),
                                Some((false, register)) => {
                                    self.0[*register] = byte;
                                    *register += 1;
                                }
                                Some((true, register)) => panic!("written while {register:#x} is read"),
                            }
                        }
                    }
                    Operation::TransferInPlace(bytes) => {
                        let Some((true, register)) = command else { panic!("{command:?} is not a register to read") };
                        bytes.copy_from_slice(&self.0[register..register + bytes.len()]);
                    }
                    operation => panic!("the driver has no {operation:?}"),
                }
            }
            assert!(command.is_some(), "a transaction of nothing");
            Ok(())
        }
    }

    #[test]
    fn each_access_of_the_lis3dh_is_one_transaction() {
        let mut registers = [0; 0x40];
        registers[0x0F] = 0x33;
        registers[0x2F] = 1;
        registers[0x28..0x2E].copy_from_slice(&[1, 0, 2, 0, 0xFF, 0xFF]);
        let (bus, select) = selected(Device(registers));
        let transaction = bus.0.clone();
        let mut sensor = Lis3dh::new(lis3dh::Lis3dh::new_spi(bus, select).unwrap(), Delay).unwrap();
        assert_eq!(sensor.sample().unwrap(), Some([1, 2, -1]));
        // CTRL_REG1: 1344 Hz, three axes. FIFO_CTRL_REG: stream.
        let registers = &transaction.borrow().device.0;
        assert_eq!((registers[0x20], registers[0x2E] >> 6), (0b1001_0111, 0b10));
    }

    #[test]
    fn another_device_on_spi_is_no_lis3dh() {
        let (bus, select) = selected(Device([0; 0x40]));
        assert!(matches!(lis3dh::Lis3dh::new_spi(bus, select), Err(lis3dh::Error::WrongAddress)));
    }
}
