//! Takes a signed model over the serial line, starts it from its slot, and runs it on the frames of a file.
//!
//! The slots are in RAM, which stands for flash: the board has none that can be written.
#![no_std]
#![no_main]
#![allow(unsafe_code)]

#[path = "../psram.rs"]
mod psram;
#[path = "../uart.rs"]
mod uart;

use cortex_m as _; // critical sections, which the logs need
use teff::{Aligned, Model, Session};
use teff_app::digits::Embedded;
use teff_semihost::{ConstStaticCell, Unconnected, fail};
use teff_slots::{Installed, Served, Server, Store};

use crate::psram::Psram;
use crate::uart::Uart;

/// The public key of those who may sign models: of the key of 32 fives that the test has.
const PUBLIC_KEY: [u8; 32] = [
    0x6e, 0x7a, 0x1c, 0xdd, 0x29, 0xb0, 0xb7, 0x8f, 0xd1, 0x3a, 0xf4, 0xc5, 0x59, 0x8f, 0xef, 0xf4, 0xef, 0x2a, 0x97,
    0x16, 0x6e, 0x3c, 0xa6, 0xf2, 0xe4, 0xfb, 0xfc, 0xcd, 0x80, 0x50, 0x5b, 0xf1,
];

/// Bytes for arena and state of any model that may come.
const MEMORY: usize = 256 << 10;

static JUDGE: ConstStaticCell<Aligned<[u8; MEMORY]>> = ConstStaticCell::new(Aligned([0; MEMORY]));

#[cortex_m_rt::entry]
fn main() -> ! {
    let memory = &mut JUDGE.take().0;
    let mut works = |flash: &mut Psram, installed: &Installed| {
        let Some(bytes) = flash.bytes(&installed.range) else { return false };
        let Ok(model) = Model::verify(bytes) else { return false };
        Session::new(&model, memory).is_ok_and(|mut session| session.self_test().is_ok())
    };
    let mut store = match Store::open(Psram::take(), &PUBLIC_KEY, &mut works) {
        Ok(store) => store,
        Err(error) => fail(&error),
    };
    let (mut input, mut output) = Uart::take().split();
    defmt::info!("a slot has {=u32} bytes", store.capacity());
    let mut server = Server::new();
    loop {
        match server.serve(&mut store, &mut input, &mut output, &mut works) {
            Ok(Served::Finished { version }) => break defmt::info!("version {=u32} is verified", version),
            Ok(Served::Refused(refusal)) => defmt::info!("refused: {}", defmt::Display2Format(&refusal)),
            _ => fail(&"the serial line has ended"),
        }
    }
    let installed = match store.select(&mut works) {
        Ok(Some(installed)) => installed.clone(),
        _ => fail(&"no model to start"),
    };
    defmt::info!("version {=u32} starts", installed.version);
    match store.into_flash().into_bytes(&installed.range) {
        Some(model) => teff_semihost::run_digits(Embedded { model, ops: teff::ops::ALL }, memory, Unconnected),
        None => fail(&"the model is outside the flash"),
    }
}
