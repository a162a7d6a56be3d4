//! The device's side of the protocol.

use embedded_io::{Read, Write};
use embedded_storage::nor_flash::NorFlash;
use teff_link::{CHUNK, Collector, FRAME, decode, encode};

use crate::header::{Header, HeaderError};
use crate::store::{Begun, Installed, Store, UpdateError};
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

impl Server {
    /// A server that has heard nothing.
    pub const fn new() -> Self {
        Self { collector: Collector::new(), last: None }
    }

    /// Answers requests until the line ends or an update is finished, whose version it gives.
    ///
    /// After an update call [`Store::select`], or start anew, to run the new model. Judges are as for [`Store::finish`].
    ///
    /// # Errors
    /// If the line fails.
    pub fn serve<F: NorFlash, R: Read, W: Write>(
        &mut self,
        store: &mut Store<F>,
        input: &mut R,
        output: &mut W,
        mut judge: impl FnMut(&mut F, &Installed) -> bool,
    ) -> Result<Option<u32>, LineError<R::Error, W::Error>> {
        let mut byte = [0];
        while input.read(&mut byte).map_err(LineError::Read)? > 0 {
            let [byte] = byte;
            let mut frame = [0; FRAME];
            let Some((response, finished)) = self.answer(store, byte, &mut judge, &mut frame) else { continue };
            output.write_all(response).map_err(LineError::Write)?;
            output.flush().map_err(LineError::Write)?;
            if finished.is_some() {
                return Ok(finished);
            }
        }
        Ok(None)
    }

    /// Takes a byte of the line; if it ends a request, gives the frame to send, and the version if that finished an
    /// update. A damaged frame has no answer: the host repeats it.
    pub fn answer<'f, F: NorFlash>(
        &mut self,
        store: &mut Store<F>,
        byte: u8,
        judge: impl FnOnce(&mut F, &Installed) -> bool,
        frame: &'f mut [u8; FRAME],
    ) -> Option<(&'f [u8], Option<u32>)> {
        let (sequence, request) = decode(self.collector.take(byte)?)?;
        let response = match self.last {
            // A new sender begins with Hello, whatever its number.
            Some((last, response)) if last == sequence && request != Request::Hello => response,
            _ => handle(store, request, judge).unwrap_or_else(|error| Response::Refused(refusal(&error))),
        };
        self.last = Some((sequence, response));
        let finished = match response {
            Response::Finished { version } => Some(version),
            _ => None,
        };
        Some((encode(sequence, &response, frame)?, finished))
    }
}

fn handle<F: NorFlash>(
    store: &mut Store<F>,
    request: Request<'_>,
    judge: impl FnOnce(&mut F, &Installed) -> bool,
) -> Result<Response, UpdateError<F::Error>> {
    Ok(match request {
        Request::Hello => Response::Hello(Info {
            protocol: PROTOCOL,
            active: store.active().map(|active| active.version),
            confirmed: store.confirmed(),
            capacity: store.capacity(),
            sector: F::ERASE_SIZE as u32,
        }),
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
