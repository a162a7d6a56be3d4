//! Two slots in flash, of which one always holds a model that works.

use core::fmt::{self, Debug, Display};
use core::ops::Range;

use ed25519_dalek::VerifyingKey;
use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest, Sha512};
use teff::Crc32;

use crate::header::{self, Header, HeaderError};
use crate::layout::Layout;
use crate::marks::{ATTEMPTS, MARK, Mark, State};
use crate::rollback;

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    A = 0,
    /// The second.
    B = 1,
}

impl Slot {
    const BOTH: [Self; 2] = [Self::A, Self::B];

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// The model that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Where it is.
    pub slot: Slot,
    /// Its version.
    pub version: u32,
    /// Its bytes, from the start of the flash.
    pub range: Range<u32>,
}

/// Whether an update begins or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// From its first byte.
    Fresh,
    /// The slot holds part of this very update; [`Store::prefix_crc`] tells how much of it is good.
    Resumed,
}

/// Why there is no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError<E> {
    /// The flash is too small for two slots.
    TooSmall,
    /// The key is no Ed25519 public key.
    Key,
    /// The flash failed.
    Flash(E),
}

impl<E> From<E> for StoreError<E> {
    fn from(error: E) -> Self {
        Self::Flash(error)
    }
}

impl<E: Debug> Display for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall => f.write_str("the flash is too small for two slots"),
            Self::Key => f.write_str("no Ed25519 public key"),
            Self::Flash(error) => write!(f, "the flash failed: {error:?}"),
        }
    }
}

impl<E: Debug> core::error::Error for StoreError<E> {}

/// Why an update is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError<E> {
    /// Bad header or signature.
    Header(HeaderError),
    /// Its version is not above the highest that was ever confirmed.
    Rollback {
        /// That version.
        confirmed: u32,
    },
    /// It does not fit the slot.
    TooLong {
        /// Bytes that the slot has.
        capacity: u32,
    },
    /// No update was begun.
    NotBegun,
    /// The bytes do not follow those before, nor begin a sector.
    Offset {
        /// What is expected.
        next: u32,
    },
    /// Not all bytes are there, or they are not those that were signed.
    Digest,
    /// The model does not work on this device.
    Judged,
    /// The flash failed.
    Flash(E),
}

impl<E> From<E> for UpdateError<E> {
    fn from(error: E) -> Self {
        Self::Flash(error)
    }
}

/// An update that is being received.
#[derive(Debug)]
struct Update {
    slot: Slot,
    header: Header,
    /// Bytes from the first that are written.
    next: u32,
}

/// Two slots in a NOR flash.
#[derive(Debug)]
pub struct Store<F: NorFlash> {
    flash: F,
    key: VerifyingKey,
    layout: Layout<F>,
    active: Option<Installed>,
    confirmed: u32,
    update: Option<Update>,
}

/// Bytes that are read at once.
const CHUNK: usize = 256;

impl<F: NorFlash> Store<F> {
    /// Opens the store and selects the model to run, as [`Store::select`] does.
    ///
    /// `key` is the Ed25519 public key of those who may sign models.
    ///
    /// # Errors
    /// If the flash is too small or fails, or the key is none.
    pub fn open(
        flash: F,
        key: &[u8; 32],
        judge: impl FnMut(&mut F, &Installed) -> bool,
    ) -> Result<Self, StoreError<F::Error>> {
        let key = VerifyingKey::from_bytes(key).map_err(|_| StoreError::Key)?;
        let layout = Layout::new(&flash).ok_or(StoreError::TooSmall)?;
        let mut store = Self { flash, key, layout, active: None, confirmed: 0, update: None };
        store.select(judge)?;
        Ok(store)
    }

    /// Selects the model to run: the newest that was confirmed, or that is confirmed now because `judge` finds that it
    /// works. `None` if there is none: the firmware may have one of its own.
    ///
    /// `judge` verifies the model and runs its self-test; before it is asked, the bytes are known to be those that were
    /// signed (of a model confirmed before, only the CRC is computed again).
    ///
    /// # Errors
    /// If the flash fails.
    pub fn select(
        &mut self,
        mut judge: impl FnMut(&mut F, &Installed) -> bool,
    ) -> Result<Option<&Installed>, F::Error> {
        (self.active, self.update) = (None, None);
        self.confirmed = rollback::read(&mut self.flash, &self.layout)?;
        let [a, b] = Slot::BOTH.map(|slot| self.candidate(slot));
        let (a, b) = (a?, b?);
        let newest_first = match (a, b) {
            (Some(a), Some(b)) if a.1.version < b.1.version => [Some(b), Some(a)],
            pair => pair.into(),
        };
        for (slot, header) in newest_first.into_iter().flatten() {
            let range = self.layout.model(slot);
            let range = range.start..range.start.saturating_add(header.len);
            let installed = Installed { slot, version: header.version, range };
            if self.starts(&header, &installed, &mut judge)? {
                if self.confirmed < header.version {
                    rollback::raise(&mut self.flash, &self.layout, header.version)?;
                    self.confirmed = header.version;
                }
                self.active = Some(installed);
                break;
            }
        }
        Ok(self.active.as_ref())
    }

