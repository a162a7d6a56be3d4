//! Why an application stopped.

use core::fmt::{self, Debug, Display};

use teff::lm::{LmError, TokenizerError};
use teff::{RunError, SelfTestError, SessionError, VerifyError};

/// Why an application stopped. `R`, `W` and `P` are the errors of the frames' reader, the results' writer and the pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<R, W, P> {
    /// The embedded model is not valid.
    Verify(VerifyError),
    /// The memory is too small or misaligned, or the model has no int8 input.
    Session(SessionError),
    /// This device does not compute what the PC computed.
    SelfTest(SelfTestError),
    /// The model is not for this application.
    Interface(Mismatch),
    /// A frame could not be read.
    Read(R),
    /// The stream ended within a frame.
    PartialFrame {
        /// Bytes of a frame.
        needed: usize,
        /// Bytes of it that came.
        found: usize,
    },
    /// The model stopped.
    Run(RunError),
    /// A result could not be written.
    Write(W),
    /// The pin could not be set.
    Pin(P),
    /// The language model stopped.
    Language(LmError),
    /// A text has too many tokens.
    Tokenizer(TokenizerError),
    /// A line is too long, no UTF-8, or empty where the model's texts begin with no token of their own.
    Prompt,
}

/// What a model lacks for an application. Each application has a function `check`, which a PC can call before a firmware is
/// built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// An entry point.
    NoEntry,
    /// An input.
    NoInput,
    /// An output.
    NoOutput,
    /// That a frame is all of its inputs: it has several.
    SeveralInputs,
    /// For sound: an input of frames of levels in int8.
    Levels,
    /// For sound: an input whose int8 are pixels.
    Pixels,
    /// For sound: an output of as many classes as there may be, in int8.
    Classes,
    /// For sound: an output of probabilities in 256ths.
    Probabilities,
    /// For sound: a state that holds what it wants of earlier frames.
    NoState,
    /// For vibration: an input of a spectrum.
    Spectrum,
    /// For vibration: an output of one score.
    Score,
    /// For text: the entry point of a language model.
    Language(LmError),
    /// For text: a tokenizer.
    Tokenizer(TokenizerError),
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntry => "it has no entry point",
            Self::NoInput => "it has no input",
            Self::NoOutput => "it has no output",
            Self::SeveralInputs => "it has more than one input",
            Self::Levels => "its input is not frames of 40 levels in int8",
            Self::Pixels => "its input does not take pixels",
            Self::Classes => "its output is not the probabilities of 3 to 32 classes in int8",
            Self::Probabilities => "its output is not probabilities in 256ths",
            Self::NoState => "it has no state: it hears windows of sound, each by itself, and not a stream",
            Self::Spectrum => "its input is not a spectrum of 32 bands",
            Self::Score => "its output is not one score",
            Self::Language(error) => return Display::fmt(error, f),
            Self::Tokenizer(error) => return Display::fmt(error, f),
        })
    }
}

impl core::error::Error for Mismatch {}

impl<R, W, P> From<VerifyError> for Error<R, W, P> {
    fn from(error: VerifyError) -> Self {
        Self::Verify(error)
    }
}

impl<R, W, P> From<SessionError> for Error<R, W, P> {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl<R, W, P> From<RunError> for Error<R, W, P> {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl<R: Debug, W: Debug, P: Debug> Display for Error<R, W, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verify(error) => write!(f, "the embedded model is not valid: {error}"),
            Self::Session(error) => Display::fmt(error, f),
            Self::SelfTest(error) => Display::fmt(error, f),
            Self::Interface(reason) => write!(f, "the model is not for this application: {reason}"),
            Self::Read(error) => write!(f, "a frame could not be read: {error:?}"),
            Self::PartialFrame { needed, found } => write!(f, "the last frame has {found} of {needed} bytes"),
            Self::Run(error) => Display::fmt(error, f),
            Self::Write(error) => write!(f, "a result could not be written: {error:?}"),
            Self::Pin(error) => write!(f, "a pin could not be set: {error:?}"),
            Self::Language(error) => Display::fmt(error, f),
            Self::Tokenizer(error) => Display::fmt(error, f),
            Self::Prompt => write!(f, "a line is too long, no UTF-8, or empty with a model that cannot begin a text"),
        }
    }
}

impl<R: Debug, W: Debug, P: Debug> core::error::Error for Error<R, W, P> {}
