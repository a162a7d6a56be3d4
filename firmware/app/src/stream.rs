//! Reading from streams that give few bytes at a time.

use embedded_io::Read;

/// Fills `bytes`; gives how many there were, which is fewer only where the stream has ended.
///
/// # Errors
/// Those of the stream.
pub(crate) fn fill<R: Read>(stream: &mut R, bytes: &mut [u8]) -> Result<usize, R::Error> {
    let mut filled = 0_usize;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest)? {
            0 => break,
            count => filled = filled.saturating_add(count),
        }
    }
    Ok(filled)
}
