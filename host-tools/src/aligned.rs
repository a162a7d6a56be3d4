//! Bytes on the heap, aligned as the runtime wants model files and session memory.

use std::ops::{Deref, DerefMut};

use zerocopy::IntoBytes;

/// A byte buffer that starts at a multiple of 16.
#[derive(Clone, Default)]
pub struct AlignedBytes {
    // The alignment of u128 is 16 on every host: checked below.
    words: Vec<u128>,
    len: usize,
}

const _: () = assert!(align_of::<u128>() == 16);

impl AlignedBytes {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(16)], len }
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.copy_from_slice(bytes);
        aligned
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.words.as_bytes()[..self.len]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.words.as_mut_bytes()[..self.len]
    }
}
