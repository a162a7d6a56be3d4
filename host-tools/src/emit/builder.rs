//! The parts of a file under construction.

use std::collections::HashMap;

use anyhow::{Context, Result};
use teff::Crc32;
use teff::format::layout::{ALIGNMENT, CRC_OFFSET, Header, MAGIC, MAJOR, MINOR, SectionDesc, StringRef};
use zerocopy::IntoBytes;

/// The strings section: each text once.
#[derive(Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    known: HashMap<String, StringRef>,
}

impl Strings {
    pub(super) fn add(&mut self, text: &str) -> Result<StringRef> {
        if let Some(&known) = self.known.get(text) {
            return Ok(known);
        }
        let at = StringRef { offset: size(self.bytes.len())?, len: size(text.len())? };
        self.bytes.extend(text.as_bytes());
        self.known.insert(text.to_string(), at);
        Ok(at)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Sections, in the order in which they are added.
#[derive(Default)]
pub(super) struct FileBuilder {
    sections: Vec<(u16, Vec<u8>)>,
}

impl FileBuilder {
    /// Adds a section; an empty one only if readers demand it.
    pub(super) fn section<T: IntoBytes + zerocopy::Immutable>(&mut self, kind: u16, items: &[T]) {
        self.sections.push((kind, items.as_bytes().to_vec()));
    }

    /// The file: header, section table, sections at multiples of 16, zeros between them.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let table_len = self.sections.len() * size_of::<SectionDesc>();
        let mut offset = (size_of::<Header>() + table_len).next_multiple_of(ALIGNMENT);
        let mut table = Vec::new();
        for (kind, bytes) in &self.sections {
            table.push(SectionDesc { kind: *kind, reserved: 0, offset: size(offset)?, len: size(bytes.len())? });
            offset = (offset + bytes.len()).next_multiple_of(ALIGNMENT);
        }
        let mut header = Header {
            magic: MAGIC,
            major: MAJOR,
            minor: MINOR,
            file_len: size(offset)?,
            crc: 0,
            section_count: u16::try_from(self.sections.len()).context("too many sections")?,
            reserved: [0; 7],
        };
        let mut file = Vec::with_capacity(offset);
        file.extend(header.as_bytes());
        file.extend(table.as_bytes());
        for (_, bytes) in &self.sections {
            file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
            file.extend(bytes);
        }
        file.resize(offset, 0);
        let mut crc = Crc32::new();
        crc.update(&file[..CRC_OFFSET]);
        crc.update(&file[CRC_OFFSET + 4..]);
        header.crc = crc.finish();
        file[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        Ok(file)
    }
}

/// A length or offset as the file holds it.
pub(super) fn size(n: usize) -> Result<u32> {
    u32::try_from(n).context("the model is larger than 4 GiB")
}
