//! Transposed convolution as a convolution of stride 1 and a rearrangement of its channels.
//!
//! With stride s, output `q·s + r` of an axis reads the taps `r, r + s, r + 2s, …` of the kernel only, whatever q is. So
//! the s phases r are s sets of output channels of one convolution over the input as it is, which come to lie side by
//! side in space afterwards (the sub-pixel convolution of Shi et al., "Is the deconvolution layer the same as a
//! convolutional layer?", 2016). Nothing is computed that would be multiplied by inserted zeros, every sum is rounded
//! once, and every convolution kernel serves.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};

use super::opaque::{Call, Opaque, Operand, shape};
use super::typed::{Importer, floats};
use crate::ir::ValueId;
use crate::ops::{conv2d::Conv2d, slice::Slice};

/// One spatial axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Elements of the full result that are cut off in front.
    before: usize,
    output: usize,
}

impl Axis {
    /// The axis that makes a row an image.
    const ROW: Self = Self { input: 1, kernel: 1, stride: 1, dilation: 1, before: 0, output: 1 };

    /// Taps of each phase.
    fn taps(&self) -> usize {
        ((self.kernel - 1) * self.dilation + 1).div_ceil(self.stride)
    }

    /// Outputs of each phase.
    fn phase_len(&self) -> usize {
        (self.output + self.before).div_ceil(self.stride).max(self.input)
    }

    /// The tap of the kernel that is tap `t` of the convolution for phase `r`, if it is none of those between dilated
    /// taps.
    fn tap(&self, r: usize, t: usize) -> Option<usize> {
        let at = r + self.stride * (self.taps() - 1 - t);
        (at.is_multiple_of(self.dilation) && at / self.dilation < self.kernel).then_some(at / self.dilation)
    }
}

/// The spatial axes of a node.
fn axes(op: &Opaque, operands: &[Option<Operand>]) -> Result<Vec<Axis>> {
    let (x, w) = (shape(operands, 0)?, shape(operands, 1)?);
    let rank = x.len().checked_sub(2).filter(|r| *r > 0 && w.len() == x.len()).context("no spatial axis")?;
    let list = |name: &str, default: usize| -> Result<Vec<usize>> {
        let found = op.sizes(name)?.unwrap_or_else(|| vec![default; rank]);
        ensure!(found.len() == rank, "{name} has {} entries for {rank} axes", found.len());
        Ok(found)
    };
    let (strides, dilations, added) = (list("strides", 1)?, list("dilations", 1)?, list("output_padding", 0)?);
    ensure!(strides.iter().chain(&dilations).all(|&v| v > 0), "strides and dilations must be positive");
    let auto = op.string("auto_pad", "NOTSET")?;
    let pads = match auto.as_str() {
        "NOTSET" | "" => op.ints("pads")?.unwrap_or_else(|| vec![0; 2 * rank]),
        _ => vec![0; 2 * rank],
    };
    ensure!(pads.len() == 2 * rank && pads.iter().all(|&p| p >= 0), "pads {pads:?} are not supported");
    let wanted = op.sizes("output_shape")?;
    let axis = |i: usize| -> Result<Axis> {
        let (input, kernel) = (x[i + 2], w[i + 2]);
        let full = strides[i] * (input - 1) + added[i] + (kernel - 1) * dilations[i] + 1;
        let wanted = match (&wanted, auto.as_str()) {
            // Some models give the batch and the channels too.
            (Some(shape), _) => Some(*shape.iter().rev().nth(rank - 1 - i).context("output_shape is too short")?),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(input * strides[i]),
            _ => None,
        };
        let (before, output) = match wanted {
            Some(output) => {
                let cut = full.saturating_sub(output);
                (if auto == "SAME_UPPER" { cut / 2 } else { cut - cut / 2 }, output)
            }
            None => {
                let cut = (pads[i] + pads[i + rank]) as usize;
                (pads[i] as usize, full.checked_sub(cut).context("the pads cut off everything")?)
            }
        };
        ensure!(output > 0, "the output has no element");
        Ok(Axis { input, kernel, stride: strides[i], dilation: dilations[i], before, output })
    };
    (0..rank).map(axis).collect()
}

fn groups(op: &Opaque) -> Result<usize> {
    usize::try_from(op.int("group", 1)?).ok().filter(|&g| g > 0).context("attribute group")
}

