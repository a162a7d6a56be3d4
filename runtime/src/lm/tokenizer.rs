//! Byte-pair encoding with byte fallback, as `tokenizer.json` of LLaMA's family describes it; `docs/format.md` has the
//! section.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::format::Model;

/// Start of the section.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Number of pieces.
    pub pieces: u32,
    /// Number of merges.
    pub merges: u32,
    /// Bytes of all pieces.
    pub text: u32,
    /// Pieces that a text may start from: single characters.
    pub characters: u16,
    /// Pieces that stand for themselves in a text and are not merged.
    pub specials: u16,
    /// Piece that begins every text, or [`NONE`].
    pub bos: u16,
    /// Piece that ends a text, or [`NONE`].
    pub eos: u16,
    /// Piece of a character that has no other, or [`NONE`].
    pub unknown: u16,
    /// Sum of [`PREPEND_SPACE`] and the other flags.
    pub flags: u16,
}

/// No piece.
pub const NONE: u16 = u16::MAX;
/// A text that is not empty gets a space before it.
pub const PREPEND_SPACE: u16 = 1;
/// A space is written `▁` in pieces.
pub const SPACE_SIGN: u16 = 2;
/// A decoded text loses one space at its start.
pub const STRIP_SPACE: u16 = 4;
/// No piece has a `▁` behind its first character: words are merged each by itself.
pub const WORDS: u16 = 8;
/// Unknown characters in a row are one piece.
pub const FUSE_UNKNOWN: u16 = 16;
const ALL_FLAGS: u16 = 31;

/// Two pieces that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Merge {
    /// First piece.
    pub left: u16,
    /// Second piece.
    pub right: u16,
    /// The piece that they become.
    pub piece: u16,
    /// Lower ranks merge first.
    pub rank: u16,
}

/// What is wrong with a tokenizer, or with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file has no tokenizer.
    Absent,
    /// The section's length is not what its header says.
    Length,
    /// A piece, a merge or a list is not as the format demands.
    Invalid,
    /// The tokens do not fit in the buffer.
    TooLong,
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "the file has no tokenizer",
            Self::Length => "the tokenizer section has another length than its header says",
            Self::Invalid => "the tokenizer section is not valid",
            Self::TooLong => "the text has more tokens than the buffer holds",
        })
    }
}

impl core::error::Error for TokenizerError {}

/// A verified tokenizer: a view of its section.
#[derive(Debug, Clone, Copy)]
pub struct Tokenizer<'m> {
    header: Header,
    /// `(pieces + 1)`: where each piece starts in `text`.
    offsets: &'m [u32],
    /// Sorted by left, then right.
    merges: &'m [Merge],
    /// `(256)`: the piece of each byte, or [`NONE`].
    bytes: &'m [u16],
    /// Pieces of single characters, sorted by their text.
    characters: &'m [u16],
    /// Pieces that are looked for in texts.
    specials: &'m [u16],
    text: &'m str,
}

/// What a token decodes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'m> {
    /// Nothing: it begins or ends a text.
    Special,
    /// A byte.
    Byte(u8),
    /// Text, in which `▁` may stand for a space.
    Text(&'m str),
}

impl<'m> Tokenizer<'m> {
    /// The tokenizer of a model.
    ///
    /// # Errors
    /// If the model has none, or it is not valid.
    pub fn of(model: &Model<'m>) -> Result<Self, TokenizerError> {
        match model.tokenizer_section() {
            [] => Err(TokenizerError::Absent),
            section => Self::verify(section),
        }
    }

    /// Verifies a section, which starts at a multiple of 4.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(section: &'m [u8]) -> Result<Self, TokenizerError> {
        use TokenizerError::{Invalid, Length};
        let (header, rest) = Header::read_from_prefix(section).map_err(|_| Length)?;
        let size = |n: u32| usize::try_from(n).map_err(|_| Length);
        let pieces = size(header.pieces)?;
        let (offsets, rest) =
            <[u32]>::ref_from_prefix_with_elems(rest, pieces.checked_add(1).ok_or(Length)?).map_err(|_| Length)?;
        let (merges, rest) = <[Merge]>::ref_from_prefix_with_elems(rest, size(header.merges)?).map_err(|_| Length)?;
        let (bytes, rest) = <[u16]>::ref_from_prefix_with_elems(rest, 256).map_err(|_| Length)?;
        let (characters, rest) =
            <[u16]>::ref_from_prefix_with_elems(rest, header.characters.into()).map_err(|_| Length)?;
        let (specials, rest) = <[u16]>::ref_from_prefix_with_elems(rest, header.specials.into()).map_err(|_| Length)?;
        let text = rest.get(..size(header.text)?).ok_or(Length)?;
        let text = core::str::from_utf8(text).map_err(|_| Invalid)?;
        let found = Self { header, offsets, merges, bytes, characters, specials, text };

