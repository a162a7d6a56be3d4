//! The PC's side of a conversation: requests in frames of `teff-link`, each repeated until it is answered.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use teff_link::{Collector, FRAME, decode, encode};

/// How long an answer may take before the request is repeated, and how often that is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a write of a piece.
    pub quick: Duration,
    /// For what hashes, checks a signature, or runs a self-test: seconds on a slow processor.
    pub slow: Duration,
    /// How often a request is sent.
    pub tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { quick: Duration::from_secs(2), slow: Duration::from_secs(60), tries: 5 }
    }
}

/// Asks a device at the other end of a line.
pub struct Client<'l, L: ?Sized> {
    line: &'l mut L,
    sequence: u8,
    collector: Collector,
    tries: u32,
}

impl<'l, L: Read + Write + ?Sized> Client<'l, L> {
    /// A client that sends each request up to `tries` times.
    pub fn new(line: &'l mut L, tries: u32) -> Self {
        Self { line, sequence: 0, collector: Collector::new(), tries }
    }

    /// Sends a request until it is answered; waits `patience` for each answer.
    ///
    /// # Errors
    /// If the line fails or no answer comes.
    pub fn ask<R: DeserializeOwned>(&mut self, request: &impl Serialize, patience: Duration) -> Result<R> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut frame = [0; FRAME];
        let frame = encode(self.sequence, request, &mut frame).context("the request is too long")?;
        for _ in 0..self.tries {
            // A zero first ends whatever came before.
            self.line.write_all(&[0])?;
            self.line.write_all(frame)?;
            self.line.flush()?;
            if let Some(response) = self.wait(patience)? {
                return Ok(response);
            }
        }
        bail!("no answer to {} requests within {} ms each", self.tries, patience.as_millis())
    }

    fn wait<R: DeserializeOwned>(&mut self, patience: Duration) -> Result<Option<R>> {
        let deadline = Instant::now() + patience;
        let mut bytes = [0; 64];
        while Instant::now() < deadline {
            let count = match self.line.read(&mut bytes) {
                Ok(0) => bail!("the line was closed"),
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => continue,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the line failed"),
            };
            for &byte in &bytes[..count] {
                let Some(frame) = self.collector.take(byte) else { continue };
                // A damaged frame, or a late answer to what was asked before, is nothing.
                if let Some((sequence, response)) = decode::<R>(frame)
                    && sequence == self.sequence
                {
                    return Ok(Some(response));
                }
            }
        }
        Ok(None)
    }
}