pub(super) fn shapes(op: &Opaque, operands: &[Option<Operand>]) -> Result<Vec<Vec<usize>>> {
    let (x, w) = (shape(operands, 0)?, shape(operands, 1)?);
    let axes = axes(op, operands)?;
    let outputs = axes.iter().map(|a| a.output);
    Ok(vec![[x[0], w[1] * groups(op)?].into_iter().chain(outputs).collect()])
}

pub(super) fn import(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let operands = call.operands(importer)?;
    let [h, w] = match axes(call.op, &operands)?.as_slice() {
        [w] => [Axis::ROW, *w],
        [h, w] => [*h, *w],
        other => anyhow::bail!("only one or two spatial axes are supported, this has {}", other.len()),
    };
    let (name, groups) = (call.name(), groups(call.op)?);
    let onnx_shape = shape(&operands, 0)?.to_vec();
    let (batch, channels) = (onnx_shape[0], onnx_shape[1]);
    let kernel = floats(call.constant(1)?)?;
    let per_group = kernel.shape()[1]; // outputs of a group
    let inputs = channels / groups;
    ensure!(inputs * groups == channels && kernel.shape()[0] == channels, "channels do not divide into groups");
    let kernel = kernel.into_shape_with_order((channels, per_group, h.kernel, w.kernel))?;
    let phases = h.stride * w.stride;
    // Filter (group, phase, output of the group), so that a group's filters stay together.
    let place = |filter: usize| {
        let (group, rest) = (filter / (phases * per_group), filter % (phases * per_group));
        (group, rest / per_group, rest % per_group)
    };
    let filters = groups * phases * per_group;
    let weights = ArrayD::from_shape_fn(IxDyn(&[filters, h.taps(), w.taps(), inputs]), |at| {
        let (group, phase, o) = place(at[0]);
        match (h.tap(phase / w.stride, at[1]), w.tap(phase % w.stride, at[2])) {
            (Some(i), Some(j)) => kernel[(group * inputs + at[3], o, i, j)],
            _ => 0.0,
        }
    });
    let x = call.value(importer, 0)?;
    let x = importer.reshape(&format!("{name}.to_nchw"), x, &[batch, channels, h.input, w.input])?;
    let x = importer.transpose(&format!("{name}.to_nhwc"), x, &[0, 2, 3, 1])?;
    let mut values = vec![x, importer.graph.constant(format!("{name}.weight"), weights)];
    if call.has(2) {
        let bias = floats(call.constant(2)?)?;
        ensure!(bias.len() == groups * per_group, "{} biases for {} channels", bias.len(), groups * per_group);
        let bias: Vec<f32> = bias.iter().copied().collect();
        let of = |filter: usize| {
            let (group, _, o) = place(filter);
            bias[group * per_group + o]
        };
        let bias = ArrayD::from_shape_fn(IxDyn(&[filters]), |at| of(at[0]));
        values.push(importer.graph.constant(format!("{name}.bias"), bias));
    }
    let (top, left) = (h.taps() - 1, w.taps() - 1);
    let conv = Conv2d {
        kernel: [h.taps(), w.taps()],
        stride: [1, 1],
        pad: [top, left, h.phase_len() - h.input, w.phase_len() - w.input],
        dilation: [1, 1],
        groups,
        clamp: None,
    };
    let y = importer.push(name, conv, &values)?;
    let (rows, columns) = (h.phase_len(), w.phase_len());
    let split = [batch, rows, columns, groups, h.stride, w.stride, per_group];
    let y = importer.reshape(&format!("{name}.phases"), y, &split)?;
    let y = importer.transpose(&format!("{name}.interleave"), y, &[0, 1, 4, 2, 5, 3, 6])?;
    let image = [batch, rows * h.stride, columns * w.stride, groups * per_group];
    let mut y = importer.reshape(&format!("{name}.image"), y, &image)?;
    for (axis, a) in [(1, h), (2, w)] {
        if a.output != image[axis] {
            let cut = Slice { axis, start: a.before, end: a.before + a.output, step: 1 };
            y = importer.push(&format!("{name}.cut"), cut, &[y])?;
        }
    }
    let y = importer.transpose(&format!("{name}.from_nhwc"), y, &[0, 3, 1, 2])?;
    let shape = importer.shape(call.node.id.into())?;
    Ok(vec![importer.reshape(&format!("{name}.from_image"), y, &shape)?])
}
