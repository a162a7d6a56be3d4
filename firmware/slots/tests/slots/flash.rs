//! NOR flash in RAM that holds a program to the rules of flash, and whose power can be cut.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Why the flash refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlashError {
    /// Power is off.
    PowerLost,
    /// A word was written that is not erased.
    NotErased(u32),
    /// Bounds or alignment.
    Misused(NorFlashErrorKind),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Misused(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// What happens to the word or sector on which power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Before,
    /// Some of its bits change.
    Within,
    /// All of it, but the program does not hear of it.
    After,
}

pub(crate) const CUTS: [Cut; 3] = [Cut::Before, Cut::Within, Cut::After];

/// Flash with words of `WORD` bytes and sectors of `SECTOR`.
#[derive(Debug, Clone)]
pub(crate) struct RamFlash<const WORD: usize, const SECTOR: usize> {
    pub(crate) bytes: Vec<u8>,
    /// Words that were written since they were erased, whatever was written: error correction forbids a second time.
    written: Vec<bool>,
    /// Words and sectors that may still be changed; then power fails in this manner.
    fuse: Option<(u32, Cut)>,
    /// Words and sectors that were changed.
    pub(crate) changes: u32,
    off: bool,
    seed: u32,
}

impl<const WORD: usize, const SECTOR: usize> RamFlash<WORD, SECTOR> {
    pub(crate) fn new(sectors: usize) -> Self {
        let len = sectors * SECTOR;
        let (bytes, written) = (vec![0xFF; len], vec![false; len / WORD]);
        Self { bytes, written, fuse: None, changes: 0, off: false, seed: 1 }
    }

    /// Cuts power at the change after the next `changes`.
    pub(crate) fn cut_after(&mut self, changes: u32, cut: Cut) {
        self.fuse = Some((changes, cut));
    }

    /// Turns it on again, and counts from 0.
    pub(crate) fn restore(&mut self) {
        (self.fuse, self.off, self.changes) = (None, false, 0);
    }

    fn random(&mut self) -> u8 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.seed >> 24) as u8
    }

    /// Changes `len` bytes at `at` with `change`, which is given a byte and its index, as far as there is power.
    fn change(&mut self, at: usize, len: usize, change: impl Fn(u8, usize) -> u8) -> Result<(), FlashError> {
        let cut = match &mut self.fuse {
            Some((0, cut)) => Some(*cut),
            Some((changes, _)) => {
                *changes -= 1;
                None
            }
            None => None,
        };
        self.changes += 1;
        if cut != Some(Cut::Before) {
            for index in 0..len {
                let (old, new) = (self.bytes[at + index], change(self.bytes[at + index], index));
                // Within: each bit that changes does so with a chance of one half.
                let mask = if cut == Some(Cut::Within) { self.random() } else { 0xFF };
                self.bytes[at + index] = old ^ ((old ^ new) & mask);
            }
        }
        self.off = cut.is_some();
        if self.off { Err(FlashError::PowerLost) } else { Ok(()) }
    }
}

impl<const WORD: usize, const SECTOR: usize> ErrorType for RamFlash<WORD, SECTOR> {
    type Error = FlashError;
}

impl<const WORD: usize, const SECTOR: usize> ReadNorFlash for RamFlash<WORD, SECTOR> {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len()).map_err(FlashError::Misused)?;
        if self.off {
            return Err(FlashError::PowerLost);
        }
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WORD: usize, const SECTOR: usize> NorFlash for RamFlash<WORD, SECTOR> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError::Misused)?;
        for sector in (from as usize..to as usize).step_by(SECTOR) {
            if self.off {
                return Err(FlashError::PowerLost);
            }
            let done = self.change(sector, SECTOR, |_, _| 0xFF);
            let words = &mut self.written[sector / WORD..][..SECTOR / WORD];
            match done {
                Ok(()) => words.fill(false),
                // What half an erasure leaves must be erased again.
                Err(_) => words.fill(true),
            }
            done?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError::Misused)?;
        for (index, word) in bytes.chunks(WORD).enumerate() {
            if self.off {
                return Err(FlashError::PowerLost);
            }
            let at = offset as usize + index * WORD;
            if std::mem::replace(&mut self.written[at / WORD], true) {
                return Err(FlashError::NotErased(at as u32));
            }
            let done = self.change(at, WORD, |old, index| old & word[index]);
            if done.is_err() {
                // No program can tell a word that was hardly touched from one that was not.
                self.written[at / WORD] = self.bytes[at..at + WORD].iter().any(|&byte| byte != 0xFF);
            }
            done?;
        }
        Ok(())
    }
}
