//! From the pixels of a camera to the input of a model.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use teff::Model;
use teff::format::Tensor;

/// How a frame's pixels lie in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A byte a pixel.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Two pixels in four bytes: Y, U, Y, V, as BT.601 in video range has them.
    Yuyv,
}

/// The size of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels of a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Bytes from the start of a line to that of the next.
    pub stride: usize,
}

/// What the model's file says of pixels, as `teff convert` wrote it: `real = (pixel / 255 - mean) / std`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Preprocess {
    mean: Vec<f32>,
    std: Vec<f32>,
}

/// Makes pictures of the size of a model's input, quantized as the model takes them.
pub struct Fitter {
    size: [usize; 3],
    preprocess: Preprocess,
    tensor: Tensor<'static>,
}

impl Layout {
    /// Bytes that `width` pixels take.
    pub fn line(self, width: usize) -> usize {
        match self {
            Self::Grey => width,
            Self::Rgb => 3 * width,
            Self::Yuyv => 2 * width.next_multiple_of(2),
        }
    }

    /// Red, green and blue of the pixel `x` of a line.
    fn pixel(self, line: &[u8], x: usize) -> [u8; 3] {
        match self {
            Self::Grey => [line[x]; 3],
            Self::Rgb => [line[3 * x], line[3 * x + 1], line[3 * x + 2]],
            Self::Yuyv => {
                let pair = x / 2 * 4;
                let (y, u, v) = (line[2 * x].into(), line[pair + 1].into(), line[pair + 3].into());
                rgb(y, u, v)
            }
        }
    }
}

/// BT.601 from video range (Y 16 to 235, U and V 16 to 240) in 1/256, rounded.
fn rgb(y: i32, u: i32, v: i32) -> [u8; 3] {
    let (y, u, v) = (298 * (y - 16) + 128, u - 128, v - 128);
    [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u].map(|channel| (channel >> 8).clamp(0, 255) as u8)
}

impl Fitter {
    /// For the first input of `model`.
    ///
    /// # Errors
    /// If that is no picture of one or three channels, or the file does not say what its pixels are.
    pub fn new(model: &'static Model<'static>) -> Result<Self> {
        let port = model.entry(0).and_then(|entry| entry.inputs().next()).context("the model has no input")?;
        let tensor = port.tensor().context("the model's input is no tensor")?;
        let size = match tensor.nhwc() {
            Some([1, height, width, channels @ (1 | 3)]) => [height, width, channels],
            _ => anyhow::bail!(
                "the input {} of the model is {:?}, not one picture of 1 or 3 channels: a camera cannot feed it",
                port.name(),
                tensor.shape
            ),
        };
        let stored = model.metadata_value("preprocess").context(
            "the model does not say what its pixels are: convert it with --calibration of pictures, or --mean and --std",
        )?;
        let preprocess: Preprocess = serde_json::from_str(stored).context("the model's metadata `preprocess`")?;
        let fits = |values: &Vec<f32>| values.len() == 1 || values.len() == size[2];
        ensure!(fits(&preprocess.mean) && fits(&preprocess.std), "the model's metadata `preprocess`: {preprocess:?}");
        Ok(Self { size, preprocess, tensor })
    }

    /// The bytes of the model's input for a frame: the middle of it, in the proportions of the input, each pixel the
    /// mean of those that it covers.
    ///
    /// # Errors
    /// If the frame is shorter than its size says.
    pub fn fit(&self, frame: &[u8], layout: Layout, from: Size) -> Result<Vec<u8>> {
        let [height, width, channels] = self.size;
        let needed = from.stride * from.height.saturating_sub(1) + layout.line(from.width);
        ensure!(from.width > 0 && from.height > 0, "the camera gives frames of {}×{}", from.width, from.height);
        ensure!(frame.len() >= needed, "a frame of {} bytes, {needed} are needed", frame.len());
        let crop_width = from.width.min((from.height * width / height).max(1));
        let crop_height = from.height.min((from.width * height / width).max(1));
        let columns = Cover { start: (from.width - crop_width) / 2, len: crop_width, parts: width };
        let lines = Cover { start: (from.height - crop_height) / 2, len: crop_height, parts: height };
        let mut reals = Vec::with_capacity(height * width * channels);
        for y in 0..height {
            for x in 0..width {
                let (mut sum, mut count) = ([0_u32; 3], 0);
                for line in lines.of(y) {
                    let line = &frame[line * from.stride..];
                    for column in columns.of(x) {
                        let pixel = layout.pixel(line, column);
                        sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(value));
                        count += 1;
                    }
                }
                let [r, g, b] = sum.map(|sum| (sum + count / 2) / count);
                if channels == 3 {
                    reals.extend([r, g, b].into_iter().enumerate().map(|(c, value)| self.real(value, c)));
                } else {
                    reals.push(self.real((299 * r + 587 * g + 114 * b + 500) / 1000, 0));
                }
            }
        }
        let mut bytes = vec![0; self.tensor.byte_len()];
        ensure!(self.tensor.write_reals(&mut bytes, reals), "the model's input is not as large as its shape says");
        Ok(bytes)
    }

    /// As `teff run` does it on the PC.
    fn real(&self, value: u32, channel: usize) -> f32 {
        let of = |values: &[f32]| values[if values.len() == 1 { 0 } else { channel }];
        (value as f32 / 255.0 - of(&self.preprocess.mean)) / of(&self.preprocess.std)
    }
}

