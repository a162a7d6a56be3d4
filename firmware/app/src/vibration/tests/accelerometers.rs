//! The accelerometers, register by register, as their data sheets have it.

use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as PinCall};
use embedded_hal_mock::eh1::i2c::{Mock as I2c, Transaction};
use embedded_hal_mock::eh1::spi::{Mock as Spi, Transaction as SpiCall};
use std::vec;
use std::vec::Vec;

use crate::vibration::sensor::{Accelerometer, Adxl345, Kind, Lis3dh, Sensor, SensorError};

const ADXL: u8 = 0x53;
const LIS: u8 = 0x18;

/// x = 1, y = −2, z = 256.
const BYTES: [u8; 6] = [1, 0, 0xFE, 0xFF, 0, 1];
const SAMPLE: [i16; 3] = [1, -2, 256];

fn read(address: u8, register: u8, value: &[u8]) -> Transaction {
    Transaction::write_read(address, vec![register], value.to_vec())
}

fn write(address: u8, register: u8, value: u8) -> Transaction {
    Transaction::write(address, vec![register, value])
}

/// What the driver writes when it is made: all registers as after power-on.
fn adxl_reset() -> Vec<(u8, u8)> {
    let zero = (0x1D..=0x2A).map(|register| (register, 0));
    [(0x31, 0)].into_iter().chain(zero).chain([(0x2C, 0x0A), (0x2D, 0), (0x2E, 0), (0x2F, 0), (0x38, 0)]).collect()
}

/// ±16 g at full resolution, 1600 Hz, FIFO as a stream, measure.
const ADXL_SET_UP: [(u8, u8); 4] = [(0x31, 0x0B), (0x2C, 0x0E), (0x38, 0x80), (0x2D, 0x08)];

fn adxl_calls(identity: u8) -> Vec<Transaction> {
    adxl_calls_at(ADXL, identity)
}

fn adxl_calls_at(address: u8, identity: u8) -> Vec<Transaction> {
    let mut calls: Vec<_> = adxl_reset().into_iter().map(|(register, value)| write(address, register, value)).collect();
    calls.push(read(address, 0x00, &[identity]));
    calls
}

fn adxl(calls: &[Transaction]) -> (I2c, Result<Adxl345<adxl345_driver2::i2c::Device<I2c>, NoopDelay>, SensorErrors>) {
    let bus = I2c::new(calls);
    let device = adxl345_driver2::i2c::Device::new(bus.clone()).expect("the bus works");
    let sensor = Adxl345::new(device, NoopDelay::new()).map_err(|error| match error {
        SensorError::Identity { found, .. } => SensorErrors::Identity(found),
        SensorError::Driver(_) => SensorErrors::Driver,
        SensorError::Absent => unreachable!("it was not looked for"),
        SensorError::Silent => SensorErrors::Silent,
    });
    (bus, sensor)
}

#[derive(Debug, PartialEq, Eq)]
enum SensorErrors {
    Identity(u8),
    Driver,
    Silent,
}

#[test]
fn the_adxl345_gives_what_its_fifo_holds() {
    let mut calls = adxl_calls(0xE5);
    calls.push(read(ADXL, 0x31, &[0]));
    calls.extend(ADXL_SET_UP.map(|(register, value)| write(ADXL, register, value)));
    // Empty, then two samples, which need one look.
    calls.extend([read(ADXL, 0x39, &[0]), read(ADXL, 0x39, &[2])]);
    calls.extend([read(ADXL, 0x32, &BYTES), read(ADXL, 0x32, &BYTES)]);
    // Nothing more.
    calls.extend((0..=500).map(|_| read(ADXL, 0x39, &[0])));
    let (mut bus, sensor) = adxl(&calls);
    let mut sensor = sensor.expect("it is an ADXL345");
    for _ in 0..2 {
        assert_eq!(sensor.sample().expect("there is one"), Some(SAMPLE));
    }
    assert!(matches!(sensor.sample(), Err(SensorError::Silent)));
    bus.done();
}

#[test]
fn another_device_is_no_adxl345() {
    let (mut bus, sensor) = adxl(&adxl_calls(0x33));
    assert_eq!(sensor.err(), Some(SensorErrors::Identity(0x33)));
    bus.done();
}

#[test]
fn a_broken_bus_is_an_error() {
    let mut calls = adxl_calls(0xE5);
    calls.push(read(ADXL, 0x31, &[0]).with_error(ErrorKind::Bus));
    let (mut bus, sensor) = adxl(&calls);
    assert_eq!(sensor.err(), Some(SensorErrors::Driver));
    bus.done();
}

