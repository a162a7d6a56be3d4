//! Runs a converted language model on this machine.

use anyhow::{Context, Result};
use teff::lm::{LanguageModel, Tokenizer};
use teff::{Model, Session};

use crate::aligned::AlignedBytes;

/// Memory for a model.
pub fn memory(model: &Model<'_>) -> AlignedBytes {
    AlignedBytes::zeroed(model.memory_len())
}

/// A language model over that memory.
///
/// # Errors
/// If the model is no language model.
pub fn language_model<'s, 'm>(model: &'s Model<'m>, memory: &'s mut [u8]) -> Result<LanguageModel<'s, 'm>> {
    Ok(LanguageModel::new(Session::new(model, memory)?)?)
}

/// The tokens of a text.
///
/// # Errors
/// None of a verified tokenizer.
pub fn encode(tokenizer: &Tokenizer<'_>, text: &str) -> Result<Vec<u16>> {
    let mut tokens = vec![0; 2 * text.len() + 4];
    let len = tokenizer.encode(text, &mut tokens).context("the text cannot be encoded")?;
    tokens.truncate(len);
    Ok(tokens)
}

/// The text of tokens; what is not UTF-8 becomes the replacement character.
///
/// # Errors
/// None of a verified tokenizer.
pub fn decode(tokenizer: &Tokenizer<'_>, tokens: &[u16]) -> Result<String> {
    let longest = (0..tokenizer.len()).filter_map(|id| tokenizer.piece_text(id as u16)).map(str::len).max();
    let mut bytes = vec![0; tokens.len() * longest.unwrap_or(0).max(1)];
    let len = tokenizer.decode(tokens, &mut bytes).context("the tokens cannot be decoded")?;
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// Documents of a text file: separated by lines `<|endoftext|>`.
pub fn documents(text: &str) -> Vec<&str> {
    text.split("<|endoftext|>")
        .map(|document| document.trim_matches('\n'))
        .filter(|document| !document.is_empty())
        .collect()
}
