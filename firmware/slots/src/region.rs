//! A part of a flash as a flash of its own.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// The bytes `start .. start + len` of a flash, which begin at 0 here.
#[derive(Debug)]
pub struct Region<F> {
    flash: F,
    start: u32,
    len: u32,
}

/// Why an access failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionError<E> {
    /// It is not within the region.
    OutOfBounds,
    /// The flash failed.
    Flash(E),
}

impl<E: NorFlashError> NorFlashError for RegionError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Flash(error) => error.kind(),
        }
    }
}

impl<F: NorFlash> Region<F> {
    /// A region of whole sectors. `None` if it is not of whole sectors, or not within the flash.
    pub fn new(flash: F, start: u32, len: u32) -> Option<Self> {
        let sector = u32::try_from(F::ERASE_SIZE).ok()?;
        let end = usize::try_from(start.checked_add(len)?).ok()?;
        let whole = start.is_multiple_of(sector) && len.is_multiple_of(sector);
        (whole && end <= flash.capacity()).then_some(Self { flash, start, len })
    }

    /// Where `len` bytes from `offset` on are in the whole flash.
    fn place(&self, offset: u32, len: usize) -> Result<u32, RegionError<F::Error>> {
        let end = u32::try_from(len).ok().and_then(|len| offset.checked_add(len));
        match end {
            Some(end) if end <= self.len => Ok(self.start.saturating_add(offset)),
            _ => Err(RegionError::OutOfBounds),
        }
    }
}

impl<F: ErrorType> ErrorType for Region<F> {
    type Error = RegionError<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for Region<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let place = self.place(offset, bytes.len())?;
        self.flash.read(place, bytes).map_err(RegionError::Flash)
    }

    fn capacity(&self) -> usize {
        self.len as usize
    }
}

impl<F: NorFlash> NorFlash for Region<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let len = to.checked_sub(from).ok_or(RegionError::OutOfBounds)?;
        let place = self.place(from, len as usize)?;
        self.flash.erase(place, place.saturating_add(len)).map_err(RegionError::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let place = self.place(offset, bytes.len())?;
        self.flash.write(place, bytes).map_err(RegionError::Flash)
    }
}