#[test]
fn the_adxl345_works_over_spi() {
    let mut calls = Vec::new();
    let mut transaction = |inner: Vec<SpiCall<u8>>| {
        calls.push(SpiCall::transaction_start());
        calls.extend(inner);
        calls.push(SpiCall::transaction_end());
    };
    let write = |(register, value): (u8, u8)| vec![SpiCall::write_vec(vec![register, value])];
    // Bit 7: read; bit 6: more than one byte.
    let read = |register: u8, value: u8| vec![SpiCall::transfer(vec![0x80 | register, 0], vec![0, value])];
    adxl_reset().into_iter().map(write).for_each(&mut transaction);
    transaction(read(0x00, 0xE5));
    transaction(read(0x31, 0));
    ADXL_SET_UP.into_iter().map(write).for_each(&mut transaction);
    transaction(read(0x39, 1));
    let [a, b, c, d, e, f] = BYTES;
    transaction(vec![SpiCall::transfer(vec![0xC0 | 0x32, 0, 0, 0, 0, 0, 0], vec![0, a, b, c, d, e, f])]);
    let mut bus = Spi::new(&calls);
    let device = adxl345_driver2::spi::Device::new(bus.clone(), false).expect("the bus works");
    let mut sensor = Adxl345::new(device, NoopDelay::new()).expect("it is an ADXL345");
    assert_eq!(sensor.sample().expect("there is one"), Some(SAMPLE));
    bus.done();
}

/// A LIS3DH after power-on, which writes down what it is told: bytes written and read.
struct Registers {
    now: [u8; 128],
    calls: Vec<(Vec<u8>, Option<u8>)>,
}

impl Registers {
    fn read(&mut self, register: u8) -> u8 {
        let value = self.now[usize::from(register)];
        self.calls.push((vec![register], Some(value)));
        value
    }

    fn write(&mut self, register: u8, value: u8) {
        self.now[usize::from(register)] = value;
        self.calls.push((vec![register, value], None));
    }

    fn change(&mut self, register: u8, clear: u8, set: u8) {
        let value = self.read(register);
        self.write(register, value & !clear | set);
    }

    /// The calls so far on a bus of I2C.
    fn on_i2c(self, address: u8) -> Vec<Transaction> {
        let calls = self.calls.into_iter().map(|(written, found)| match found {
            Some(value) => Transaction::write_read(address, written, vec![value]),
            None => Transaction::write(address, written),
        });
        calls.collect()
    }

    /// Until the sensor measures: the driver's start at 400 Hz, then ours.
    fn set_up() -> Self {
        let mut registers = Self { now: [0; 128], calls: Vec::new() };
        registers.now[0x0F] = 0x33;
        registers.now[0x20] = 0x07;
        registers.read(0x0F);
        registers.write(0x23, 0x80); // whole samples only
        registers.change(0x20, 0x08, 0); // 12 bits: not low power …
        registers.change(0x23, 0, 0x08); // … but high resolution
        registers.change(0x20, 0xF0, 0x70);
        registers.change(0x20, 0x07, 0x07);
        registers.change(0x1F, 0, 0x80);
        registers.change(0x20, 0x08, 0);
        registers.change(0x23, 0, 0x08);
        registers.write(0x20, 0x97); // 1344 Hz, three axes
        registers.change(0x23, 0x30, 0x30); // ±16 g
        registers.write(0x2E, 0x80); // FIFO: a stream
        registers.change(0x24, 0, 0x40);
        registers
    }
}

#[test]
fn the_lis3dh_gives_what_its_fifo_holds() {
    let mut registers = Registers::set_up();
    // Empty; then full, 31 samples and an overrun.
    for status in [0x20, 0x40 | 31] {
        registers.now[0x2F] = status;
        registers.read(0x2F);
    }
    let mut calls = registers.on_i2c(LIS);
    calls.extend((0..32).map(|_| read(LIS, 0x28 | 0x80, &BYTES)));
    calls.extend((0..=500).map(|_| read(LIS, 0x2F, &[0x20])));
    let mut bus = I2c::new(&calls);
    let device = lis3dh::Lis3dh::new_i2c(bus.clone(), lis3dh::SlaveAddr::Default).expect("it is a LIS3DH");
    let mut sensor = Lis3dh::new(device, NoopDelay::new()).expect("the bus works");
    for _ in 0..32 {
        assert_eq!(sensor.sample().expect("there is one"), Some(SAMPLE));
    }
    assert!(matches!(sensor.sample(), Err(SensorError::Silent)));
    bus.done();
}

