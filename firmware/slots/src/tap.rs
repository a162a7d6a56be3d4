//! An application's serial line, on which an update may begin at any time.

use core::fmt::{self, Debug, Display};

use embedded_io::{ErrorKind, ErrorType, Read};
use teff_link::{Collector, decode};

use crate::wire::Request;

/// A line as an application reads it, until a whole [`Request`] is heard there: then reading fails, and the application ends.
///
/// The application has read the bytes of the request as well, as part of what it was to be; [`crate::Server::resume`] answers it,
/// and when the conversation has ended the application begins anew. That a stream of other things contains a request by chance takes
/// bytes that match their CRC-32.
#[derive(Debug)]
pub struct Tap<R> {
    line: R,
    collector: Collector,
    heard: Option<Heard>,
}

/// Why an application cannot read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapError<E> {
    /// A request was heard: the bytes before it, which were read since the last whole input, are part of it.
    Request,
    /// The line failed.
    Line(E),
}

impl<E: Debug> Display for TapError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("an update begins on this line"),
            Self::Line(error) => write!(f, "the line failed: {error:?}"),
        }
    }
}

impl<E: Debug> core::error::Error for TapError<E> {}

impl<E: embedded_io::Error> embedded_io::Error for TapError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Request => ErrorKind::Interrupted,
            Self::Line(error) => error.kind(),
        }
    }
}

/// A request that was heard on an application's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Its number.
    pub sequence: u8,
    /// Whether it is a [`Request::Hello`].
    pub hello: bool,
}

impl<R> Tap<R> {
    /// The line, on which nothing was heard yet.
    pub const fn new(line: R) -> Self {
        Self { line, collector: Collector::new(), heard: None }
    }

    /// The request that was heard, if one was; the line begins anew.
    pub const fn take_heard(&mut self) -> Option<Heard> {
        self.heard.take()
    }

    /// The line itself.
    pub const fn line(&mut self) -> &mut R {
        &mut self.line
    }
}

impl<R: ErrorType> ErrorType for Tap<R> {
    type Error = TapError<R::Error>;
}

impl<R: Read> Read for Tap<R> {
    /// Reads one byte, for there are lines that wait until all of `to` is full: none comes behind a request until it is answered.
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Self::Error> {
        if self.heard.is_some() {
            return Err(TapError::Request);
        }
        let Some(to) = to.get_mut(..1) else { return Ok(0) };
        let count = self.line.read(to).map_err(TapError::Line)?;
        let frame = to.first().filter(|_| count > 0).and_then(|&byte| self.collector.take(byte));
        if let Some((sequence, request)) = frame.and_then(decode::<Request<'_>>) {
            self.heard = Some(Heard { sequence, hello: request == Request::Hello });
            return Err(TapError::Request);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;
    use teff_link::{FRAME, encode};

    fn frame(sequence: u8, request: Request<'_>) -> Vec<u8> {
        encode(sequence, &request, &mut [0; FRAME]).expect("it fits").to_vec()
    }

    /// What the application reads, in pieces of `piece` bytes, until its line ends, and what ended it.
    fn read(tap: &mut Tap<&[u8]>, piece: usize) -> (Vec<u8>, Option<Heard>) {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 64]);
        loop {
            match tap.read(&mut buffer[..piece]) {
                Ok(0) => {
                    assert_eq!(tap.take_heard(), None);
                    return (bytes, None);
                }
                Ok(count) => bytes.extend(&buffer[..count]),
                Err(TapError::Request) => {
                    assert_eq!(tap.read(&mut buffer), Err(TapError::Request));
                    return (bytes, tap.take_heard());
                }
            }
        }
    }

    #[test]
    fn a_request_ends_the_line_and_what_follows_is_left() {
        for (request, hello) in [(Request::Hello, true), (Request::Finish, false), (Request::Check { len: 7 }, false)] {
            let frame = frame(9, request);
            let before = [1, 0, 3, 0, 0].repeat(200);
            let stream = [&before, &frame, &[4, 5, 6][..]].concat();
            for piece in [1, 7, 64] {
                let mut tap = Tap::new(&stream[..]);
                let (bytes, heard) = read(&mut tap, piece);
                assert_eq!(heard, Some(Heard { sequence: 9, hello }));
                // All but the zero that ends the request.
                assert_eq!(bytes, stream[..before.len() + frame.len() - 1]);
                assert_eq!(tap.line(), &[4, 5, 6]);
                assert_eq!(read(&mut tap, piece), ([4, 5, 6].to_vec(), None));
            }
        }
    }

    #[test]
    fn a_damaged_request_is_none() {
        let hello = frame(9, Request::Hello);
        for at in 0..hello.len() - 1 {
            let mut damaged = hello.clone();
            damaged[at] ^= 0x10;
            assert_eq!(read(&mut Tap::new(&damaged[..]), 64).1, None);
        }
    }

    #[test]
    fn nothing_is_read_for_nobody() {
        let mut tap = Tap::new(&[0, 1][..]);
        assert_eq!(tap.read(&mut []), Ok(0));
        assert_eq!(tap.line().len(), 2);
    }
}