    /// The header of a slot that is complete and not rejected.
    fn candidate(&mut self, slot: Slot) -> Result<Option<(Slot, Header)>, F::Error> {
        let place = self.layout.header(slot).start;
        let complete = Mark::Complete.read(&mut self.flash, place)? == State::Set;
        if !complete || Mark::Rejected.read(&mut self.flash, place)? != State::Erased {
            return Ok(None);
        }
        let header = self.header(slot)?;
        Ok(header.filter(|header| header.len <= self.capacity()).map(|header| (slot, header)))
    }

    fn header(&mut self, slot: Slot) -> Result<Option<Header>, F::Error> {
        let mut bytes = [0; header::STORED];
        self.flash.read(self.layout.header(slot).start, &mut bytes)?;
        Ok(Header::parse(&bytes).ok())
    }

    /// Whether the model works; if it is new, the attempt and its outcome are marked.
    fn starts(
        &mut self,
        header: &Header,
        installed: &Installed,
        judge: &mut impl FnMut(&mut F, &Installed) -> bool,
    ) -> Result<bool, F::Error> {
        let place = self.layout.header(installed.slot).start;
        let mut attempt = None;
        for n in (0..ATTEMPTS).rev() {
            let confirmed = Mark::Confirmed(n).read(&mut self.flash, place)?;
            if confirmed == State::Set {
                return Ok(self.crc(installed.range.clone())? == header.crc && judge(&mut self.flash, installed));
            }
            if confirmed == State::Erased && Mark::Tried(n).read(&mut self.flash, place)? == State::Erased {
                attempt = Some(n);
            }
        }
        let Some(attempt) = attempt else {
            Mark::Rejected.set(&mut self.flash, place)?;
            return Ok(false);
        };
        Mark::Tried(attempt).set(&mut self.flash, place)?;
        let genuine = header.version >= self.confirmed
            && header.verify(&self.key).is_ok()
            && self.digest(installed.range.clone())? == header.digest;
        let good = genuine && judge(&mut self.flash, installed);
        let outcome = if good { Mark::Confirmed(attempt) } else { Mark::Rejected };
        outcome.set(&mut self.flash, place)?;
        Ok(good)
    }

    /// The model that was selected.
    pub fn active(&self) -> Option<&Installed> {
        self.active.as_ref()
    }

    /// The highest version that was ever confirmed; 0 if none was. An update must be above it.
    pub fn confirmed(&self) -> u32 {
        self.confirmed
    }

    /// Bytes that a model may have.
    pub fn capacity(&self) -> u32 {
        let range = self.layout.model(Slot::A);
        range.end.saturating_sub(range.start)
    }

