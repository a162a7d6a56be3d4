//! Files of the PC as `embedded-io` streams.

use core::ffi::CStr;
use core::fmt;

use embedded_io::ErrorKind;
use semihosting::experimental::env;
use semihosting::fs::File;
use semihosting::io;

/// Why a file of the PC could not be reached.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The command line cannot be read, or is longer than the buffer for it.
    CommandLine,
    /// The command line does not name this file.
    Missing(&'static str),
    /// The name is too long or no text.
    Name(&'static str),
    /// The PC refused: its error number, 0 if it gave none.
    Refused(i32),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => write!(f, "no semihosting command line, or longer than {COMMAND_LINE} bytes"),
            Self::Missing(role) => write!(f, "the semihosting command line names no file of {role}"),
            Self::Name(role) => write!(f, "the name of the file of {role} is no text of up to {NAME} bytes"),
            Self::Refused(error) => write!(f, "the PC refuses: error {error}"),
        }
    }
}

impl core::error::Error for FileError {}

impl embedded_io::Error for FileError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::CommandLine | Self::Missing(_) | Self::Name(_) => ErrorKind::InvalidInput,
            Self::Refused(_) => ErrorKind::Other,
        }
    }
}

/// Longest command line, in bytes. It lies on the stack while it is read.
const COMMAND_LINE: usize = 128;
/// Longest file name, in bytes.
const NAME: usize = 48;

/// The stream of frames.
#[derive(Debug)]
pub struct Frames(File);

/// The stream of outputs.
#[derive(Debug)]
pub struct Outputs(File);

/// Opens the files that the command line names: `FRAMES OUTPUTS`.
///
/// # Errors
/// If it does not name them, or the PC does not let them be opened.
pub fn open() -> Result<(Frames, Outputs), FileError> {
    let arguments = env::args::<COMMAND_LINE>().map_err(|_| FileError::CommandLine)?;
    let mut names = &arguments;
    let mut next = |role| match Iterator::next(&mut names) {
        Some(Ok(name)) => terminated(name).ok_or(FileError::Name(role)),
        Some(Err(_)) => Err(FileError::Name(role)),
        None => Err(FileError::Missing(role)),
    };
    let (frames, outputs) = (next("frames")?, next("outputs")?);
    let frames = File::open(c_str(&frames)).map_err(refused)?;
    let outputs = File::create(c_str(&outputs)).map_err(refused)?;
    Ok((Frames(frames), Outputs(outputs)))
}

fn refused(error: io::Error) -> FileError {
    FileError::Refused(error.raw_os_error().unwrap_or_default())
}

/// `name` with a zero after it.
fn terminated(name: &str) -> Option<[u8; NAME + 1]> {
    let mut bytes = [0; NAME + 1];
    bytes.get_mut(..NAME)?.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(bytes)
}

fn c_str(name: &[u8; NAME + 1]) -> &CStr {
    CStr::from_bytes_until_nul(name).unwrap_or_default()
}

impl embedded_io::ErrorType for Frames {
    type Error = FileError;
}

impl embedded_io::Read for Frames {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, FileError> {
        io::Read::read(&mut self.0, to).map_err(refused)
    }
}

impl embedded_io::ErrorType for Outputs {
    type Error = FileError;
}

impl embedded_io::Write for Outputs {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, FileError> {
        io::Write::write(&mut self.0, bytes).map_err(refused)
    }

    fn flush(&mut self) -> Result<(), FileError> {
        io::Write::flush(&mut self.0).map_err(refused)
    }
}
