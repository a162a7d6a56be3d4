//! Runs the model step by step as a PC asks, and shows it what each step gave: the device's side of `teff compare`.
//!
//! Requests and responses are frames of [`teff_link`]. The PC starts a run, writes the inputs, and asks for one step
//! after another; each answer is the CRC-32 of what the step wrote, whose bytes it can ask for until the next step.

use core::convert::Infallible;

use embedded_io::{Read, Write};
use serde::{Deserialize, Serialize};
use teff::{Model, Session};
use teff_link::{CHUNK, Collector, FRAME, decode, encode};

use crate::digits::Embedded;
use crate::error::Error;

/// Version of the protocol.
pub const PROTOCOL: u8 = 1;

/// What the PC asks. Every request may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Which model do you run?
    Hello,
    /// Begin a run: zero the state.
    Start,
    /// Bytes of an input.
    Input {
        /// Which, in the order of the first entry point.
        index: u16,
        /// Where they belong.
        offset: u32,
        /// At most [`CHUNK`].
        bytes: &'a [u8],
    },
    /// Run this step: the one after the last that was run, or that one again without running it.
    Step {
        /// Its place in the first entry point.
        index: u16,
    },
    /// Bytes that the last step wrote.
    Output {
        /// Which output of the step.
        slot: u8,
        /// Where to begin.
        offset: u32,
    },
}

/// What the device answers; `B` holds bytes, `&[u8]` on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<B> {
    /// To [`Request::Hello`].
    Hello(Info),
    /// To [`Request::Start`] and [`Request::Input`].
    Ready,
    /// To [`Request::Step`]: the CRC-32 of the bytes of all its outputs.
    Ran(u32),
    /// To [`Request::Output`]: up to [`CHUNK`] bytes; none at the end.
    Bytes(B),
    /// To any.
    Refused(Refusal),
}

/// What runs on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// [`PROTOCOL`].
    pub protocol: u8,
    /// CRC-32 of the model's file.
    pub model: u32,
    /// Steps of its first entry point.
    pub steps: u16,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No such input or output, or bytes outside of it.
    Range,
    /// Steps come in their order.
    Order {
        /// The one that can be run.
        next: u16,
    },
    /// The step found data out of range, such as a gather index.
    Data,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Range => f.write_str("it has no such bytes"),
            Self::Order { next } => write!(f, "its next step is {next}"),
            Self::Data => f.write_str("the data led the step out of range"),
        }
    }
}

/// Answers requests.
pub struct Server<'s, 'm> {
    session: Session<'s, 'm>,
    collector: Collector,
    /// Steps that were run.
    done: u16,
    /// What the last of them gave.
    crc: u32,
}

impl<'s, 'm> Server<'s, 'm> {
    /// A server for a model that has not begun to run.
    pub fn new(session: Session<'s, 'm>) -> Self {
        Self { session, collector: Collector::new(), done: 0, crc: 0 }
    }

    /// Takes a byte of the line; if it ends a request, gives the frame to send. A damaged frame has no answer: the PC
    /// repeats it.
    pub fn answer<'f>(&mut self, byte: u8, frame: &'f mut [u8; FRAME]) -> Option<&'f [u8]> {
        let Self { session, collector, done, crc } = self;
        let (sequence, request) = decode(collector.take(byte)?)?;
        let response = handle(session, done, crc, request).unwrap_or_else(Response::Refused);
        encode(sequence, &response, frame)
    }
}

fn handle<'a>(
    session: &'a mut Session<'_, '_>,
    done: &mut u16,
    crc: &mut u32,
    request: Request<'_>,
) -> Result<Response<&'a [u8]>, Refusal> {
    let model = session.model();
    let steps = model.entry(0).map_or(0..0, |entry| entry.steps());
    match request {
        Request::Hello => {
            let steps = u16::try_from(steps.len()).unwrap_or(u16::MAX);
            Ok(Response::Hello(Info { protocol: PROTOCOL, model: model.crc(), steps }))
        }
        Request::Start => {
            session.reset();
            *done = 0;
            Ok(Response::Ready)
        }
        Request::Input { index, offset, bytes } => {
            let input = session.input(index.into()).map_err(|_| Refusal::Range)?;
            let offset = offset as usize;
            let end = offset.checked_add(bytes.len()).ok_or(Refusal::Range)?;
            let slot = input.get_mut(offset..end).ok_or(Refusal::Range)?;
            slot.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
            Ok(Response::Ready)
        }
        Request::Step { index } if index.checked_add(1) == Some(*done) => Ok(Response::Ran(*crc)),
        Request::Step { index } if index != *done => Err(Refusal::Order { next: *done }),
        Request::Step { index } => {
            let place = steps.clone().nth(index.into()).ok_or(Refusal::Range)?;
            let step = session.run_step(place).map_err(|_| Refusal::Data)?;
            *crc = session.outputs_crc(&step);
            *done = done.saturating_add(1);
            Ok(Response::Ran(*crc))
        }
        Request::Output { slot, offset } => {
            let last = done.checked_sub(1).ok_or(Refusal::Order { next: 0 })?;
            let step = steps.clone().nth(last.into()).and_then(|place| model.step(place)).ok_or(Refusal::Range)?;
            let bytes = session.step_output(&step, slot.into()).ok_or(Refusal::Range)?;
            let rest = bytes.get(offset as usize..).ok_or(Refusal::Range)?;
            Ok(Response::Bytes(rest.get(..CHUNK).unwrap_or(rest)))
        }
    }
}

