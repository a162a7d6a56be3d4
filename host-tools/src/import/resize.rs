//! Resize and Upsample: every form of every operator set as constant weights along each axis.
//!
//! The definitions are those of ONNX's reference implementation. Coordinates are computed in f32, as the common runtimes
//! do: where a coordinate falls on a boundary, the rounding of f32 is part of the model's meaning.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::prelude::*;

use super::opaque::{Call, Opaque, Operand, shape};
use super::typed::Importer;
use crate::ir::ValueId;
use crate::ops::resample2d::Taps;

/// How an output coordinate maps to an input coordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    CropAndResize,
}

impl FromStr for Coordinates {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "half_pixel" => Self::HalfPixel,
            "half_pixel_symmetric" => Self::HalfPixelSymmetric,
            "pytorch_half_pixel" => Self::PytorchHalfPixel,
            "align_corners" => Self::AlignCorners,
            "asymmetric" => Self::Asymmetric,
            "tf_crop_and_resize" => Self::CropAndResize,
            other => bail!("the coordinate transformation {other} is not supported"),
        })
    }
}

/// Which of its two neighbours a coordinate takes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

impl FromStr for Nearest {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "round_prefer_floor" => Self::PreferFloor,
            "round_prefer_ceil" => Self::PreferCeil,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            other => bail!("the rounding {other} is not supported"),
        })
    }
}

/// How the value between elements is made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Nearest(Nearest),
    Linear,
    Cubic(f64),
}

/// One axis to be resized.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    scale: f32,
    /// Start and end of the region of interest, relative to the axis.
    roi: (f32, f32),
}

/// The whole operation.
struct Resize {
    /// An entry an axis; `None` stays as it is.
    axes: Vec<Option<Axis>>,
    mode: Mode,
    coordinates: Coordinates,
    antialias: bool,
    exclude_outside: bool,
    extrapolation: f32,
}

fn numbers<T: Datum + Copy>(operand: Option<&Operand>, what: &str) -> Result<Option<Vec<T>>> {
    let Some(operand) = operand else { return Ok(None) };
    let value = operand.value.as_ref().with_context(|| format!("the {what} are computed from an input"))?;
    let cast = value.cast_to::<T>()?;
    let list = cast.try_as_plain_ram()?.as_slice::<T>()?.to_vec();
    Ok((!list.is_empty()).then_some(list))
}

impl Resize {
    fn new(op: &Opaque, operands: &[Option<Operand>]) -> Result<Self> {
        let x = shape(operands, 0)?.to_vec();
        let old = op.op_type() == "Upsample" || op.opset < 11;
        let operand = |slot: usize| operands.get(slot).and_then(Option::as_ref);
        let (scales, sizes, roi) = if old {
            let scales = match op.floats("scales")? {
                Some(scales) => Some(scales),
                None => numbers::<f32>(operand(1), "scales")?,
            };
            (scales, None, None)
        } else {
            let sizes = numbers::<i64>(operand(3), "sizes")?;
            let scales = if sizes.is_none() { numbers::<f32>(operand(2), "scales")? } else { None };
            let cropped = op.string("coordinate_transformation_mode", "half_pixel")? == "tf_crop_and_resize";
            (scales, sizes, if cropped { numbers::<f32>(operand(1), "region of interest")? } else { None })
        };
        let axes: Vec<usize> = match op.ints("axes")? {
            Some(axes) => {
                let wrap = |a: &i64| usize::try_from(if *a < 0 { a + x.len() as i64 } else { *a });
                axes.iter().map(wrap).collect::<Result<_, _>>()?
            }
            None => (0..x.len()).collect(),
        };
        let given = scales.as_ref().map(Vec::len).or(sizes.as_ref().map(Vec::len)).context("no scales and no sizes")?;
        ensure!(given == axes.len() && axes.iter().all(|&a| a < x.len()), "{given} scales for {} axes", axes.len());
        ensure!(roi.as_ref().is_none_or(|r| r.len() == 2 * axes.len()), "a region of interest of other length");
        let policy = op.string("keep_aspect_ratio_policy", "stretch")?;
        let kept = sizes.as_ref().filter(|_| policy != "stretch").map(|sizes| {
            let ratios = axes.iter().zip(sizes).map(|(&a, &size)| size as f32 / x[a] as f32);
            if policy == "not_larger" { ratios.fold(f32::INFINITY, f32::min) } else { ratios.fold(0.0, f32::max) }
        });
        let mut found = vec![None; x.len()];
        for (i, &a) in axes.iter().enumerate() {
            let input = x[a];
            let (output, scale) = match (&scales, &sizes, kept) {
                (Some(scales), ..) => ((input as f32 * scales[i]).floor() as usize, scales[i]),
                (None, Some(_), Some(kept)) => ((input as f32 * kept + 0.5).floor() as usize, kept),
                (None, Some(sizes), None) => (usize::try_from(sizes[i])?, sizes[i] as f32 / input as f32),
                (None, None, _) => bail!("no scales and no sizes"),
            };
            ensure!(output > 0 && scale > 0.0, "axis {a} is resized to nothing");
            let roi = roi.as_ref().map_or((0.0, 1.0), |r| (r[i], r[i + axes.len()]));
            found[a] = Some(Axis { input, output, scale, roi });
        }
        let coordinates =
            if old { Coordinates::Asymmetric } else { op.choice("coordinate_transformation_mode", "half_pixel")? };
        let mode = match op.string("mode", "nearest")?.as_str() {
            "nearest" if old => Mode::Nearest(Nearest::Floor),
            "nearest" => Mode::Nearest(op.choice("nearest_mode", "round_prefer_floor")?),
            "linear" | "bilinear" => Mode::Linear,
            "cubic" => Mode::Cubic(op.float("cubic_coeff_a", -0.75)?.into()),
            other => bail!("the mode {other} is not supported"),
        };
        Ok(Self {
            axes: found,
            mode,
            coordinates,
            antialias: op.int("antialias", 0)? != 0,
            exclude_outside: op.int("exclude_outside", 0)? != 0,
            extrapolation: op.float("extrapolation_value", 0.0)?,
        })
    }

