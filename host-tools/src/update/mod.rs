//! Model updates in the field, from the PC's side: keys, signed models, the sender of the protocol of
//! `teff-slots`, and the bytes that it leaves in a flash.

mod image;
pub mod key;
mod push;

pub use image::{Ram, Slots, image};
pub use push::{Pushed, push};

use anyhow::{Context, Result, bail, ensure};
use ed25519_dalek::SigningKey;
use teff_slots::header::{self, Header};

use crate::aligned::AlignedBytes;

/// The bytes of a signed model: its header and the model.
///
/// # Errors
/// If the model does not verify: a device would refuse it after it was sent.
pub fn sign(model: &[u8], version: u32, key: &SigningKey) -> Result<Vec<u8>> {
    ensure!(version > 0, "versions begin at 1");
    teff::Model::verify(&AlignedBytes::from(model)).context("the model does not verify")?;
    let header = Header::sign(model, version, key);
    Ok([&header.to_bytes(), model].concat())
}

/// The header and the model of a signed model.
///
/// # Errors
/// If the bytes are none, or damaged.
pub fn split(signed: &[u8]) -> Result<(Header, &[u8])> {
    let header = Header::parse(signed)?;
    let Some(model) = signed.get(header::LEN..) else { bail!("the file ends within its header") };
    ensure!(model.len() == header.len as usize, "the file holds {} bytes of {}", model.len(), header.len);
    ensure!(teff::crc32(model) == header.crc, "the model in the file is damaged");
    Ok((header, model))
}

/// Whether a file begins as a signed model does.
pub fn is_signed(bytes: &[u8]) -> bool {
    bytes.starts_with(b"TFSL")
}
