//! The header of a signed model.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};
use teff::crc32;

/// Bytes of a header in a file and on the wire; in flash it is padded to whole words.
pub const LEN: usize = 152;
/// Bytes of a header in flash.
pub(crate) const STORED: usize = 160;
/// Bytes that are signed: all before the signature.
const SIGNED: usize = 84;

const MAGIC: [u8; 4] = *b"TFSL";
const FORMAT: u32 = 1;

/// What a slot holds, signed.
///
/// | offset | bytes | what |
/// |---|---|---|
/// | 0 | 4 | `TFSL` |
/// | 4 | 4 | 1, the version of this format |
/// | 8 | 4 | version of the model, above 0 |
/// | 12 | 4 | bytes of the model |
/// | 16 | 4 | CRC-32 of the model |
/// | 20 | 64 | SHA-512 of the model |
/// | 84 | 64 | Ed25519 signature of the bytes 0 to 83 |
/// | 148 | 4 | CRC-32 of the bytes 0 to 147 |
///
/// Integers are little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Counts up with each release of a model; 0 is none.
    pub version: u32,
    /// Bytes of the model.
    pub len: u32,
    /// CRC-32 of the model.
    pub crc: u32,
    /// SHA-512 of the model.
    pub digest: [u8; 64],
    /// Ed25519 signature.
    pub signature: [u8; 64],
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// They are no header, or damaged.
    Damaged,
    /// A later format.
    Format(u32),
    /// The key did not sign it.
    Signature,
}

impl core::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Damaged => f.write_str("no header of a signed model, or damaged"),
            Self::Format(format) => write!(f, "a signed model of format {format}, of which only 1 is known"),
            Self::Signature => f.write_str("the signature is not by this key"),
        }
    }
}

impl core::error::Error for HeaderError {}

impl Header {
    /// The header of `model`, signed.
    pub fn sign(model: &[u8], version: u32, key: &SigningKey) -> Self {
        let len = u32::try_from(model.len()).unwrap_or(u32::MAX);
        let digest = Sha512::digest(model).into();
        let mut header = Self { version, len, crc: crc32(model), digest, signature: [0; 64] };
        header.signature = key.sign(&header.signed()).to_bytes();
        header
    }

    /// The bytes of a header.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        write(&mut bytes, &[&self.signed(), &self.signature]);
        let crc = crc32(bytes.get(..LEN - 4).unwrap_or_default());
        write(bytes.get_mut(LEN - 4..).unwrap_or_default(), &[&crc.to_le_bytes()]);
        bytes
    }

    /// The header that `bytes` begin with; its signature is not checked.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut rest = bytes.get(..LEN).ok_or(HeaderError::Damaged)?;
        let body = bytes.get(..LEN - 4).ok_or(HeaderError::Damaged)?;
        let magic: [u8; 4] = take(&mut rest)?;
        let format = word(&mut rest)?;
        let header = Self {
            version: word(&mut rest)?,
            len: word(&mut rest)?,
            crc: word(&mut rest)?,
            digest: take(&mut rest)?,
            signature: take(&mut rest)?,
        };
        if magic != MAGIC || word(&mut rest)? != crc32(body) || header.version == 0 {
            return Err(HeaderError::Damaged);
        }
        if format == FORMAT { Ok(header) } else { Err(HeaderError::Format(format)) }
    }

    /// Whether `key` signed this header.
    ///
    /// # Errors
    /// If it did not.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), HeaderError> {
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(&self.signed(), &signature).map_err(|_| HeaderError::Signature)
    }

    fn signed(&self) -> [u8; SIGNED] {
        let mut bytes = [0; SIGNED];
        let words = [FORMAT, self.version, self.len, self.crc].map(u32::to_le_bytes);
        write(&mut bytes, &[&MAGIC, words.as_flattened(), &self.digest]);
        bytes
    }
}

/// Writes `parts` one after another.
fn write(to: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().copied().flatten();
    to.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], HeaderError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(HeaderError::Damaged)?;
    *rest = tail;
    Ok(*head)
}

fn word(rest: &mut &[u8]) -> Result<u32, HeaderError> {
    take(rest).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_its_bytes_and_every_flipped_bit_is_noticed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let header = Header::sign(b"a model", 3, &key);
        let bytes = header.to_bytes();
        assert_eq!(Header::parse(&bytes), Ok(header.clone()));
        assert_eq!(header.verify(&key.verifying_key()), Ok(()));
        for bit in 0..8 * LEN {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&damaged), Err(HeaderError::Damaged), "bit {bit}");
        }
        assert_eq!(Header::parse(&bytes[1..]), Err(HeaderError::Damaged));
    }

    #[test]
    fn every_field_is_signed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let header = Header::sign(b"a model", 3, &key);
        let changes: [fn(&mut Header); 5] =
            [|h| h.version += 1, |h| h.len += 1, |h| h.crc ^= 1, |h| h.digest[63] ^= 1, |h| h.signature[0] ^= 1];
        for change in changes {
            let mut changed = header.clone();
            change(&mut changed);
            assert_eq!(changed.verify(&key.verifying_key()), Err(HeaderError::Signature));
        }
        let other = SigningKey::from_bytes(&[8; 32]);
        assert_eq!(header.verify(&other.verifying_key()), Err(HeaderError::Signature));
    }
}
