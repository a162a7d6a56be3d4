//! The linked firmware: what it takes of the board, and where its functions are.

use anyhow::{Context, Result, bail, ensure};
use object::elf::{PT_LOAD, SHF_ALLOC, SHF_WRITE};
use object::read::elf::ProgramHeader;
use object::{File, Object, ObjectSection, ObjectSymbol, Section, SectionFlags, SectionKind};

/// Sections in which a linker script sets the rest of the RAM aside.
const RESERVED: [&str; 2] = [".stack", ".heap"];

/// A linked firmware.
#[derive(Debug, Clone)]
pub struct Elf {
    bytes: Vec<u8>,
}

/// What a firmware takes of a board's memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of flash: code, constants, and the initial values of variables.
    pub flash: u64,
    /// Bytes of RAM for variables; the stack is not known from the file.
    pub ram: u64,
}

impl Elf {
    /// Takes the bytes of an ELF file.
    ///
    /// # Errors
    /// If they are none.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let format = File::parse(bytes.as_slice())?.format();
        ensure!(format == object::BinaryFormat::Elf, "not an ELF file");
        Ok(Self { bytes })
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it takes of the board's memories.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn size(&self) -> Result<Size> {
        let mut size = Size { flash: 0, ram: 0 };
        for section in File::parse(self.bytes.as_slice())?.sections() {
            let (loaded, variable) = allocation(&section);
            if loaded && section.kind() != SectionKind::UninitializedData {
                size.flash += section.size();
            }
            if variable && !RESERVED.contains(&section.name()?) {
                size.ram += section.size();
            }
        }
        Ok(size)
    }

    /// The names of all symbols, as the compiler wrote them.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn symbols(&self) -> Result<Vec<String>> {
        let file = File::parse(self.bytes.as_slice())?;
        file.symbols().map(|symbol| Ok(symbol.name()?.to_string())).collect()
    }

    /// What a programmer writes to a flash that begins at the lowest address of the file's contents, with gaps as erased flash.
    ///
    /// # Errors
    /// If the file is damaged, or is none for 32 bits.
    pub fn flash_image(&self) -> Result<Vec<u8>> {
        let File::Elf32(file) = File::parse(self.bytes.as_slice())? else { bail!("no ELF file for 32 bits") };
        let endian = file.endian();
        let mut parts = Vec::new();
        for segment in file.elf_program_headers() {
            let contents = segment.data(endian, self.bytes.as_slice()).ok().context("a segment is outside the file")?;
            if segment.p_type(endian) == PT_LOAD && !contents.is_empty() {
                parts.push((segment.p_paddr(endian) as usize, contents));
            }
        }
        let start = parts.iter().map(|part| part.0).min().context("the file has no contents")?;
        let end = parts.iter().map(|(at, contents)| at + contents.len()).max().unwrap_or(start);
        let mut image = vec![0xFF; end - start];
        for (at, contents) in parts {
            image[at - start..][..contents.len()].copy_from_slice(contents);
        }
        Ok(image)
    }

    /// The address of the symbol `name`; of a function, without the bit that marks Thumb code.
    pub fn address(&self, name: &str) -> Option<u64> {
        let file = File::parse(self.bytes.as_slice()).ok()?;
        let address = file.symbols().find(|symbol| symbol.name() == Ok(name))?.address();
        Some(if file.architecture() == object::Architecture::Arm { address & !1 } else { address })
    }
}

/// Whether the section is in the board's memory, and whether it is in memory that can be written.
fn allocation(section: &Section<'_, '_>) -> (bool, bool) {
    let SectionFlags::Elf { sh_flags } = section.flags() else { return (false, false) };
    let has = |flag: u32| sh_flags & u64::from(flag) != 0;
    (has(SHF_ALLOC), has(SHF_ALLOC) && has(SHF_WRITE))
}