        let known = |&id: &u16| usize::from(id) < pieces;
        let optional = |id: &u16| *id == NONE || known(id);
        let valid = pieces < usize::from(NONE)
            && header.flags & !ALL_FLAGS == 0
            && [header.bos, header.eos, header.unknown].iter().all(optional)
            && bytes.iter().all(optional)
            && characters.iter().all(known)
            && specials.iter().all(|id| known(id) && found.piece_text(*id).is_some_and(|text| !text.is_empty()))
            && merges.iter().all(|m| known(&m.left) && known(&m.right) && known(&m.piece))
            && merges.is_sorted_by(|a, b| (a.left, a.right) < (b.left, b.right))
            && (0..pieces).all(|id| u16::try_from(id).is_ok_and(|id| found.piece_text(id).is_some()))
            && characters.is_sorted_by_key(|&id| found.piece_text(id).unwrap_or(""));
        if valid { Ok(found) } else { Err(Invalid) }
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are no pieces.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token that begins every text.
    pub fn bos(&self) -> Option<u16> {
        Some(self.header.bos).filter(|&id| id != NONE)
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u16> {
        Some(self.header.eos).filter(|&id| id != NONE)
    }

    /// The text of a piece as it stands in the vocabulary.
    pub fn piece_text(&self, id: u16) -> Option<&'m str> {
        let at = usize::from(id);
        let (start, end) = (*self.offsets.get(at)?, *self.offsets.get(at.checked_add(1)?)?);
        self.text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    /// What a token decodes to; nothing for one beyond the vocabulary.
    pub fn piece(&self, id: u16) -> Piece<'m> {
        let special = self.specials.contains(&id) || [self.header.bos, self.header.eos].contains(&id);
        if special {
            return Piece::Special;
        }
        if let Some(byte) = self.bytes.iter().position(|&piece| piece == id && id != NONE) {
            return Piece::Byte(byte as u8);
        }
        self.piece_text(id).map_or(Piece::Special, Piece::Text)
    }

