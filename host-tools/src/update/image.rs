//! The model slots of a board as bytes, for a program that writes them past the firmware.

use anyhow::{Context, Result, anyhow, bail};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use teff_slots::{Installed, Store, UpdateError};

use super::split;

/// Where a board keeps its models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Address of the first byte.
    pub address: u32,
    /// Bytes, in whole sectors.
    pub len: u32,
    /// Bytes that are erased at once: 4096 or 131,072.
    pub sector: u32,
}

/// All bytes of `slots` after an update of empty slots with `signed`, a signed model: the firmware finds them as if
/// it had received the model itself, and tries it at its next start.
///
/// The counter of versions is empty in it: who can write to the flash past the firmware can install any version.
///
/// # Errors
/// If `signed` is no signed model, `key` did not sign it, or it does not fit.
pub fn image(signed: &[u8], key: &[u8; 32], slots: Slots) -> Result<Vec<u8>> {
    match slots.sector {
        4096 => fill::<4096>(signed, key, slots.len),
        131_072 => fill::<131_072>(signed, key, slots.len),
        sector => bail!("no flash with sectors of {sector} bytes is known"),
    }
}

fn fill<const SECTOR: usize>(signed: &[u8], key: &[u8; 32], len: u32) -> Result<Vec<u8>> {
    let (header, model) = split(signed)?;
    let works = |_: &mut Ram<SECTOR>, _: &Installed| true;
    let flash = Ram::<SECTOR>::erased(len as usize);
    let mut store = Store::open(flash, key, works).map_err(|error| anyhow!("{error}"))?;
    store.begin(&header).map_err(refused).context("the board would refuse the model")?;
    store.write(0, model).map_err(refused)?;
    store.finish(works).map_err(refused)?;
    Ok(store.into_flash().0)
}

fn refused(error: UpdateError<NorFlashErrorKind>) -> anyhow::Error {
    match error {
        UpdateError::Header(error) => anyhow!("{error}"),
        UpdateError::TooLong { capacity } => anyhow!("a model may have {capacity} bytes there"),
        other => anyhow!("{other:?}"),
    }
}

/// Flash in RAM, of which `SECTOR` bytes are erased at once. How much is written at once does not show in it: what is not written is
/// erased.
#[derive(Debug, Clone)]
pub struct Ram<const SECTOR: usize>(Vec<u8>);

impl<const SECTOR: usize> Ram<SECTOR> {
    /// `len` bytes, all erased.
    pub fn erased(len: usize) -> Self {
        Self(vec![0xFF; len])
    }
}

impl<const SECTOR: usize> ErrorType for Ram<SECTOR> {
    type Error = NorFlashErrorKind;
}

impl<const SECTOR: usize> ReadNorFlash for Ram<SECTOR> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl<const SECTOR: usize> NorFlash for Ram<SECTOR> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR;

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

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::update::sign;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn public(seed: u8) -> [u8; 32] {
        key(seed).verifying_key().to_bytes()
    }

    fn model() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/lightcnn-mnist/model.teff");
        std::fs::read(path).expect("the shipped model")
    }

    /// What the board's own store, with words as large as any, finds in an image.
    #[test]
    fn the_board_finds_the_model_and_confirms_it() {
        let signed = sign(&model(), 3, &key(1)).unwrap();
        for (len, sector) in [(512 << 10, 4096), (768 << 10, 131_072)] {
            let image = image(&signed, &public(1), Slots { address: 0, len, sector }).unwrap();
            assert_eq!(image.len(), len as usize);
            let found = match sector {
                4096 => started::<4096>(image),
                _ => started::<131_072>(image),
            };
            assert_eq!(found, (3, model()));
        }
    }

    fn started<const SECTOR: usize>(image: Vec<u8>) -> (u32, Vec<u8>) {
        let store = Store::open(Ram::<SECTOR>(image), &public(1), |_, _| true).unwrap();
        let active = store.active().expect("a model").clone();
        let bytes = store.into_flash().0[active.range.start as usize..active.range.end as usize].to_vec();
        assert!(active.range.start.is_multiple_of(16), "models are read in place");
        (active.version, bytes)
    }

    #[test]
    fn a_model_of_another_key_or_too_long_is_refused() {
        let signed = sign(&model(), 3, &key(1)).unwrap();
        let why = |key, len| {
            let slots = Slots { address: 0, len, sector: 4096 };
            format!("{:#}", image(&signed, &public(key), slots).unwrap_err())
        };
        assert!(why(2, 512 << 10).contains("signature"), "{}", why(2, 512 << 10));
        assert!(why(1, 32 << 10).contains("bytes"), "{}", why(1, 32 << 10));
        assert!(image(&model(), &public(1), Slots { address: 0, len: 512 << 10, sector: 4096 }).is_err());
    }
}
