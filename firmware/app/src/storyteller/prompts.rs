//! Prompts on a line on which other things come too, such as updates and noise.

use embedded_io::{ErrorType, Read};
use heapless::Vec;

use super::LINE;

/// A line of which only prompts are read: lines that are no UTF-8, have control characters, or are longer than [`LINE`] bytes, are
/// passed over. A line is given when it has ended; one during which reading fails is dropped.
#[derive(Debug)]
pub struct Prompts<R> {
    input: R,
    /// The line that is being read or given, with its end.
    line: Vec<u8, { LINE + 2 }>,
    /// Bytes of it that are given; `None` while it is read.
    given: Option<usize>,
}

impl<R> Prompts<R> {
    /// The prompts of `input`.
    pub const fn new(input: R) -> Self {
        Self { input, line: Vec::new(), given: None }
    }
}

impl<R: Read> Prompts<R> {
    /// Reads up to the end of a line; false if the stream has ended before anything.
    fn read_line(&mut self) -> Result<bool, R::Error> {
        self.line.clear();
        let mut fits = true;
        loop {
            let mut byte = [0];
            let count = self.input.read(&mut byte)?;
            let [byte] = byte;
            if count > 0 {
                fits &= self.line.push(byte).is_ok();
            }
            if count > 0 && byte != b'\n' {
                continue;
            }
            if fits && is_prompt(&self.line) {
                return Ok(!self.line.is_empty());
            }
            info!("a line that is no prompt is passed over");
            self.line.clear();
            fits = true;
            if count == 0 {
                return Ok(false);
            }
        }
    }
}

/// Whether a line, with its end, can be the beginning of a text.
fn is_prompt(line: &[u8]) -> bool {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let is_text = |text: &str| text.chars().all(|c| c == '\t' || !c.is_control());
    text.len() <= LINE && core::str::from_utf8(text).is_ok_and(is_text)
}

impl<R: ErrorType> ErrorType for Prompts<R> {
    type Error = R::Error;
}

impl<R: Read> Read for Prompts<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, R::Error> {
        if to.is_empty() {
            return Ok(0);
        }
        let given = match self.given.take() {
            Some(given) => given,
            None if self.read_line()? => 0,
            None => return Ok(0),
        };
        let rest = self.line.get(given..).unwrap_or_default();
        let count = rest.len().min(to.len());
        to.iter_mut().zip(rest).for_each(|(to, &byte)| *to = byte);
        self.given = (count < rest.len()).then(|| given.saturating_add(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use teff_link::{FRAME, encode};
    use teff_slots::wire::Request;
    use teff_slots::{Heard, Tap, TapError};

    /// All that is read, in pieces of `piece` bytes.
    fn read(input: &[u8], piece: usize) -> vec::Vec<u8> {
        let (mut prompts, mut bytes, mut buffer) = (Prompts::new(input), vec::Vec::new(), [0; 300]);
        loop {
            match prompts.read(&mut buffer[..piece]).expect("a slice can be read") {
                0 => return bytes,
                count => bytes.extend(&buffer[..count]),
            }
        }
    }

    #[test]
    fn lines_that_are_no_prompts_are_passed_over() {
        let long = [b'a'; LINE];
        let longer = [b'a'; LINE + 1];
        let longest = [b'a'; 5 * LINE];
        let of = |lines: &[&[u8]]| lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect::<vec::Vec<u8>>();
        let all: [&[u8]; 11] = [
            b"Now",
            b"\xFF",
            b"",
            b"\x02\x00",
            &longer,
            "\u{FC}ber\tall\r".as_bytes(),
            &longest,
            b"\x7F",
            &long,
            b"a\rb",
            b"end",
        ];
        let prompts: [&[u8]; 5] = [b"Now", b"", "\u{FC}ber\tall\r".as_bytes(), &long, b"end"];
        for piece in [1, 7, 300] {
            assert_eq!(read(&of(&all), piece), of(&prompts));
            assert_eq!(read(b"Now\nthe end", piece), b"Now\nthe end");
            assert_eq!(read(b"Now\n\x01", piece), b"Now\n");
            assert_eq!(read(b"", piece), b"");
        }
    }

    /// Whatever number an update's first request has, and so whatever bytes: also those of a line's end.
    #[test]
    fn a_request_on_the_line_is_never_a_prompt() {
        for sequence in 0..=u8::MAX {
            for begun in ["", "half a line"] {
                let mut frame = [0; FRAME];
                let hello = encode(sequence, &Request::Hello, &mut frame).expect("it fits");
                // A sender ends with a zero whatever came before.
                let line = [b"Now\n", begun.as_bytes(), &[0], hello, b"Then\n"].concat();
                let mut tap = Tap::new(&line[..]);
                let mut buffer = [0; 300];
                let mut prompts = Prompts::new(&mut tap);
                assert_eq!(prompts.read(&mut buffer), Ok(4));
                assert_eq!(prompts.read(&mut buffer), Err(TapError::Request), "{sequence}");
                assert_eq!(tap.take_heard(), Some(Heard { sequence, hello: true }));
                assert_eq!(Prompts::new(&mut tap).read(&mut buffer), Ok(5));
            }
        }
    }
}
