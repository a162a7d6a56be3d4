//! How pixels become what a model takes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::imageops::FilterType;
use ndarray::{ArrayD, Axis};
use serde::{Deserialize, Serialize};

use super::layout::InputSpec;
use crate::calibrate::Range;

/// `real = (pixel / 255 − mean) / std`, for pixels from 0 to 255.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// One, or one for each channel.
    pub mean: Vec<f32>,
    /// One, or one for each channel; positive.
    pub std: Vec<f32>,
    /// Pictures of another width and height are scaled to these; without it they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
}

impl Default for Preprocess {
    fn default() -> Self {
        Self { mean: vec![0.0], std: vec![1.0], size: None }
    }
}

impl Preprocess {
    /// For a model that takes bytes: `real = pixel`.
    pub fn bytes() -> Self {
        Self { std: vec![1.0 / 255.0], ..Self::default() }
    }

    /// That there are as many values as `input` has channels, or one.
    ///
    /// # Errors
    /// If not, or a value is out of range.
    pub fn check(&self, input: &InputSpec) -> Result<()> {
        let channels = input.channel_axis().map_or(1, |axis| input.shape[axis.index()]);
        for (option, values) in [("--mean", &self.mean), ("--std", &self.std)] {
            let n = values.len();
            ensure!(n == 1 || n == channels, "{option}: {n} values, input {} has {channels} channels", input.name);
            ensure!(values.iter().all(|v| v.is_finite()), "{option}: values must be finite");
        }
        ensure!(self.std.iter().all(|&v| v > 0.0), "--std: values must be above 0");
        Ok(())
    }

    /// The values that pixels can become.
    pub fn range(&self) -> Range {
        let channels = self.mean.len().max(self.std.len());
        let ends = (0..channels).map(|c| (self.real(0, c), self.real(255, c)));
        let seed = Range { min: f32::INFINITY, max: f32::NEG_INFINITY };
        ends.fold(seed, |r, (min, max)| Range { min: r.min.min(min), max: r.max.max(max) })
    }

    fn real(&self, pixel: u8, channel: usize) -> f32 {
        let of = |values: &[f32]| values[if values.len() == 1 { 0 } else { channel }];
        (f32::from(pixel) / 255.0 - of(&self.mean)) / of(&self.std)
    }

    /// The pixels of one sample, in the device's layout, as the model takes them.
    pub(super) fn apply(&self, input: &InputSpec, pixels: &ArrayD<u8>) -> ArrayD<f32> {
        let mut real = pixels.mapv(|p| self.real(p, 0));
        if let (Some(axis), true) = (input.channel_axis(), self.mean.len().max(self.std.len()) > 1) {
            for (c, mut channel) in real.axis_iter_mut(axis).enumerate() {
                channel.zip_mut_with(&pixels.index_axis(axis, c), |real, &p| *real = self.real(p, c));
            }
        }
        real
    }

    /// A picture as the model takes it: grey or RGB as the input has one channel or three.
    pub(super) fn picture(&self, input: &InputSpec, path: &Path) -> Result<ArrayD<f32>> {
        let what = path.display();
        let axes = input.image().with_context(|| {
            format!(
                "{what}: input {} of shape {} is no picture, or its axis of colours cannot be told: give samples as .npy",
                input.name,
                input.wanted()
            )
        })?;
        let [height, width, channels] = [axes.height, axes.width, axes.channel].map(|axis| input.shape[axis]);
        let mut picture = image::open(path).with_context(|| what.to_string())?;
        let found = [picture.width(), picture.height()];
        if found.map(|d| d as usize) != [width, height] {
            let [w, h] = found;
            let size = self.size.with_context(|| {
                format!("{what}: {w}x{h} pixels, the model takes {width}x{height}: scale with --size {width}x{height}")
            })?;
            ensure!(
                size.map(|d| d as usize) == [width, height],
                "--size {}x{}: the model takes {width}x{height}",
                size[0],
                size[1]
            );
            picture = picture.resize_exact(size[0], size[1], FilterType::Triangle);
        }
        let bytes = if channels == 1 { picture.into_luma8().into_raw() } else { picture.into_rgb8().into_raw() };
        let pixels = ArrayD::from_shape_vec(vec![height, width, channels], bytes)?;
        // (H, W, C) → the order of the axes on the device
        let pixels = if axes.channel < axes.height { pixels.permuted_axes(vec![2, 0, 1]) } else { pixels };
        let pixels = if input.shape.len() == 4 { pixels.insert_axis(Axis(0)) } else { pixels };
        Ok(self.apply(input, &pixels.as_standard_layout().into_owned()))
    }
}
