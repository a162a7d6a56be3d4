//! The firmware's log: defmt frames, whose texts are in the ELF file.

use anyhow::{Context, Result, anyhow, bail};
use defmt_decoder::{DecodeError, Table};

use super::Elf;

/// The messages in `bytes`, a line each: level, space, text.
pub(super) fn decode(elf: &Elf, bytes: &[u8]) -> Result<Vec<String>> {
    if bytes.is_empty() {
        // A firmware that says nothing need not be able to.
        return Ok(Vec::new());
    }
    let table = Table::parse(elf.bytes()).map_err(|error| anyhow!("the firmware's log texts: {error}"))?;
    let table = table.context("the firmware has no log texts: was it linked with defmt.x?")?;
    let mut decoder = table.new_stream_decoder();
    decoder.received(bytes);
    let mut lines = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("LOG", |level| level.as_str());
                lines.push(format!("{} {}", level.to_uppercase(), frame.display_message()));
            }
            Err(DecodeError::UnexpectedEof) => return Ok(lines),
            Err(DecodeError::Malformed) => bail!("the log is damaged after {lines:?}: something else wrote to it"),
        }
    }
}