    /// The bytes of a token in a text; `first`: whether it is the text's first that is no special one.
    pub fn token_bytes(&self, id: u16, first: bool) -> impl Iterator<Item = u8> + use<'m> {
        let (byte, text) = match self.piece(id) {
            Piece::Special => (None, ""),
            Piece::Byte(byte) => (Some(byte), ""),
            Piece::Text(text) => (None, text),
        };
        let spaced = self.header.flags & SPACE_SIGN != 0;
        let strip = first && self.header.flags & STRIP_SPACE != 0;
        let plain = move |c: char| if spaced && c == '\u{2581}' { ' ' } else { c };
        let skip = usize::from(strip && (text.chars().next().map(plain) == Some(' ')));
        let skip_byte = strip && byte == Some(b' ');
        let text = text.chars().map(plain).skip(skip).flat_map(|c| {
            let mut utf8 = [0; 4];
            let len = c.encode_utf8(&mut utf8).len();
            utf8.into_iter().take(len)
        });
        byte.filter(|_| !skip_byte).into_iter().chain(text)
    }

    /// The bytes of a text; gives their number. Byte tokens may yield what is not UTF-8.
    ///
    /// # Errors
    /// [`TokenizerError::TooLong`].
    pub fn decode(&self, tokens: &[u16], out: &mut [u8]) -> Result<usize, TokenizerError> {
        let (mut len, mut first) = (0_usize, true);
        for &token in tokens {
            for byte in self.token_bytes(token, first) {
                *out.get_mut(len).ok_or(TokenizerError::TooLong)? = byte;
                len = len.saturating_add(1);
            }
            first &= self.piece(token) == Piece::Special;
        }
        Ok(len)
    }

    /// The tokens of a text, the one that begins every text before them; gives their number.
    ///
    /// # Errors
    /// [`TokenizerError::TooLong`]: the buffer must hold a token for each character (a byte where one has no piece) that
    /// is not merged yet; one for each byte of the text and two more always suffice.
    pub fn encode(&self, text: &str, out: &mut [u16]) -> Result<usize, TokenizerError> {
        let mut tokens = Tokens { out, len: 0, word: 0 };
        if let Some(bos) = self.bos() {
            tokens.push(bos)?;
        }
        self.append(text, tokens)
    }

    /// The tokens of a text that goes on, without the one that begins every text and without a space before it.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_more(&self, text: &str, out: &mut [u16]) -> Result<usize, TokenizerError> {
        let mut tokens = Tokens { out, len: 0, word: 0 };
        self.segment(text, false, &mut tokens)?;
        Ok(tokens.len)
    }

    fn append(&self, text: &str, mut tokens: Tokens<'_>) -> Result<usize, TokenizerError> {
        let mut rest = text;
        while !rest.is_empty() {
            // Up to the next special piece, the longest at the first place.
            let found = rest.char_indices().find_map(|(at, _)| {
                let here = rest.get(at..)?;
                let pieces = self.specials.iter().filter_map(|&id| Some((id, self.piece_text(id)?)));
                let longest = pieces.filter(|(_, text)| here.starts_with(text)).max_by_key(|(_, text)| text.len());
                longest.map(|(id, text)| (at, id, text.len()))
            });
            let (end, special, len) = found.map_or((rest.len(), None, 0), |(at, id, len)| (at, Some(id), len));
            let prepend = self.header.flags & PREPEND_SPACE != 0;
            self.segment(rest.get(..end).unwrap_or(""), prepend, &mut tokens)?;
            if let Some(special) = special {
                tokens.push(special)?;
            }
            rest = rest.get(end.saturating_add(len)..).unwrap_or("");
        }
        Ok(tokens.len)
    }

    fn segment(&self, text: &str, prepend: bool, tokens: &mut Tokens<'_>) -> Result<(), TokenizerError> {
        tokens.word = tokens.len;
        let spaced = self.header.flags & SPACE_SIGN != 0;
        let space = if spaced { '\u{2581}' } else { ' ' };
        let first = (prepend && !text.is_empty()).then_some(space);
        let mut unknown = false;
        for c in first.into_iter().chain(text.chars().map(|c| if c == ' ' { space } else { c })) {
            if c == '\u{2581}' && self.header.flags & WORDS != 0 {
                self.merge(tokens);
                tokens.word = tokens.len;
            }
            let mut utf8 = [0; 4];
            let c: &str = c.encode_utf8(&mut utf8);
            let known = self.characters.binary_search_by(|&id| self.piece_text(id).unwrap_or("").cmp(c));
            if let Some(&id) = known.ok().and_then(|at| self.characters.get(at)) {
                tokens.push(id)?;
                unknown = false;
                continue;
            }
            let piece = |byte: u8| self.bytes.get(usize::from(byte)).copied().filter(|&id| id != NONE);
            if c.bytes().all(|byte| piece(byte).is_some()) {
                c.bytes().filter_map(piece).try_for_each(|id| tokens.push(id))?;
                unknown = false;
            } else if self.header.unknown != NONE {
                if !(unknown && self.header.flags & FUSE_UNKNOWN != 0) {
                    tokens.push(self.header.unknown)?;
                }
                unknown = true;
            }
        }
        self.merge(tokens);
        tokens.word = tokens.len;
        Ok(())
    }

    /// Merges the pieces of the last word: always the pair of the lowest rank, the first of equal ones.
    fn merge(&self, tokens: &mut Tokens<'_>) {
        loop {
            let word = tokens.out.get(tokens.word..tokens.len).unwrap_or(&[]);
            let pairs = word.windows(2).enumerate().filter_map(|(at, pair)| match *pair {
                [left, right] => Some((self.merge_of(left, right)?, at)),
                _ => None,
            });
            let Some((merge, at)) = pairs.min_by_key(|(merge, at)| (merge.rank, *at)) else { return };
            let word = tokens.out.get_mut(tokens.word..tokens.len).unwrap_or(&mut []);
            let Some(tail) = word.get_mut(at..) else { return };
            if let Some(first) = tail.first_mut() {
                *first = merge.piece;
            }
            if tail.len() > 2 {
                tail.copy_within(2.., 1);
            }
            tokens.len = tokens.len.saturating_sub(1);
        }
    }

    fn merge_of(&self, left: u16, right: u16) -> Option<Merge> {
        let at = self.merges.binary_search_by(|m| (m.left, m.right).cmp(&(left, right))).ok()?;
        self.merges.get(at).copied()
    }
}

/// Tokens being made.
struct Tokens<'a> {
    out: &'a mut [u16],
    len: usize,
    /// Where the word begins that is not merged yet.
    word: usize,
}

impl Tokens<'_> {
    fn push(&mut self, id: u16) -> Result<(), TokenizerError> {
        *self.out.get_mut(self.len).ok_or(TokenizerError::TooLong)? = id;
        self.len = self.len.saturating_add(1);
        Ok(())
    }
}
