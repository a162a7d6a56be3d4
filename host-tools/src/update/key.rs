//! Keys as files: the private one as PKCS #8 in PEM, as OpenSSL has them, the public one as 64 hexadecimal digits.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};

/// A new key, from the system's random numbers.
///
/// # Errors
/// If the system has none.
pub fn generate() -> Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Writes the private key; only its owner may read it. An earlier file is never replaced: models that a device trusts
/// could no longer be signed.
///
/// # Errors
/// If the file exists or cannot be written.
pub fn write_private(path: &Path, key: &SigningKey) -> Result<()> {
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| anyhow!("the key cannot be encoded: {error}"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(pem.as_bytes()));
    written.with_context(|| format!("cannot write the private key to {}", path.display()))
}

/// Reads a private key.
///
/// # Errors
/// If there is none in the file.
pub fn read_private(path: &Path) -> Result<SigningKey> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the private key {}", path.display()))?;
    SigningKey::from_pkcs8_pem(&text)
        .map_err(|_| anyhow!("{}: no Ed25519 private key in PEM: make one with `teff keygen`", path.display()))
}

/// The public key as text.
pub fn public_text(key: &SigningKey) -> String {
    key.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The public key of such text.
///
/// # Errors
/// If it is none.
pub fn parse_public(text: &str) -> Result<[u8; 32]> {
    let digits = text.trim();
    let mut key = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        bail!("a public key is 64 hexadecimal digits");
    }
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).context("a public key is 64 hexadecimal digits")?;
    }
    Ok(key)
}

/// Reads a public key.
///
/// # Errors
/// If there is none in the file.
pub fn read_public(path: &Path) -> Result<[u8; 32]> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the public key {}", path.display()))?;
    parse_public(&text).with_context(|| format!("{}: no public key, as `teff keygen` writes them", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let key = generate().unwrap();
        write_private(&path, &key).unwrap();
        assert_eq!(read_private(&path).unwrap().to_bytes(), key.to_bytes());
        assert!(write_private(&path, &generate().unwrap()).is_err(), "a key is never replaced");
        assert_eq!(parse_public(&public_text(&key)).unwrap(), key.verifying_key().to_bytes());
        assert!(parse_public("00").is_err() && parse_public(&"g0".repeat(32)).is_err());
        fs::write(&path, "no key").unwrap();
        assert!(format!("{:#}", read_private(&path).unwrap_err()).contains("teff keygen"));
    }

    #[test]
    fn keys_are_those_of_openssl() {
        // openssl genpkey -algorithm ed25519; openssl pkey -pubout -outform DER | tail -c 32 | xxd -p
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        fs::write(&path, pem).unwrap();
        // The first test vector of RFC 8032, section 7.1.
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(public_text(&read_private(&path).unwrap()), public);
    }
}