/// Answers requests until the line ends; gives the number of answers.
///
/// # Errors
/// If the model is not valid, does not fit the memory, or the line fails.
pub fn run<R: Read, W: Write>(
    embedded: Embedded,
    memory: &mut [u8],
    mut requests: R,
    mut responses: W,
) -> Result<u32, Error<R::Error, W::Error, Infallible>> {
    let model = Model::verify_with(embedded.model, embedded.ops)?;
    let mut server = Server::new(Session::new(&model, memory)?);
    info!("model {=u32:08x}: {=usize} steps to compare", model.crc(), model.step_count());
    let mut count = 0_u32;
    let mut byte = [0];
    while requests.read(&mut byte).map_err(Error::Read)? > 0 {
        let [byte] = byte;
        let mut frame = [0; FRAME];
        let Some(response) = server.answer(byte, &mut frame) else { continue };
        responses.write_all(response).map_err(Error::Write)?;
        responses.flush().map_err(Error::Write)?;
        count = count.saturating_add(1);
    }
    info!("{=u32} answers", count);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use teff::Aligned;

    use super::*;

    /// The shipped model, aligned.
    fn file() -> (Box<Aligned<[u8; 32 << 10]>>, usize) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/lightcnn-mnist/model.teff");
        let bytes = std::fs::read(path).expect("the shipped model");
        let mut file = Box::new(Aligned([0; 32 << 10]));
        file.0[..bytes.len()].copy_from_slice(&bytes);
        (file, bytes.len())
    }

    fn ask<'f>(server: &mut Server<'_, '_>, request: Request<'_>, frame: &'f mut [u8; FRAME]) -> Response<&'f [u8]> {
        let mut sent = [0; FRAME];
        let sent = encode(3, &request, &mut sent).expect("it fits");
        let mut len = None;
        for &byte in sent {
            len = server.answer(byte, frame).map(<[u8]>::len);
        }
        let len = len.expect("an answer");
        let (sequence, response) = decode(&mut frame[..len - 1]).expect("it is intact");
        assert_eq!(sequence, 3);
        response
    }

    #[test]
    fn steps_come_in_order_and_show_what_they_wrote() {
        let (file, len) = file();
        let model = Model::verify(&file.0[..len]).expect("it is valid");
        let mut memory = Box::new(Aligned([0; 16 << 10]));
        let mut server = Server::new(Session::new(&model, &mut memory.0).expect("it fits"));
        let frame = &mut [0; FRAME];
        let (input, crcs) = model.self_test().expect("the shipped model has one");
        let steps = crcs.len() as u16;
        let hello = Response::Hello(Info { protocol: PROTOCOL, model: model.crc(), steps });
        assert_eq!(ask(&mut server, Request::Hello, frame), hello);
        let early = ask(&mut server, Request::Output { slot: 0, offset: 0 }, frame);
        assert_eq!(early, Response::Refused(Refusal::Order { next: 0 }));
        for _ in 0..2 {
            assert_eq!(ask(&mut server, Request::Start, frame), Response::Ready);
            for (chunk, bytes) in input.chunks(CHUNK).enumerate() {
                let request = Request::Input { index: 0, offset: (chunk * CHUNK) as u32, bytes };
                assert_eq!(ask(&mut server, request, frame), Response::Ready);
            }
            let later = ask(&mut server, Request::Step { index: 1 }, frame);
            assert_eq!(later, Response::Refused(Refusal::Order { next: 0 }));
            for (index, &crc) in crcs.iter().enumerate() {
                for _ in 0..2 {
                    assert_eq!(ask(&mut server, Request::Step { index: index as u16 }, frame), Response::Ran(crc));
                }
                let mut bytes = Vec::new();
                while let Response::Bytes(more) =
                    ask(&mut server, Request::Output { slot: 0, offset: bytes.len() as u32 }, frame)
                    && !more.is_empty()
                {
                    bytes.extend(more);
                }
                assert_eq!(teff::crc32(&bytes), crc, "step {index}");
            }
            let beyond = ask(&mut server, Request::Step { index: steps }, frame);
            assert_eq!(beyond, Response::Refused(Refusal::Range));
        }
        for (index, offset) in [(1, 0), (0, 784), (0, u32::MAX)] {
            let refused = ask(&mut server, Request::Input { index, offset, bytes: &[1] }, frame);
            assert_eq!(refused, Response::Refused(Refusal::Range));
        }
    }
}
