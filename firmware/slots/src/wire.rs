//! Requests and responses of an update, as frames of [`teff_link`].

use serde::{Deserialize, Serialize};

/// Version of the protocol.
pub const PROTOCOL: u8 = 1;

/// What the host asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you?
    Hello,
    /// Begin the update with this header, or go on with it.
    Begin {
        /// The bytes of a [`crate::Header`].
        header: &'a [u8],
    },
    /// CRC-32 of the first bytes in the slot that is being updated.
    Check {
        /// How many.
        len: u32,
    },
    /// Bytes of the model.
    Data {
        /// Where they belong.
        offset: u32,
        /// At most [`teff_link::CHUNK`].
        bytes: &'a [u8],
    },
    /// All is sent: verify and switch.
    Finish,
}

/// What the device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Hello`].
    Hello(Info),
    /// To [`Request::Begin`]: whether the slot holds part of this update.
    Begun {
        /// It does.
        resumed: bool,
    },
    /// To [`Request::Check`].
    Crc(u32),
    /// To [`Request::Data`]: written up to here.
    Next(u32),
    /// To [`Request::Finish`]: the model is verified and will start.
    Finished {
        /// Its version.
        version: u32,
    },
    /// To any.
    Refused(Refusal),
}

/// What the host should know of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// [`PROTOCOL`].
    pub protocol: u8,
    /// The version that runs from a slot; none if the firmware's own model runs.
    pub active: Option<u32>,
    /// An update must be above this version.
    pub confirmed: u32,
    /// Bytes that a model may have.
    pub capacity: u32,
    /// Data may begin at each multiple of this.
    pub sector: u32,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Not understood: another version of the protocol.
    Unknown,
    /// The header is damaged or of a later format.
    Header,
    /// The device's key did not sign it.
    Signature,
    /// Not above the version that was confirmed before.
    Rollback {
        /// That version.
        confirmed: u32,
    },
    /// The model is too long.
    TooLong {
        /// Bytes that a model may have.
        capacity: u32,
    },
    /// No update was begun.
    NotBegun,
    /// Data at another place than this.
    Offset {
        /// Where it is expected.
        next: u32,
    },
    /// The bytes are not those that were signed.
    Digest,
    /// The model does not verify or its self-test fails on this device.
    Judged,
    /// The flash failed.
    Flash,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown => f.write_str("it does not know this request"),
            Self::Header => f.write_str("the header of the signed model is damaged"),
            Self::Signature => f.write_str("the model is not signed by the key that the device trusts"),
            Self::Rollback { confirmed } => {
                write!(f, "version {confirmed} has run there: sign with a higher --version")
            }
            Self::TooLong { capacity } => write!(f, "the model is too long: a slot has {capacity} bytes"),
            Self::NotBegun => f.write_str("no update was begun"),
            Self::Offset { next } => write!(f, "data came at the wrong place, byte {next} was expected"),
            Self::Digest => f.write_str("the bytes that arrived are not those that were signed"),
            Self::Judged => f.write_str("the model does not verify or fails its self-test on the device"),
            Self::Flash => f.write_str("its flash failed"),
        }
    }
}
