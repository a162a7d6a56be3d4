//! The sender of an update.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use teff_link::CHUNK;
use teff_slots::header::Header;
use teff_slots::wire::{Info, PROTOCOL, Refusal, Request, Response};

use super::split;
use crate::line::{Client, Patience};

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Pushed {
    /// The version that ran before; none if it was the firmware's own.
    pub before: Option<u32>,
    /// The version that will start.
    pub version: u32,
    /// Bytes of the model.
    pub bytes: u32,
    /// Bytes that were there already, from an update that was interrupted.
    pub resumed: u32,
}

/// Sends a signed model; `on_progress` is told the bytes that the device has, each time that they are more.
///
/// # Errors
/// If the line fails, nobody answers, or the device refuses, which leaves what runs there as it is.
pub fn push(
    line: &mut (impl Read + Write + ?Sized),
    signed: &[u8],
    patience: Patience,
    mut on_progress: impl FnMut(u32),
) -> Result<Pushed> {
    let (header, model) = split(signed)?;
    let mut sender = Sender { client: Client::new(line, patience.tries), patience };
    let info = sender.hello()?;
    let resumed = sender.begin(&header, model, &info)?;
    let mut start = resumed;
    for last in [false, true] {
        sender.send(model, start, &mut on_progress)?;
        match sender.ask(Request::Finish, patience.slow)? {
            Response::Finished { version } => {
                return Ok(Pushed { before: info.active, version, bytes: header.len, resumed });
            }
            // Bytes from before that only looked right: all anew.
            Response::Refused(Refusal::Digest) if !last => start = 0,
            other => return Err(unexpected(other)),
        }
    }
    bail!("the device received the model twice and did not find the bytes that were signed")
}

struct Sender<'l, L: ?Sized> {
    client: Client<'l, L>,
    patience: Patience,
}

impl<L: Read + Write + ?Sized> Sender<'_, L> {
    fn ask(&mut self, request: Request<'_>, patience: Duration) -> Result<Response> {
        self.client.ask(&request, patience)
    }

    fn hello(&mut self) -> Result<Info> {
        let answer = self.ask(Request::Hello, self.patience.quick).context("no device answers on this line")?;
        let Response::Hello(info) = answer else { return Err(unexpected(answer)) };
        if info.protocol != PROTOCOL {
            bail!("the device speaks version {} of the protocol, this program version {PROTOCOL}", info.protocol);
        }
        Ok(info)
    }

    /// Begins; gives the bytes that the device has already.
    fn begin(&mut self, header: &Header, model: &[u8], info: &Info) -> Result<u32> {
        let answer = self.ask(Request::Begin { header: &header.to_bytes() }, self.patience.slow)?;
        match answer {
            Response::Begun { resumed: false } => Ok(0),
            Response::Begun { resumed: true } => self.common_prefix(model, info.sector.max(1)),
            other => Err(unexpected(other)),
        }
    }

    /// The longest prefix in whole sectors, or the whole, that the device has: by bisection over CRCs.
    fn common_prefix(&mut self, model: &[u8], sector: u32) -> Result<u32> {
        let len = u32::try_from(model.len())?;
        if self.has_prefix(model, len)? {
            return Ok(len);
        }
        let (mut good, mut bad) = (0, len.div_ceil(sector));
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if self.has_prefix(model, middle * sector)? {
                good = middle;
            } else {
                bad = middle;
            }
        }
        Ok(good * sector)
    }

    fn has_prefix(&mut self, model: &[u8], len: u32) -> Result<bool> {
        match self.ask(Request::Check { len }, self.patience.slow)? {
            Response::Crc(crc) => Ok(model.get(..len as usize).is_some_and(|prefix| teff::crc32(prefix) == crc)),
            other => Err(unexpected(other)),
        }
    }

    fn send(&mut self, model: &[u8], start: u32, on_progress: &mut impl FnMut(u32)) -> Result<()> {
        on_progress(start);
        let mut offset = start;
        for bytes in model.get(start as usize..).unwrap_or_default().chunks(CHUNK) {
            match self.ask(Request::Data { offset, bytes }, self.patience.quick)? {
                Response::Next(next) if next as usize == offset as usize + bytes.len() => offset = next,
                other => return Err(unexpected(other)),
            }
            on_progress(offset);
        }
        Ok(())
    }
}

fn unexpected(response: Response) -> anyhow::Error {
    match response {
        Response::Refused(refusal) => anyhow::anyhow!("the device refuses: {refusal}"),
        other => anyhow::anyhow!("the device answers something else than was asked: {other:?}"),
    }
}
