//! Frames: how messages between a PC and a board go over a serial line.
//!
//! A frame is `COBS(message, CRC-32 of it, little-endian)` and a zero byte, so that a receiver finds the next frame after
//! any disturbance (Cheshire and Baker, "Consistent overhead byte stuffing", IEEE/ACM Transactions on Networking 7(2), 1999).
//! A message is a sequence number and a request or response in postcard's encoding. The PC waits for the response to each
//! request, which has its sequence number, and repeats the request if none comes: every request may be repeated.
#![no_std]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(test)]
extern crate std;

use serde::{Deserialize, Serialize};
use teff::crc32;

/// Bytes of data in a message, at most: a multiple of 32.
pub const CHUNK: usize = 256;
/// Bytes of a frame, at most, with its zero.
pub const FRAME: usize = 320;
/// Bytes of a message and its CRC, at most, so that their frame fits.
const MESSAGE: usize = FRAME - 4;

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

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    enum Message<'a> {
        Done,
        Next(u32),
        Data { offset: u32, bytes: &'a [u8] },
    }

    fn collect(collector: &mut Collector, bytes: &[u8]) -> Vec<Vec<u8>> {
        bytes.iter().filter_map(|&byte| collector.take(byte).map(|frame| frame.to_vec())).collect()
    }

    #[test]
    fn messages_survive_their_frames() {
        let bytes: Vec<u8> = (0..CHUNK).map(|i| i as u8).collect();
        let messages = [
            Message::Done,
            Message::Next(7),
            Message::Data { offset: u32::MAX, bytes: &[0; CHUNK] },
            Message::Data { offset: 0, bytes: &bytes },
        ];
        let mut collector = Collector::new();
        for (sequence, message) in messages.iter().enumerate() {
            let mut frame = [0; FRAME];
            let frame = encode(sequence as u8, message, &mut frame).expect("it fits");
            let mut found = collect(&mut collector, frame).pop().expect("a frame");
            assert_eq!(decode::<Message<'_>>(&mut found), Some((sequence as u8, *message)));
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_none() {
        let bytes = [1; FRAME];
        assert_eq!(encode(0, &Message::Data { offset: 0, bytes: &bytes }, &mut [0; FRAME]), None);
    }

    #[test]
    fn a_damaged_frame_is_none_and_the_next_is_found() {
        let mut frame = [0; FRAME];
        let frame = encode(1, &Message::Next(300), &mut frame).expect("it fits");
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut stream = frame.to_vec();
                stream[at] ^= 1 << bit;
                stream.extend(frame);
                let mut frames = collect(&mut Collector::new(), &stream);
                let decoded: Vec<_> = frames.iter_mut().filter_map(|frame| decode::<Message<'_>>(frame)).collect();
                // A lost zero takes the next frame along; nothing wrong ever comes out.
                assert!(decoded.iter().all(|message| *message == (1, Message::Next(300))));
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
        let frame = encode(9, &Message::Done, &mut frame).expect("it fits");
        assert_eq!(collect(&mut collector, frame).len(), 1);
    }
}
