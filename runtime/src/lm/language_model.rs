//! A session of a language model.

use core::fmt;

use crate::exec::{RunError, Session, SessionError};
use crate::format::Model;
use crate::ops::attention;

/// Why a language model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LmError {
    /// The file has no entry point `decode` with the ports of a language model.
    NotALanguageModel,
    /// The file has no entry point `verify`.
    NoVerify,
    /// The cache is full.
    ContextFull {
        /// Its slots.
        slots: usize,
    },
    /// A position cannot be returned to: its rows may have left the sliding window, or were never cached.
    Rewind,
    /// No token is allowed.
    NothingAllowed,
    /// A port could not be reached.
    Session(SessionError),
    /// The run stopped, for example at a token beyond the vocabulary.
    Run(RunError),
}

impl fmt::Display for LmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotALanguageModel => write!(f, "the model is no language model: it has no entry point `decode`"),
            Self::NoVerify => write!(f, "the model has no entry point `verify`: convert it with one"),
            Self::ContextFull { slots } => write!(f, "the context of {slots} tokens is full"),
            Self::Rewind => write!(f, "the cache does not hold the rows of that position"),
            Self::NothingAllowed => write!(f, "no token is allowed here"),
            Self::Session(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LmError {}

impl From<SessionError> for LmError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<RunError> for LmError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// An entry point of several tokens.
#[derive(Debug, Clone, Copy)]
struct Block {
    entry: usize,
    tokens: usize,
}

/// A session, its entry points, and how many tokens it has been fed.
pub struct LanguageModel<'s, 'm> {
    session: Session<'s, 'm>,
    decode: usize,
    prefill: Option<Block>,
    verify: Option<Block>,
    vocabulary: usize,
    slots: usize,
    slides: bool,
    position: usize,
}

/// The entry point of one token of a model, and the number of tokens that the model knows.
fn decode(model: &Model<'_>) -> Result<(usize, usize), LmError> {
    let decode = block(model, super::DECODE).filter(|b| b.tokens == 1).ok_or(LmError::NotALanguageModel)?;
    let logits = model.entry(decode.entry).and_then(|e| e.outputs().next()?.tensor());
    Ok((decode.entry, logits.ok_or(LmError::NotALanguageModel)?.len))
}

/// The entry point of this name, and the number of tokens it takes.
fn block(model: &Model<'_>, name: &str) -> Option<Block> {
    let (index, entry) = model.entries().enumerate().find(|(_, entry)| entry.name() == name)?;
    let tokens = entry.inputs().next()?.tensor()?.len;
    Some(Block { entry: index, tokens })
}

impl<'s, 'm> LanguageModel<'s, 'm> {
    /// Whether [`LanguageModel::new`] takes a session of `model`.
    ///
    /// # Errors
    /// [`LmError::NotALanguageModel`].
    pub fn check(model: &Model<'_>) -> Result<(), LmError> {
        decode(model).map(|_| ())
    }

    /// Finds the entry points.
    ///
    /// # Errors
    /// [`LmError::NotALanguageModel`].
    pub fn new(session: Session<'s, 'm>) -> Result<Self, LmError> {
        let model = session.model();
        let (decode, vocabulary) = decode(model)?;
        let mut attentions = model.steps().filter(|step| step.op.name == "attention");
        let (slots, slides) = match attentions.find_map(|step| step.params::<attention::Params>()) {
            Some(params) => (params.context.into(), params.sinks != attention::FULL),
            None => (usize::MAX, false),
        };
        let (prefill, verify) = (block(model, super::PREFILL), block(model, super::VERIFY));
        Ok(Self { session, decode, prefill, verify, vocabulary, slots, slides, position: 0 })
    }

    /// The model.
    pub fn model(&self) -> &'s Model<'m> {
        self.session.model()
    }

    /// Number of tokens it knows.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Slots of the cache.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Tokens fed since the start.
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many more tokens fit; as many as one likes, if the cache slides.
    pub fn room(&self) -> usize {
        if self.slides { usize::MAX } else { self.slots.saturating_sub(self.position) }
    }

    /// Starts anew.
    pub fn reset(&mut self) {
        self.session.reset();
        self.position = 0;
    }

    /// Takes back what was fed from `position` on. The logits are those of the last run until the next.
    ///
    /// # Errors
    /// [`LmError::Rewind`], if `position` lies ahead, or the window has slid over rows that would have to return.
    pub fn rewind(&mut self, position: usize) -> Result<(), LmError> {
        if position > self.position || (self.slides && self.position > self.slots) {
            return Err(LmError::Rewind);
        }
        self.position = position;
        Ok(())
    }

    /// Feeds tokens: whole blocks of the prefill entry point, the rest one by one. Afterwards [`LanguageModel::logits`]
    /// are those of the last.
    ///
    /// # Errors
    /// [`LmError::ContextFull`] before anything is fed; or a token is beyond the vocabulary.
    pub fn feed(&mut self, tokens: &[u16]) -> Result<(), LmError> {
        if tokens.len() > self.room() {
            return Err(LmError::ContextFull { slots: self.slots });
        }
        let mut rest = tokens;
        if let Some(block) = self.prefill {
            // The last token's logits are wanted: it is not prefilled.
            while let Some((head, tail)) = rest.split_at_checked(block.tokens).filter(|(_, tail)| !tail.is_empty()) {
                self.run(block.entry, head)?;
                rest = tail;
            }
        }
        rest.iter().try_for_each(|&token| self.run(self.decode, &[token]))
    }

    /// The logits of the token fed last, in Q15.16; changed by [`super::sample`].
    ///
    /// # Errors
    /// None of a verified language model.
    pub fn logits(&mut self) -> Result<&mut [i32], LmError> {
        Ok(self.session.entry_output_i32(self.decode, 0)?)
    }

    /// Tokens that [`LanguageModel::verify`] takes.
    pub fn verify_len(&self) -> Option<usize> {
        self.verify.map(|block| block.tokens)
    }

    /// Feeds as many tokens as the entry point `verify` takes, and gives the likeliest successor of each.
    ///
    /// # Errors
    /// If there is no such entry point, as many tokens do not fit, or one is beyond the vocabulary.
    pub fn verify(&mut self, tokens: &[u16]) -> Result<&[i32], LmError> {
        let block = self.verify.filter(|block| block.tokens == tokens.len()).ok_or(LmError::NoVerify)?;
        if tokens.len() > self.room() {
            return Err(LmError::ContextFull { slots: self.slots });
        }
        self.run(block.entry, tokens)?;
        Ok(self.session.entry_output_i32(block.entry, 0)?)
    }

    /// Feeds exactly the tokens of an entry point.
    fn run(&mut self, entry: usize, tokens: &[u16]) -> Result<(), LmError> {
        let ids = self.session.entry_input_i32(entry, 0)?;
        ids.iter_mut().zip(tokens).for_each(|(id, &token)| *id = token.into());
        let position = i32::try_from(self.position).map_err(|_| LmError::ContextFull { slots: self.slots })?;
        if let Some(at) = self.session.entry_input_i32(entry, 1)?.first_mut() {
            *at = position;
        }
        self.session.run_entry(entry)?;
        self.position = self.position.saturating_add(tokens.len());
        Ok(())
    }
}
