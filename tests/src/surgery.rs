//! Editing `.teff` files field by field, so that a test can break exactly one thing.

use teff::Crc32;
use teff::format::layout::{CRC_OFFSET, Header, SectionDesc};
use teff_tools::aligned::AlignedBytes;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A file under the knife.
#[derive(Clone)]
pub struct Patient {
    /// Its bytes.
    pub bytes: AlignedBytes,
}

impl Patient {
    /// A copy of `file`.
    pub fn new(file: &[u8]) -> Self {
        Self { bytes: AlignedBytes::from(file) }
    }

    /// The section table.
    pub fn sections(&self) -> Vec<SectionDesc> {
        let (header, rest) = Header::read_from_prefix(&self.bytes).expect("a header");
        let (table, _) =
            <[SectionDesc]>::ref_from_prefix_with_elems(rest, header.section_count.into()).expect("a table");
        table.to_vec()
    }

    /// The bytes of section `kind`.
    pub fn section(&mut self, kind: u16) -> &mut [u8] {
        let desc = self.sections().into_iter().find(|s| s.kind == kind).expect("the section");
        &mut self.bytes[desc.offset as usize..][..desc.len as usize]
    }

    /// Edits element `index` of section `kind`.
    pub fn edit<T>(&mut self, kind: u16, index: usize, edit: impl FnOnce(&mut T))
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        edit(&mut <[T]>::mut_from_bytes(self.section(kind)).expect("elements of this size")[index]);
    }

    /// Edits entry `index` of the section table.
    pub fn edit_table(&mut self, index: usize, edit: impl FnOnce(&mut SectionDesc)) {
        let start = size_of::<Header>() + index * size_of::<SectionDesc>();
        let bytes = &mut self.bytes[start..start + size_of::<SectionDesc>()];
        edit(SectionDesc::mut_from_bytes(bytes).expect("a section"));
    }

    /// Edits the header.
    pub fn edit_header(&mut self, edit: impl FnOnce(&mut Header)) {
        let bytes = &mut self.bytes[..size_of::<Header>()];
        edit(Header::mut_from_bytes(bytes).expect("a header"));
    }

    /// Writes the CRC anew, so that what was edited is found by a later check.
    pub fn seal(&mut self) {
        let mut crc = Crc32::new();
        crc.update(&self.bytes[..CRC_OFFSET]);
        crc.update(&self.bytes[CRC_OFFSET + 4..]);
        let crc = crc.finish();
        self.edit_header(|h| h.crc = crc);
    }
}
