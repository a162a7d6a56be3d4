//! Model updates in the field: two slots in flash, of which one always holds a model that works.
//!
//! A *signed model* is a [`Header`] and the bytes of a `.teff` file. The header says version, length, CRC-32 and SHA-512 of
//! the file, and an Ed25519 signature of all that. A [`Store`] keeps two of them in NOR flash:
//!
//! 1. An update goes to the slot that is not active. Its header comes first, so that nothing is erased for a file that the
//!    key's owner did not sign, that is older than what ran before, or that does not fit.
//! 2. When all bytes are there and hash to what the header says, and the firmware's judge (verification and self-test of
//!    the model) agrees, one mark is written: from that write on the new model is the one to start.
//! 3. The next start tries it: the attempt is marked before the model is judged again and confirmed after. A model that
//!    is rejected, or that did not survive [`ATTEMPTS`] attempts, is never tried again, and the old one starts.
//! 4. Once confirmed, its version is the lowest that is ever accepted again: a counter of its own, which survives
//!    whatever happens to the slots.
//!
//! Every step is a write of words that are erased, or an erasure of what is not needed: power may fail at any of them.
//! `tests/slots/power_cuts.rs` cuts it at every one of them, also within a word and within an erasure, and again during the
//! recovery.
//!
//! | module | what it is |
//! |---|---|
//! | [`header`] | the signed header |
//! | [`store`] | slots, marks, start and update |
//! | [`Region`] | the part of a flash that the slots have |
//! | [`wire`] | requests and responses of the protocol |
//! | [`server`] | the device's side of it |
//! | [`Tap`] | an application's line, on which it may begin |
//!
//! Who can write to the flash directly, with a debug probe, is not kept out by this: that is what the processor's read-out
//! and write protection are for.
#![no_std]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(test)]
extern crate std;

pub mod header;
mod layout;
mod marks;
mod region;
mod rollback;
pub mod server;
pub mod store;
mod tap;
pub mod wire;

pub use header::{Header, HeaderError};
pub use marks::ATTEMPTS;
pub use region::{Region, RegionError};
pub use server::{Served, Server};
pub use store::{Begun, Installed, Slot, Store, StoreError, UpdateError};
pub use tap::{Heard, Tap, TapError};
