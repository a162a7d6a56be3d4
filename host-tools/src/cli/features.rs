//! `teff features`

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, Array3, ArrayD, Ix1};
use ndarray_npy::{read_npy, write_npy};
use rayon::prelude::*;
use teff_app::keyword::features::{BANDS, FRAME, FrontEnd, HOP};

use super::output::print;

/// Compute what keyword models read: log-mel energies of sound, by the fixed-point front end that boards run
///
/// Writes uint8, (clips, frames, 40), or (frames, 40) for a single clip: frames of 30 ms every 20 ms. A level is 0.38 dB.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  teff features clips.npy features.npy")]
pub(super) struct Args {
    /// Sound at 16 kHz: int16, (clips, samples) or (samples)
    #[arg(value_name = "SOUND.npy")]
    sound: PathBuf,
    /// Where to write them
    #[arg(value_name = "FEATURES.npy")]
    output: PathBuf,
}

pub(super) fn main(args: &Args) -> Result<()> {
    let what = || args.sound.display().to_string();
    let sound: ArrayD<i16> = read_npy(&args.sound).with_context(|| format!("{}: no .npy of int16", what()))?;
    let failed = || format!("cannot write {}", args.output.display());
    let shape = match sound.ndim() {
        1 => {
            let features = features(&sound.into_dimensionality::<Ix1>()?.insert_axis(ndarray::Axis(0)))?;
            let features = features.index_axis_move(ndarray::Axis(0), 0);
            write_npy(&args.output, &features).with_context(failed)?;
            features.shape().to_vec()
        }
        2 => {
            let features = features(&sound.into_dimensionality()?)?;
            write_npy(&args.output, &features).with_context(failed)?;
            features.shape().to_vec()
        }
        rank => anyhow::bail!("{}: has {rank} axes: give (clips, samples) or (samples)", what()),
    };
    print(&format!("{}: uint8 {shape:?}\n", args.output.display()))
}

/// Levels, (clips, frames, bands), of (clips, samples).
fn features(sound: &Array2<i16>) -> Result<Array3<u8>> {
    let (clips, samples) = sound.dim();
    ensure!(samples >= FRAME, "a clip has {samples} samples, a frame {FRAME}: give longer ones");
    let of_clip = |clip: ndarray::ArrayView1<i16>| {
        let mut levels = Vec::new();
        FrontEnd::new().feed(&clip.to_vec(), |frame| levels.extend_from_slice(frame));
        levels
    };
    let rows: Vec<_> = sound.outer_iter().collect();
    let levels: Vec<u8> = rows.into_par_iter().flat_map_iter(of_clip).collect();
    Ok(Array3::from_shape_vec((clips, 1 + (samples - FRAME) / HOP, BANDS), levels)?)
}