#[test]
fn the_lis3dh_works_over_spi() {
    let mut registers = Registers::set_up();
    registers.now[0x2F] = 1;
    registers.read(0x2F);
    let mut calls = Vec::new();
    let mut selected = 0;
    for (written, found) in registers.calls {
        selected += 1;
        match found {
            // Bit 7: read.
            Some(value) => {
                calls.extend([
                    SpiCall::write_vec(vec![0x80 | written[0]]),
                    SpiCall::transfer_in_place(vec![0], vec![value]),
                ]);
            }
            // Bit 6: the address goes up.
            None => calls.extend([SpiCall::write_vec(vec![0x40 | written[0]]), SpiCall::write_vec(vec![written[1]])]),
        }
    }
    selected += 1;
    calls.extend([SpiCall::write_vec(vec![0xC0 | 0x28]), SpiCall::transfer_in_place(vec![0; 6], BYTES.to_vec())]);
    let select = (0..selected).flat_map(|_| [State::Low, State::High].map(PinCall::set));
    let (mut bus, mut pin) = (Spi::new(&calls), Pin::new(&select.collect::<Vec<_>>()));
    let device = lis3dh::Lis3dh::new_spi(bus.clone(), pin.clone()).expect("it is a LIS3DH");
    let mut sensor = Lis3dh::new(device, NoopDelay::new()).expect("the bus works");
    assert_eq!(sensor.sample().expect("there is one"), Some(SAMPLE));
    bus.done();
    pin.done();
}

/// What is asked at an address where nothing is.
fn nobody(address: u8, register: u8) -> Transaction {
    read(address, register, &[0]).with_error(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address))
}

#[test]
fn either_accelerometer_is_found_at_either_address() {
    let adxl = |address: u8| {
        let mut calls = vec![read(address, 0x00, &[0xE5])];
        calls.extend(adxl_calls_at(address, 0xE5));
        calls.push(read(address, 0x31, &[0]));
        calls.extend(ADXL_SET_UP.map(|(register, value)| write(address, register, value)));
        calls.extend([read(address, 0x39, &[1]), read(address, 0x32, &BYTES)]);
        calls
    };
    let lis = |address: u8| {
        let mut registers = Registers::set_up();
        registers.now[0x2F] = 1;
        registers.read(0x2F);
        let mut calls = vec![read(address, 0x0F, &[0x33])];
        calls.extend(registers.on_i2c(address));
        calls.push(read(address, 0x28 | 0x80, &BYTES));
        calls
    };
    // Another device at an address is passed over.
    let absent = [read(0x53, 0x00, &[0x33]), nobody(0x1D, 0x00), nobody(0x18, 0x0F), nobody(0x19, 0x0F)];
    let all = [adxl(0x53), adxl(0x1D), lis(0x18), lis(0x19)];
    for (index, found) in all.into_iter().enumerate() {
        let calls = [&absent[..index], &found].concat();
        let mut bus = I2c::new(&calls);
        let mut sensor = Accelerometer::find(bus.clone(), NoopDelay::new()).expect("there is one");
        assert_eq!(matches!(sensor, Accelerometer::Adxl345(_)), index < 2);
        assert_eq!(sensor.sample().expect("there is a sample"), Some(SAMPLE));
        bus.done();
    }
    let mut bus = I2c::new(&absent);
    let error = Accelerometer::find(bus.clone(), NoopDelay::new()).err().expect("there is none");
    assert!(matches!(error, SensorError::Absent) && std::format!("{error}").contains("pull-ups"), "{error}");
    bus.done();
}

/// Where both are on the bus.
#[test]
fn the_kind_that_is_wanted_is_found() {
    for kind in Kind::ALL {
        let [first, second] = kind.addresses();
        let register = if kind == Kind::Lis3dh { 0x0F } else { 0x00 };
        let mut bus = I2c::new(&[nobody(first, register), nobody(second, register)]);
        let error = Accelerometer::find_among(&[kind], bus.clone(), NoopDelay::new()).err();
        assert!(matches!(error, Some(SensorError::Absent)), "{error:?}");
        bus.done();
    }
    let mut calls = vec![read(0x19, 0x0F, &[0x33])];
    calls.extend(Registers::set_up().on_i2c(0x19));
    let mut bus = I2c::new(&[&[nobody(0x18, 0x0F)], &calls[..]].concat());
    let sensor = Accelerometer::find_among(&[Kind::Lis3dh, Kind::Adxl345], bus.clone(), NoopDelay::new());
    assert!(matches!(sensor, Ok(Accelerometer::Lis3dh(_))));
    bus.done();
}

/// It breaks off while it is set up, or later.
#[test]
fn an_accelerometer_that_stops_answering_is_an_error() {
    let mut calls = vec![nobody(0x53, 0x00), nobody(0x1D, 0x00), read(LIS, 0x0F, &[0x33])];
    calls.push(read(LIS, 0x0F, &[0x33]).with_error(ErrorKind::Bus));
    let mut bus = I2c::new(&calls);
    let error = Accelerometer::find(bus.clone(), NoopDelay::new()).err();
    assert!(matches!(error, Some(SensorError::Driver(_))), "{error:?}");
    bus.done();
}
