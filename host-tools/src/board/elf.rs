//! The linked firmware: what it takes of the board, and where its functions are.

use anyhow::{Result, ensure};
use object::elf::{SHF_ALLOC, SHF_WRITE};
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

    /// The address of the function `name`, without the bit that marks Thumb code.
    pub fn function(&self, name: &str) -> Option<u64> {
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
