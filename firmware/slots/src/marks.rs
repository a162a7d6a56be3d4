//! Marks behind a header: each is written once, from all ones to all zeros.

use embedded_storage::nor_flash::NorFlash;

use crate::header::STORED;

/// How often a new model is tried before it is given up.
pub const ATTEMPTS: usize = 3;

/// Bytes of a mark: at least as many as a flash can write at once.
pub(crate) const MARK: usize = 32;
/// Number of marks of a slot.
pub(crate) const MARKS: usize = 2 + 2 * ATTEMPTS;

/// What is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The model is whole and judged good: it is the one to start.
    Complete,
    /// It is never to be started.
    Rejected,
    /// Attempt `n` to start it begins.
    Tried(usize),
    /// Attempt `n` succeeded.
    Confirmed(usize),
}

/// What the flash says of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not written.
    Erased,
    /// Written.
    Set,
    /// Power failed while it was written.
    Torn,
}

impl Mark {
    /// From the start of the header.
    const fn offset(self) -> usize {
        let index = match self {
            Self::Complete => 0,
            Self::Rejected => 1,
            Self::Tried(attempt) => 2 + 2 * attempt,
            Self::Confirmed(attempt) => 3 + 2 * attempt,
        };
        STORED + index * MARK
    }

    /// Reads it from the header at `header`.
    pub(crate) fn read<F: NorFlash>(self, flash: &mut F, header: u32) -> Result<State, F::Error> {
        let mut bytes = [0; MARK];
        flash.read(header + self.offset() as u32, &mut bytes)?;
        Ok(match bytes {
            bytes if bytes == [0xFF; MARK] => State::Erased,
            bytes if bytes == [0; MARK] => State::Set,
            _ => State::Torn,
        })
    }

    /// Writes it, which can be done once.
    pub(crate) fn set<F: NorFlash>(self, flash: &mut F, header: u32) -> Result<(), F::Error> {
        flash.write(header + self.offset() as u32, &[0; MARK])
    }

    /// All marks.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let attempts = (0..ATTEMPTS).flat_map(|attempt| [Self::Tried(attempt), Self::Confirmed(attempt)]);
        [Self::Complete, Self::Rejected].into_iter().chain(attempts)
    }
}
