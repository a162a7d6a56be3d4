//! The board's PSRAM as NOR flash.

use core::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

#[cfg(not(map = "mps2"))]
compile_error!("this program takes the PSRAM of the images AN385, AN386 and AN500 for flash");

/// Application note AN386: 16 MB of PSRAM, of which this takes the first part.
const START: *mut u8 = 0x2100_0000 as *mut u8;
const LEN: usize = 512 << 10;

/// Flash in words of 4 bytes and sectors of 4 KB.
pub(crate) struct Psram(&'static mut [u8]);

impl Psram {
    /// The PSRAM, erased; to be called once.
    pub(crate) fn take() -> Self {
        // SAFETY: the range is RAM of this board that the linker script gives to nobody, any bytes are valid, and the
        // program calls this once, so that no other reference to it exists.
        let bytes = unsafe { core::slice::from_raw_parts_mut(START, LEN) };
        bytes.fill(0xFF);
        Self(bytes)
    }

    /// The bytes of a range.
    pub(crate) fn bytes(&self, range: &Range<u32>) -> Option<&[u8]> {
        self.0.get(range.start as usize..range.end as usize)
    }

    /// The bytes of a range, never to be written again.
    pub(crate) fn into_bytes(self, range: &Range<u32>) -> Option<&'static [u8]> {
        self.0.get(range.start as usize..range.end as usize)
    }
}

impl ErrorType for Psram {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Psram {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Psram {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4 << 10;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.0[from as usize..to as usize].fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.0[offset as usize..][..bytes.len()].iter_mut().zip(bytes).for_each(|(to, from)| *to &= from);
        Ok(())
    }
}
