//! Requests, responses and frames: what goes over the serial line.
//!
//! A frame is `COBS(message, CRC-32 of it, little-endian)` and a zero byte, so that a receiver finds the next frame after
//! any disturbance (Cheshire and Baker, "Consistent overhead byte stuffing", IEEE/ACM Transactions on Networking 7(2), 1999).
//! A message is a sequence number and a [`Request`] or [`Response`] in postcard's encoding. The host waits for the response to
//! each request, which has its sequence number, and repeats the request if none comes: every request may be repeated.

use serde::{Deserialize, Serialize};
use teff::crc32;

/// Version of the protocol.
pub const PROTOCOL: u8 = 1;
/// Bytes of a model in a request of [`Request::Data`], at most: a multiple of 32.
pub const CHUNK: usize = 256;
/// Bytes of a frame, at most, with its zero.
pub const FRAME: usize = 320;
/// Bytes of a message and its CRC, at most, so that their frame fits.
const MESSAGE: usize = FRAME - 4;

/// What the host asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you?
    Hello,
    /// Begin the update with this header, or go on with it.
    Begin {
        /// The bytes of a [`crate::Header`].
        header: &'a [u8],
    },
    /// CRC-32 of the first bytes in the slot that is being updated.
    Check {
        /// How many.
        len: u32,
    },
    /// Bytes of the model.
    Data {
        /// Where they belong.
        offset: u32,
        /// At most [`CHUNK`].
        bytes: &'a [u8],
    },
    /// All is sent: verify and switch.
    Finish,
}

/// What the device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Hello`].
    Hello(Info),
    /// To [`Request::Begin`]: whether the slot holds part of this update.
    Begun {
        /// It does.
        resumed: bool,
    },
    /// To [`Request::Check`].
    Crc(u32),
    /// To [`Request::Data`]: written up to here.
    Next(u32),
    /// To [`Request::Finish`]: the model is verified and will start.
    Finished {
        /// Its version.
        version: u32,
    },
    /// To any.
    Refused(Refusal),
}

/// What the host should know of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// [`PROTOCOL`].
    pub protocol: u8,
    /// The version that runs from a slot; none if the firmware's own model runs.
    pub active: Option<u32>,
    /// An update must be above this version.
    pub confirmed: u32,
    /// Bytes that a model may have.
    pub capacity: u32,
    /// Data may begin at each multiple of this.
    pub sector: u32,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Not understood: another version of the protocol.
    Unknown,
    /// The header is damaged or of a later format.
    Header,
    /// The device's key did not sign it.
    Signature,
    /// Not above the version that was confirmed before.
    Rollback {
        /// That version.
        confirmed: u32,
    },
    /// The model is too long.
    TooLong {
        /// Bytes that a model may have.
        capacity: u32,
    },
    /// No update was begun.
    NotBegun,
    /// Data at another place than this.
    Offset {
        /// Where it is expected.
        next: u32,
    },
    /// The bytes are not those that were signed.
    Digest,
    /// The model does not verify or its self-test fails on this device.
    Judged,
    /// The flash failed.
    Flash,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown => f.write_str("it does not know this request"),
            Self::Header => f.write_str("the header of the signed model is damaged"),
            Self::Signature => f.write_str("the model is not signed by the key that the device trusts"),
            Self::Rollback { confirmed } => {
                write!(f, "version {confirmed} has run there: sign with a higher --version")
            }
            Self::TooLong { capacity } => write!(f, "the model is too long: a slot has {capacity} bytes"),
            Self::NotBegun => f.write_str("no update was begun"),
            Self::Offset { next } => write!(f, "data came at the wrong place, byte {next} was expected"),
            Self::Digest => f.write_str("the bytes that arrived are not those that were signed"),
            Self::Judged => f.write_str("the model does not verify or fails its self-test on the device"),
            Self::Flash => f.write_str("its flash failed"),
        }
    }
}

