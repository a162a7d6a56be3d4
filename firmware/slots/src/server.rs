//! The device's side of the protocol.

use embedded_io::{Read, Write};
use embedded_storage::nor_flash::NorFlash;
use teff_link::{CHUNK, Collector, FRAME, decode, encode};

use crate::header::{Header, HeaderError};
use crate::store::{Begun, Installed, Store, UpdateError};
use crate::tap::Heard;
use crate::wire::{Info, PROTOCOL, Refusal, Request, Response};

/// Answers requests on a serial line.
#[derive(Debug, Default)]
pub struct Server {
    collector: Collector,
    /// The last request that was answered, to answer its repetition alike without doing it again.
    last: Option<(u8, Response)>,
}

/// Why the line was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError<R, W> {
    /// It could not be read.
    Read(R),
    /// It could not be written to.
    Write(W),
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// An update is finished: to run the new model, call [`Store::select`], or start anew.
    Finished {
        /// Its version.
        version: u32,
    },
    /// The model was refused, and the sender gives up: what ran before may go on.
    Refused(Refusal),
    /// The line has ended.
    LineEnded,
}

impl Server {
    /// A server that has heard nothing.
    pub const fn new() -> Self {
        Self { collector: Collector::new(), last: None }
    }

    /// Answers a request that somebody else has heard on the line: to a Hello, `None`, and [`Server::serve`] answers what follows; to
    /// the last request again, for its answer was lost, or to one of an update that was never begun, how the conversation
    /// ended.
    ///
    /// # Errors
    /// If the line fails.
    pub fn resume<F: NorFlash, W: Write>(
        &mut self,
        store: &Store<F>,
        heard: Heard,
        output: &mut W,
    ) -> Result<Option<Served>, W::Error> {
        let response = match self.last {
            _ if heard.hello => hello(store),
            Some((last, response)) if last == heard.sequence => response,
            _ => Response::Refused(Refusal::NotBegun),
        };
        let mut frame = [0; FRAME];
        let Some((answer, end)) = self.reply(heard.sequence, response, &mut frame) else { return Ok(None) };
        output.write_all(answer)?;
        output.flush()?;
        Ok(end)
    }

    /// Answers requests until an update is finished or refused, or the line ends.
    ///
    /// Judges are as for [`Store::finish`].
    ///
    /// # Errors
    /// If the line fails.
    pub fn serve<F: NorFlash, R: Read, W: Write>(
        &mut self,
        store: &mut Store<F>,
        input: &mut R,
        output: &mut W,
        mut judge: impl FnMut(&mut F, &Installed) -> bool,
    ) -> Result<Served, LineError<R::Error, W::Error>> {
        let mut byte = [0];
        while input.read(&mut byte).map_err(LineError::Read)? > 0 {
            let [byte] = byte;
            let mut frame = [0; FRAME];
            let Some((answer, end)) = self.answer(store, byte, &mut judge, &mut frame) else { continue };
            output.write_all(answer).map_err(LineError::Write)?;
            output.flush().map_err(LineError::Write)?;
            if let Some(end) = end {
                return Ok(end);
            }
        }
        Ok(Served::LineEnded)
    }

    /// Takes a byte of the line; if it ends a request, gives the frame to send, and how the conversation ended if it did. A damaged
    /// frame has no answer: the host repeats it.
    pub fn answer<'f, F: NorFlash>(
        &mut self,
        store: &mut Store<F>,
        byte: u8,
        judge: impl FnOnce(&mut F, &Installed) -> bool,
        frame: &'f mut [u8; FRAME],
    ) -> Option<(&'f [u8], Option<Served>)> {
        let (sequence, request) = decode(self.collector.take(byte)?)?;
        let response = match self.last {
            // A new sender begins with Hello, whatever its number.
            Some((last, response)) if last == sequence && request != Request::Hello => response,
            _ => handle(store, request, judge).unwrap_or_else(|error| Response::Refused(refusal(&error))),
        };
        self.reply(sequence, response, frame)
    }

    fn reply<'f>(
        &mut self,
        sequence: u8,
        response: Response,
        frame: &'f mut [u8; FRAME],
    ) -> Option<(&'f [u8], Option<Served>)> {
        self.last = Some((sequence, response));
        let end = match response {
            Response::Finished { version } => Some(Served::Finished { version }),
            // After these a sender goes on: with other bytes, or with the same once more.
            Response::Refused(Refusal::Unknown | Refusal::Offset { .. } | Refusal::Digest) => None,
            Response::Refused(refusal) => Some(Served::Refused(refusal)),
            _ => None,
        };
        Some((encode(sequence, &response, frame)?, end))
    }
}

fn hello<F: NorFlash>(store: &Store<F>) -> Response {
    Response::Hello(Info {
        protocol: PROTOCOL,
        active: store.active().map(|active| active.version),
        confirmed: store.confirmed(),
        capacity: store.capacity(),
        sector: F::ERASE_SIZE as u32,
    })
}

fn handle<F: NorFlash>(
    store: &mut Store<F>,
    request: Request<'_>,
    judge: impl FnOnce(&mut F, &Installed) -> bool,
) -> Result<Response, UpdateError<F::Error>> {
    Ok(match request {
        Request::Hello => hello(store),
        Request::Begin { header } => {
            let header = Header::parse(header).map_err(UpdateError::Header)?;
            Response::Begun { resumed: store.begin(&header)? == Begun::Resumed }
        }
        Request::Check { len } => Response::Crc(store.prefix_crc(len)?),
        Request::Data { bytes, .. } if bytes.len() > CHUNK => Response::Refused(Refusal::Unknown),
        Request::Data { offset, bytes } => Response::Next(store.write(offset, bytes)?),
        Request::Finish => Response::Finished { version: store.finish(judge)?.version },
    })
}

fn refusal<E>(error: &UpdateError<E>) -> Refusal {
    match *error {
        UpdateError::Header(HeaderError::Signature) => Refusal::Signature,
        UpdateError::Header(_) => Refusal::Header,
        UpdateError::Rollback { confirmed } => Refusal::Rollback { confirmed },
        UpdateError::TooLong { capacity } => Refusal::TooLong { capacity },
        UpdateError::NotBegun => Refusal::NotBegun,
        UpdateError::Offset { next } => Refusal::Offset { next },
        UpdateError::Digest => Refusal::Digest,
        UpdateError::Judged => Refusal::Judged,
        UpdateError::Flash(_) => Refusal::Flash,
    }
}
