//! Generation within a small regular grammar.

use super::tokenizer::{Piece, Tokenizer};

/// From a state over a range of bytes to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From here.
    pub from: u8,
    /// Lowest byte.
    pub low: u8,
    /// Highest byte.
    pub high: u8,
    /// To here.
    pub to: u8,
}

/// A deterministic automaton over the bytes of a text: it starts in state 0. Where two transitions of a state hold a
/// byte, the first counts.
#[derive(Debug, Clone, Copy)]
pub struct Grammar<'g> {
    /// All transitions.
    pub transitions: &'g [Transition],
    /// States in which the text may end.
    pub accepting: &'g [u8],
}

impl Grammar<'_> {
    /// The state after a byte; `None` if the byte is not allowed.
    pub fn step(&self, state: u8, byte: u8) -> Option<u8> {
        let fits = |t: &&Transition| t.from == state && (t.low..=t.high).contains(&byte);
        self.transitions.iter().find(fits).map(|t| t.to)
    }

    /// The state after a token, `first`: of the text; `None` if it is not allowed. A stop token is where the text may end.
    pub fn advance(&self, tokenizer: &Tokenizer<'_>, state: u8, token: u16, first: bool) -> Option<u8> {
        if tokenizer.piece(token) == Piece::Special {
            let ends = tokenizer.eos() == Some(token) || tokenizer.bos() == Some(token);
            return (ends && self.accepting.contains(&state)).then_some(state);
        }
        let mut bytes = tokenizer.token_bytes(token, first).peekable();
        bytes.peek()?;
        bytes.try_fold(state, |state, byte| self.step(state, byte))
    }

    /// Whether nothing may follow.
    pub fn is_final(&self, state: u8) -> bool {
        self.accepting.contains(&state) && self.transitions.iter().all(|t| t.from != state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_step_through_a_number() {
        // -?[0-9]+
        let grammar = Grammar {
            transitions: &[
                Transition { from: 0, low: b'-', high: b'-', to: 1 },
                Transition { from: 0, low: b'0', high: b'9', to: 2 },
                Transition { from: 1, low: b'0', high: b'9', to: 2 },
                Transition { from: 2, low: b'0', high: b'9', to: 2 },
            ],
            accepting: &[2],
        };
        let end = |text: &str| text.bytes().try_fold(0, |state, byte| grammar.step(state, byte));
        assert_eq!([end("-12"), end("7"), end("-"), end("1-"), end("x")], [Some(2), Some(2), Some(1), None, None]);
        assert!(!grammar.is_final(2));
    }
}