/// A range that is divided into parts; each covers at least one place.
struct Cover {
    start: usize,
    len: usize,
    parts: usize,
}

impl Cover {
    fn of(&self, part: usize) -> std::ops::Range<usize> {
        let begin = part * self.len / self.parts;
        let end = ((part + 1) * self.len / self.parts).max(begin + 1);
        self.start + begin..self.start + end
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// For the shipped model, whose input is 28×28 with real values from 0 to 1, zero point −128, 1/255 a step.
    fn fitter() -> Fitter {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/lightcnn-mnist/model.teff");
        Fitter::new(crate::model::load(&path).unwrap().model()).unwrap()
    }

    fn pattern() -> Vec<u8> {
        (0..28 * 28).map(|n| (n * 37 % 256) as u8).collect()
    }

    #[test]
    fn a_frame_of_the_right_size_is_only_quantized() {
        let size = Size { width: 28, height: 28, stride: 28 };
        let expected: Vec<u8> = pattern().iter().map(|pixel| pixel ^ 0x80).collect();
        assert_eq!(fitter().fit(&pattern(), Layout::Grey, size).unwrap(), expected);
    }

    #[test]
    fn larger_frames_are_averaged_around_their_middle() {
        // Twice the size, with 10 more columns at each side and 3 bytes of padding behind each line.
        let (width, stride) = (56 + 20, 56 + 20 + 3);
        let mut frame = vec![255; stride * 56];
        for (y, line) in frame.chunks_mut(stride).enumerate() {
            for x in 0..56 {
                let value = pattern()[y / 2 * 28 + x / 2];
                // One below and one above: their mean is the value.
                line[10 + x] = if x % 2 == 0 { value.saturating_sub(1) } else { value.saturating_add(1) };
            }
        }
        let fitted = fitter().fit(&frame, Layout::Grey, Size { width, height: 56, stride }).unwrap();
        for (fitted, value) in fitted.iter().zip(pattern()) {
            let distance = i32::from(fitted ^ 0x80).abs_diff(value.into());
            assert!(distance <= u32::from(matches!(value, 0 | 255)), "{fitted} for {value}");
        }
    }

    #[test]
    fn small_frames_are_repeated() {
        let fitted = fitter().fit(&[7; 4], Layout::Grey, Size { width: 2, height: 2, stride: 2 }).unwrap();
        assert_eq!(fitted, [7 ^ 0x80; 28 * 28]);
    }

    #[test]
    fn colours_of_video_are_those_of_bt_601() {
        // Black, white, and the three pure colours, as the standard's table of 75 % and 100 % bars has them.
        let close = |yuv: [i32; 3], expected: [u8; 3]| {
            let found = rgb(yuv[0], yuv[1], yuv[2]);
            assert!(found.iter().zip(expected).all(|(f, e)| f.abs_diff(e) <= 2), "{yuv:?}: {found:?}");
        };
        close([16, 128, 128], [0, 0, 0]);
        close([235, 128, 128], [255, 255, 255]);
        close([81, 90, 240], [255, 0, 0]);
        close([145, 54, 34], [0, 255, 0]);
        close([41, 240, 110], [0, 0, 255]);
        // The pixels of a pair share U and V.
        let line = [81, 90, 16, 240];
        assert_eq!((Layout::Yuyv.pixel(&line, 0), Layout::Yuyv.pixel(&line, 1)), (rgb(81, 90, 240), rgb(16, 90, 240)));
    }

    #[test]
    fn a_frame_that_is_cut_is_an_error() {
        let size = Size { width: 28, height: 28, stride: 28 };
        let error = fitter().fit(&pattern()[1..], Layout::Grey, size).unwrap_err().to_string();
        assert_eq!(error, "a frame of 783 bytes, 784 are needed");
    }
}
