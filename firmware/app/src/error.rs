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
    /// The model is not for this application, for this reason.
    Interface(&'static str),
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
    /// The embedded model is no language model, or stopped.
    Language(LmError),
    /// The embedded model has no tokenizer, or a text has too many tokens.
    Tokenizer(TokenizerError),
    /// A line is too long, no UTF-8, or empty where the model's texts begin with no token of their own.
    Prompt,
}

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
