//! `teff push` against the device's side of the protocol, over lines that lose and damage bytes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use teff_link::FRAME;
use teff_slots::{Installed, Server, Store};
use teff_tools::line::Patience;
use teff_tools::update::{push, sign};

const SECTOR: usize = 1024;

/// Flash in RAM.
#[derive(Clone)]
struct Flash(Vec<u8>);

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.0[from as usize..to as usize].fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let target = &mut self.0[offset as usize..][..bytes.len()];
        assert!(target.iter().all(|&byte| byte == 0xFF), "written twice at {offset}");
        target.copy_from_slice(bytes);
        Ok(())
    }
}

/// A device at the end of a line that damages every `noise`-th byte and breaks after `breaks` bytes.
struct Device {
    store: Store<Flash>,
    server: Server,
    answers: VecDeque<u8>,
    noise: u64,
    passed: u64,
    breaks: u64,
    /// Bytes that were sent to the device.
    sent: u64,
}

impl Device {
    fn new(flash: Flash) -> Self {
        let store = Store::open(flash, &key().verifying_key().to_bytes(), works).expect("large enough");
        let (noise, breaks) = (u64::MAX, u64::MAX);
        Self { store, server: Server::new(), answers: VecDeque::new(), noise, passed: 0, breaks, sent: 0 }
    }

    /// A byte on its way; none if it is lost.
    fn pass(&mut self, byte: u8) -> Option<u8> {
        self.passed += 1;
        match self.passed % self.noise {
            0 if (self.passed / self.noise).is_multiple_of(2) => None,
            0 => Some(byte ^ 0x10),
            _ => Some(byte),
        }
    }

    fn restarted(self) -> Self {
        Self::new(self.store.into_flash())
    }

    fn active(&self) -> Option<u32> {
        self.store.active().map(|active| active.version)
    }
}

impl Write for Device {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if self.sent == self.breaks {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.sent += 1;
            let Some(byte) = self.pass(byte) else { continue };
            let mut frame = [0; FRAME];
            let answer = self.server.answer(&mut self.store, byte, works, &mut frame);
            let answer = answer.map(|(frame, _)| frame.to_vec()).unwrap_or_default();
            for byte in answer {
                let passed = self.pass(byte);
                self.answers.extend(passed);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Device {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.answers.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = bytes.len().min(self.answers.len());
        for (slot, byte) in bytes.iter_mut().zip(self.answers.drain(..count)) {
            *slot = byte;
        }
        Ok(count)
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

/// What firmware asks before it starts a model.
fn works(flash: &mut Flash, installed: &Installed) -> bool {
    let range = installed.range.start as usize..installed.range.end as usize;
    let file = teff_tools::aligned::AlignedBytes::from(&flash.0[range]);
    let Ok(model) = teff::Model::verify(&file) else { return false };
    let mut memory = teff_tools::aligned::AlignedBytes::zeroed(model.memory_len());
    teff::Session::new(&model, &mut memory).is_ok_and(|mut session| session.self_test().is_ok())
}

fn model() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/lightcnn-mnist/model.teff");
    std::fs::read(path).expect("the shipped model")
}

/// The device simulated here answers at once.
const IMPATIENT: Patience = Patience { quick: Duration::from_millis(2), slow: Duration::from_millis(2), tries: 30 };

fn empty() -> Device {
    Device::new(Flash(vec![0xFF; 256 << 10]))
}

#[test]
fn a_clean_line_takes_a_model_across() {
    let mut device = empty();
    let signed = sign(&model(), 1, &key()).expect("it is signed");
    let mut last = 0;
    let pushed = push(&mut device, &signed, IMPATIENT, |bytes| last = bytes).expect("it is installed");
    assert_eq!((pushed.before, pushed.version, pushed.resumed), (None, 1, 0));
    assert_eq!(last as usize, model().len());
    let mut device = device.restarted();
    assert_eq!(device.active(), Some(1));
    let again = push(&mut device, &signed, IMPATIENT, |_| {}).expect_err("not twice");
    assert_eq!(again.to_string(), "the device refuses: version 1 has run there: sign with a higher --version");
}

#[test]
fn noise_costs_time_and_nothing_else() {
    for noise in [353, 997, 5_003] {
        let mut device = empty();
        device.noise = noise;
        let signed = sign(&model(), 7, &key()).expect("it is signed");
        push(&mut device, &signed, IMPATIENT, |_| {}).unwrap_or_else(|error| panic!("{noise}: {error:#}"));
        assert_eq!(device.restarted().active(), Some(7));
    }
}

#[test]
fn an_interrupted_push_goes_on() {
    let signed = sign(&model(), 3, &key()).expect("it is signed");
    let mut device = empty();
    device.breaks = 12_000;
    push(&mut device, &signed, IMPATIENT, |_| {}).expect_err("the line breaks");
    let mut device = device.restarted();
    assert_eq!(device.active(), None);
    let pushed = push(&mut device, &signed, IMPATIENT, |_| {}).expect("it goes on");
    // Whole sectors of what had come; only the rest is sent, with frames and questions around it.
    assert!((10_240..12_000).contains(&pushed.resumed) && pushed.resumed % SECTOR as u32 == 0, "{pushed:?}");
    assert!(device.sent < u64::from(pushed.bytes - pushed.resumed) * 11 / 10 + 1_000, "{}", device.sent);
    assert_eq!(device.restarted().active(), Some(3));
}

#[test]
fn refusals_say_what_to_do() {
    let refused = |signed: &[u8]| push(&mut empty(), signed, IMPATIENT, |_| {}).expect_err("it is refused").to_string();
    let stranger = SigningKey::from_bytes(&[6; 32]);
    let signed = sign(&model(), 1, &stranger).expect("it is signed");
    assert_eq!(refused(&signed), "the device refuses: the model is not signed by the key that the device trusts");
    let mut damaged = signed.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    assert_eq!(refused(&damaged), "the model in the file is damaged");
    assert!(sign(b"not a model", 1, &key()).is_err());
    assert!(sign(&model(), 0, &key()).is_err());
}

#[test]
fn silence_is_an_error() {
    let mut device = empty();
    device.noise = 2;
    let signed = sign(&model(), 1, &key()).expect("it is signed");
    let patience = Patience { tries: 2, ..IMPATIENT };
    let error = push(&mut device, &signed, patience, |_| {}).expect_err("nobody is understood");
    assert_eq!(error.to_string(), "no device answers on this line");
}
