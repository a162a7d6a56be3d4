//! The plugin's arguments.

use std::path::PathBuf;

/// What to count, and where to write it.
pub(crate) struct Options {
    /// Address of the instruction that opens an interval.
    pub(crate) begin: u64,
    /// Address of the instruction that closes it.
    pub(crate) end: u64,
    /// The report.
    pub(crate) out: PathBuf,
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let (mut begin, mut end, mut out) = (None, None, None);
        for argument in arguments {
            match argument.as_ref().split_once('=') {
                Some(("begin", text)) => begin = Some(address(text)?),
                Some(("end", text)) => end = Some(address(text)?),
                Some(("out", text)) => out = Some(PathBuf::from(text)),
                _ => return Err(format!("unknown argument {:?}", argument.as_ref())),
            }
        }
        match (begin, end, out) {
            (Some(begin), Some(end), Some(out)) => Ok(Self { begin, end, out }),
            _ => Err("needs begin=ADDRESS,end=ADDRESS,out=FILE".into()),
        }
    }
}

fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| format!("{text:?} is no hexadecimal address"))
}
