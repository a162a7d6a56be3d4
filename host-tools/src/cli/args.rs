//! Arguments that several subcommands have.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser};
use teff::fixed::Rounding;

use crate::board;
use crate::data::Preprocess;

/// How pixels become the model's input.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Pixels: real = (pixel / 255 − mean) / std, for pictures and uint8 arrays")]
pub(super) struct PreprocessArgs {
    /// Mean: one number, or one for each channel [default: 0]
    #[arg(long, value_name = "M,…", value_delimiter = ',', allow_hyphen_values = true)]
    pub(super) mean: Option<Vec<f32>>,
    /// Standard deviation: one number, or one for each channel [default: 1]
    #[arg(long, value_name = "S,…", value_delimiter = ',')]
    pub(super) std: Option<Vec<f32>>,
    /// Scale pictures to this size, the model's; without it, other sizes are refused
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub(super) size: Option<Size>,
}

/// Width and height.
pub(super) type Size = [u32; 2];

impl PreprocessArgs {
    /// Whether any is given.
    pub(super) fn given(&self) -> bool {
        self.mean.is_some() || self.std.is_some() || self.size.is_some()
    }

    /// `base` with what is given. Without `base`, a size alone says nothing of mean and deviation: `None`.
    pub(super) fn over(&self, base: Option<Preprocess>) -> Option<Preprocess> {
        let base = base.or_else(|| (self.mean.is_some() || self.std.is_some()).then(Preprocess::default))?;
        Some(Preprocess {
            mean: self.mean.clone().unwrap_or(base.mean),
            std: self.std.clone().unwrap_or(base.std),
            size: self.size.or(base.size),
        })
    }
}

/// `WxH`.
fn parse_size(text: &str) -> Result<Size> {
    let (width, height) = text.split_once(['x', 'X']).context("wanted WIDTHxHEIGHT, such as 96x96")?;
    let size = [width.parse()?, height.parse()?];
    ensure!(size.iter().all(|d| (1..=1 << 15).contains(d)), "width and height must be from 1 to 32768");
    Ok(size)
}

/// A number of percent, from 0 to 100.
pub(super) fn parse_percent(text: &str) -> Result<f64> {
    let percent: f64 =
        text.trim_end_matches('%').trim_end().parse().context("wanted a number of percent, such as 0.5")?;
    ensure!((0.0..=100.0).contains(&percent), "must be from 0 to 100");
    Ok(percent)
}

/// A number of bytes, or of 1,024 bytes with `k`, or of as many of these with `M`.
pub(super) fn parse_bytes(text: &str) -> Result<usize> {
    let number = text.trim_end_matches(['b', 'B']);
    let (number, unit) = match number.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1 << 10),
        None => number.strip_suffix(['m', 'M']).map_or((number, 1), |number| (number, 1 << 20)),
    };
    let number: usize = number.trim_end().parse().context("wanted a number of bytes, such as 32768 or 32k")?;
    number.checked_mul(unit).context("too many bytes")
}

/// How a quantized model's results are rounded: as its origin asks for (`None`), or as the user says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RoundingArg(pub(super) Option<Rounding>);

impl FromStr for RoundingArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self(None)),
            "once" => Ok(Self(Some(Rounding::Once))),
            "tflite" => Ok(Self(Some(Rounding::TfLite))),
            _ => bail!("wanted auto, once or tflite"),
        }
    }
}

/// The names of boards, and others by which people know them.
pub(super) fn board_names(names: impl IntoIterator<Item = &'static str>) -> PossibleValuesParser {
    let value = |name| PossibleValue::new(name).aliases(board::aliases(name));
    PossibleValuesParser::new(names.into_iter().map(value))
}

/// `in=out`: names of an input and of an output.
pub(super) fn parse_state(text: &str) -> Result<(String, String)> {
    let (input, output) = text.split_once('=').context("wanted IN=OUT, such as h_in=h_out")?;
    ensure!(!input.is_empty() && !output.is_empty(), "wanted IN=OUT, such as h_in=h_out");
    Ok((input.to_string(), output.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse() {
        assert_eq!(parse_size("96x48").unwrap(), [96, 48]);
        assert_eq!([parse_percent("0.5").unwrap(), parse_percent("2 %").unwrap()], [0.5, 2.0]);
        assert!(["", "NaN", "-1", "101", "much"].iter().all(|text| parse_percent(text).is_err()));
        assert_eq!(
            ["32768", "32k", "32 KB", "1M"].map(|text| parse_bytes(text).unwrap()),
            [32_768, 32_768, 32_768, 1 << 20]
        );
        assert!(["", "k", "-1", "1.5k", "much", "99999999999999999M"].iter().all(|text| parse_bytes(text).is_err()));
        assert!(parse_size("96").is_err() && parse_size("0x3").is_err());
    }

    #[test]
    fn a_size_alone_is_no_preprocessing() {
        let size = PreprocessArgs { size: Some([2, 3]), ..PreprocessArgs::default() };
        assert_eq!(size.over(None), None);
        assert_eq!(size.over(Some(Preprocess::default())).unwrap().size, Some([2, 3]));
        let mean = PreprocessArgs { mean: Some(vec![0.5]), ..PreprocessArgs::default() };
        assert_eq!(mean.over(None).unwrap(), Preprocess { mean: vec![0.5], std: vec![1.0], size: None });
    }
}