/// Encodes a message with its sequence number; gives the frame with its zero. `None` if it is too long.
pub fn encode<'f>(sequence: u8, message: &impl Serialize, frame: &'f mut [u8; FRAME]) -> Option<&'f [u8]> {
    let mut buffer = [0; MESSAGE];
    let len = postcard::to_slice(&(sequence, message), buffer.get_mut(..MESSAGE - 4)?).ok()?.len();
    let crc = crc32(buffer.get(..len)?).to_le_bytes();
    buffer.get_mut(len..len + 4)?.iter_mut().zip(crc).for_each(|(to, from)| *to = from);
    let message = buffer.get(..len + 4)?;
    let end = cobs::try_encode(message, frame.get_mut(..FRAME - 1)?).ok()?;
    *frame.get_mut(end)? = 0;
    frame.get(..=end)
}

/// Decodes a frame without its zero, in place: the sequence number and the message. `None` if it is damaged.
pub fn decode<'f, M: Deserialize<'f>>(frame: &'f mut [u8]) -> Option<(u8, M)> {
    let len = cobs::decode_in_place(frame).ok()?;
    let (message, crc) = frame.get(..len)?.split_last_chunk::<4>()?;
    (crc32(message) == u32::from_le_bytes(*crc)).then(|| postcard::from_bytes(message).ok())?
}

/// Collects bytes to frames.
#[derive(Debug)]
pub struct Collector {
    bytes: [u8; FRAME],
    len: usize,
}

impl Collector {
    /// One that holds nothing.
    pub const fn new() -> Self {
        Self { bytes: [0; FRAME], len: 0 }
    }

    /// Takes a byte; if it ends a frame, gives the frame without its zero. What is longer than a frame is dropped up to
    /// the next zero.
    pub fn take(&mut self, byte: u8) -> Option<&mut [u8]> {
        if byte == 0 {
            let len = core::mem::take(&mut self.len);
            return self.bytes.get_mut(..len).filter(|frame| !frame.is_empty());
        }
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
        }
        self.len = self.len.saturating_add(1);
        None
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn collect(collector: &mut Collector, bytes: &[u8]) -> Vec<Vec<u8>> {
        bytes.iter().filter_map(|&byte| collector.take(byte).map(|frame| frame.to_vec())).collect()
    }

    #[test]
    fn messages_survive_their_frames() {
        let bytes: Vec<u8> = (0..CHUNK).map(|i| i as u8).collect();
        let (header, bytes) = (&[0; 152][..], &bytes[..]);
        let offset = u32::MAX;
        let requests = [Request::Hello, Request::Begin { header }, Request::Data { offset, bytes }, Request::Finish];
        let mut collector = Collector::new();
        for (sequence, request) in requests.iter().enumerate() {
            let mut frame = [0; FRAME];
            let frame = encode(sequence as u8, request, &mut frame).expect("it fits");
            let mut found = collect(&mut collector, frame).pop().expect("a frame");
            assert_eq!(decode::<Request<'_>>(&mut found), Some((sequence as u8, *request)));
        }
    }

    #[test]
    fn a_damaged_frame_is_none_and_the_next_is_found() {
        let mut frame = [0; FRAME];
        let frame = encode(1, &Response::Next(300), &mut frame).expect("it fits");
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut stream = frame.to_vec();
                stream[at] ^= 1 << bit;
                stream.extend(frame);
                let decoded: Vec<_> = collect(&mut Collector::new(), &stream)
                    .into_iter()
                    .filter_map(|mut frame| decode::<Response>(&mut frame))
                    .collect();
                // A lost zero takes the next frame along; nothing wrong ever comes out.
                assert!(decoded.iter().all(|message| *message == (1, Response::Next(300))));
                assert!(at + 1 == frame.len() || !decoded.is_empty(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn endless_noise_is_dropped() {
        let mut collector = Collector::new();
        assert!(collect(&mut collector, &[1; 10_000]).is_empty());
        assert!(collect(&mut collector, &[0]).is_empty());
        let mut frame = [0; FRAME];
        let frame = encode(9, &Request::Finish, &mut frame).expect("it fits");
        assert_eq!(collect(&mut collector, frame).len(), 1);
    }
}