    /// The weights of one axis.
    fn taps(&self, axis: &Axis) -> Result<Taps> {
        let mut outputs = Vec::new();
        for i in 0..axis.output {
            let at = self.coordinate(axis, i as f32);
            let last = (axis.input - 1) as f32;
            if self.coordinates == Coordinates::CropAndResize && !(0.0..=last).contains(&at) {
                ensure!(
                    self.extrapolation == 0.0,
                    "only an extrapolation value of 0 is supported, this is {}",
                    self.extrapolation
                );
                outputs.push(Vec::new());
                continue;
            }
            let (first, mut weights) = self.weights(at, axis.scale);
            let inside = |index: i64| (0..axis.input as i64).contains(&index);
            if self.exclude_outside {
                for (index, weight) in (first..).zip(&mut weights) {
                    *weight = if inside(index) { *weight } else { 0.0 };
                }
                let sum: f64 = weights.iter().sum();
                weights.iter_mut().for_each(|w| *w /= sum);
            }
            let clamped = (first..).map(|index| index.clamp(0, axis.input as i64 - 1) as usize);
            outputs.push(clamped.zip(weights).collect());
        }
        Ok(Taps::new(outputs))
    }

    /// The input coordinate of output `i`.
    fn coordinate(&self, axis: &Axis, i: f32) -> f32 {
        let (input, output) = (axis.input as f32, axis.output as f32);
        let half_pixel = (i + 0.5) / axis.scale - 0.5;
        // The length that the scale gives, before it is rounded.
        let exact = axis.scale * input;
        match self.coordinates {
            Coordinates::HalfPixel => half_pixel,
            Coordinates::HalfPixelSymmetric => input / 2.0 * (1.0 - output / exact) + half_pixel,
            Coordinates::PytorchHalfPixel if axis.output == 1 => -0.5,
            Coordinates::PytorchHalfPixel => half_pixel,
            Coordinates::AlignCorners if axis.output == 1 => 0.0,
            Coordinates::AlignCorners => i * (input - 1.0) / (exact - 1.0),
            Coordinates::Asymmetric => i / axis.scale,
            Coordinates::CropAndResize => {
                let (start, end) = axis.roi;
                let inner = match axis.output {
                    1 => (end - start) * (input - 1.0) / 2.0,
                    _ => i * (end - start) * (input - 1.0) / (exact - 1.0),
                };
                inner + start * (input - 1.0)
            }
        }
    }

    /// The first index, which may lie outside, and the weights from there on, for the coordinate `at`.
    fn weights(&self, at: f32, scale: f32) -> (i64, Vec<f64>) {
        let floor = at.floor();
        let (base, ratio) = (floor as i64, f64::from(at - floor));
        let scale = if self.antialias { f64::from(scale.min(1.0)) } else { 1.0 };
        let spread = |reach: f64, weight: &dyn Fn(f64) -> f64| {
            let start = (-reach / scale).floor() as i64 + 1;
            let end = reach as i64 - start + 1;
            let weights: Vec<f64> = (start..end).map(|k| weight(scale * (k as f64 - ratio))).collect();
            let sum: f64 = weights.iter().sum();
            (base + start, weights.iter().map(|w| w / sum).collect())
        };
        match self.mode {
            Mode::Nearest(nearest) => {
                let up = match nearest {
                    Nearest::PreferFloor => ratio > 0.5,
                    Nearest::PreferCeil => ratio >= 0.5,
                    Nearest::Floor => false,
                    Nearest::Ceil => ratio > 0.0,
                };
                (base + i64::from(up), vec![1.0])
            }
            Mode::Linear => spread(1.0, &|d| (1.0 - d.abs()).max(0.0)),
            Mode::Cubic(a) => spread(2.0, &|d| {
                let d = d.abs();
                match d {
                    _ if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
                    _ if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
                    _ => 0.0,
                }
            }),
        }
    }
}

pub(super) fn shapes(op: &Opaque, operands: &[Option<Operand>]) -> Result<Vec<Vec<usize>>> {
    let x = shape(operands, 0)?;
    let resize = Resize::new(op, operands)?;
    Ok(vec![resize.axes.iter().zip(x).map(|(axis, &len)| axis.map_or(len, |a| a.output)).collect()])
}

pub(super) fn import(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let resize = Resize::new(call.op, &call.operands(importer)?)?;
    let taps = resize.axes.iter().map(|axis| axis.as_ref().map(|a| resize.taps(a)).transpose());
    let taps = taps.collect::<Result<Vec<_>>>()?;
    let x = call.value(importer, 0)?;
    Ok(vec![importer.resample(call.name(), x, taps)?])
}