    /// Begins an update, or goes on with one that was begun before: see [`Begun`].
    ///
    /// Nothing is erased unless the header is signed, newer than what was confirmed, and its model fits.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn begin(&mut self, header: &Header) -> Result<Begun, UpdateError<F::Error>> {
        self.update = None;
        header.verify(&self.key).map_err(UpdateError::Header)?;
        if header.version <= self.confirmed {
            return Err(UpdateError::Rollback { confirmed: self.confirmed });
        }
        if header.len > self.capacity() {
            return Err(UpdateError::TooLong { capacity: self.capacity() });
        }
        let slot = self.active.as_ref().map_or(Slot::A, |active| active.slot.other());
        let resumed = self.header(slot)?.as_ref() == Some(header) && self.unmarked(slot)?;
        if !resumed {
            let place = self.layout.header(slot);
            self.flash.erase(place.start, place.end)?;
            let mut bytes = [0xFF; header::STORED];
            bytes.iter_mut().zip(header.to_bytes()).for_each(|(to, from)| *to = from);
            self.flash.write(place.start, &bytes)?;
        }
        self.update = Some(Update { slot, header: header.clone(), next: 0 });
        Ok(if resumed { Begun::Resumed } else { Begun::Fresh })
    }

    /// Whether no mark of the slot was ever written, so that all still can be.
    fn unmarked(&mut self, slot: Slot) -> Result<bool, F::Error> {
        let place = self.layout.header(slot).start;
        for mark in Mark::all() {
            if mark.read(&mut self.flash, place)? != State::Erased {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// CRC-32 of the first `len` bytes in the slot that is being updated.
    ///
    /// # Errors
    /// If no update was begun, or the flash fails.
    pub fn prefix_crc(&mut self, len: u32) -> Result<u32, UpdateError<F::Error>> {
        let update = self.update.as_ref().ok_or(UpdateError::NotBegun)?;
        let start = self.layout.model(update.slot).start;
        let len = len.min(self.capacity());
        Ok(self.crc(start..start.saturating_add(len))?)
    }

    /// Writes bytes of the model; gives the offset of the next.
    ///
    /// They follow the last ones, or begin at any multiple of the flash's erase size: at the place from which a sender
    /// goes on, or again from the start. Except at the end they are a multiple of 32.
    ///
    /// # Errors
    /// If they are at the wrong place or too many, no update was begun, or the flash fails.
    pub fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, UpdateError<F::Error>> {
        let erase = F::ERASE_SIZE as u32;
        let update = self.update.as_mut().ok_or(UpdateError::NotBegun)?;
        let place = self.layout.model(update.slot);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let end = offset.saturating_add(len);
        let next = update.next;
        let whole = bytes.len().is_multiple_of(MARK) || end == update.header.len;
        if (offset != next && !offset.is_multiple_of(erase)) || end > update.header.len || !whole {
            return Err(UpdateError::Offset { next });
        }
        // Until all is written nothing of it counts: an error leaves it to the sender to begin a sector again.
        update.next = 0;
        let mut at = offset;
        for word in bytes.chunks(MARK) {
            let target = place.start.saturating_add(at);
            if at.is_multiple_of(erase) {
                self.flash.erase(target, target.saturating_add(erase))?;
            }
            self.write_word(target, word)?;
            at = at.saturating_add(word.len() as u32);
        }
        if let Some(update) = &mut self.update {
            update.next = at;
        }
        Ok(at)
    }

    /// Writes up to 32 bytes; the last unit of writing is filled with ones.
    fn write_word(&mut self, target: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let mut word = [0xFF; MARK];
        word.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
        let padded = word.get(..bytes.len().next_multiple_of(F::WRITE_SIZE)).unwrap_or(&word);
        self.flash.write(target, padded)
    }

    /// Ends the update: if all bytes are there, are those that were signed, and `judge` finds that the model works, it
    /// is the one to be selected from now on.
    ///
    /// # Errors
    /// Why it is not.
    pub fn finish(
        &mut self,
        judge: impl FnOnce(&mut F, &Installed) -> bool,
    ) -> Result<Installed, UpdateError<F::Error>> {
        let update = self.update.as_ref().ok_or(UpdateError::NotBegun)?;
        let (slot, version, len, digest) =
            (update.slot, update.header.version, update.header.len, update.header.digest);
        let start = self.layout.model(slot).start;
        let installed = Installed { slot, version, range: start..start.saturating_add(len) };
        if self.digest(installed.range.clone())? != digest {
            return Err(UpdateError::Digest);
        }
        if !judge(&mut self.flash, &installed) {
            return Err(UpdateError::Judged);
        }
        // The switch: before this write the old model is selected, after it the new one.
        Mark::Complete.set(&mut self.flash, self.layout.header(slot).start)?;
        self.update = None;
        Ok(installed)
    }

    /// The flash, back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn crc(&mut self, range: Range<u32>) -> Result<u32, F::Error> {
        let mut crc = Crc32::new();
        self.each(range, |bytes| crc.update(bytes))?;
        Ok(crc.finish())
    }

    fn digest(&mut self, range: Range<u32>) -> Result<[u8; 64], F::Error> {
        let mut hash = Sha512::new();
        self.each(range, |bytes| hash.update(bytes))?;
        Ok(hash.finalize().into())
    }

    /// Reads a range that begins at a multiple of the units of the flash, piece by piece.
    fn each(&mut self, range: Range<u32>, mut take: impl FnMut(&[u8])) -> Result<(), F::Error> {
        let mut buffer = [0; CHUNK];
        let mut at = range.start;
        while at < range.end {
            let len = (range.end.saturating_sub(at) as usize).min(CHUNK);
            if let Some(bytes) = buffer.get_mut(..len.next_multiple_of(F::READ_SIZE).min(CHUNK)) {
                self.flash.read(at, bytes)?;
                take(bytes.get(..len).unwrap_or_default());
            }
            at = at.saturating_add(len as u32);
        }
        Ok(())
    }
}
