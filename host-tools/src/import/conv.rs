//! Convolutions, and the way from tract's image layouts to NHWC and back.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, PoolSpec};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::typed::{Importer, Weights, Wire};
use crate::ir::ValueId;
use crate::ops::{add::Add, concat::Concat, conv2d::Conv2d, pad::Pad, slice::Slice};

/// The window of a convolution or pool along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) before: usize,
    pub(super) after: usize,
    /// Number of positions.
    pub(super) positions: usize,
}

impl Span {
    /// A window of one element at one position: the axis that makes a row an image.
    pub(super) const POINT: Self = Self { kernel: 1, stride: 1, dilation: 1, before: 0, after: 0, positions: 1 };

    /// The windows of `spec` along the spatial axes of a tensor of the shape `input`.
    pub(super) fn of(spec: &PoolSpec, input: &[usize]) -> Result<Vec<Self>> {
        let data = spec.data_format.shape(input)?;
        let padding = spec.computed_padding(data.hw_dims());
        let span = |i: usize| {
            let (kernel, stride, dilation) = (spec.kernel_shape[i], spec.stride(i), spec.dilation(i));
            let (before, positions) = (padding[i].pad_before, padding[i].convoluted.max(1));
            // Ceil mode reaches over the padding: as much is added as the last window needs.
            let needed = (positions - 1) * stride + (kernel - 1) * dilation + 1;
            let after = needed.saturating_sub(data.hw_dims()[i] + before);
            Self { kernel, stride, dilation, before, after, positions }
        };
        Ok((0..spec.rank()).map(span).collect())
    }
}

impl Importer<'_> {
    pub(super) fn conv(&mut self, node: &TypedNode, op: &Conv, inputs: &[Wire]) -> Result<ValueId> {
        let kernel = Weights::of(inputs, 1)?.context("only constant weights: the kernel is computed from an input")?;
        // A bias that is computed is added behind the convolution.
        let (bias, computed) = match Weights::of(inputs, 2)? {
            Some(bias) => (bias, None),
            None => (Weights::zeros(op.output_channels()), Some(self.value(node, inputs, 2)?)),
        };
        let x = self.value(node, inputs, 0)?;
        if op.pool_spec.rank() == 3 {
            ensure!(computed.is_none(), "only constant weights: the bias is computed from an input");
            let kernel = kernel.moved(|kernel| op.kernel_fmt.kernel_as_group_o_i_hw(kernel, op.group))?;
            return self.conv3d(node, op, x, &kernel, &bias);
        }
        let [h, w] = match *Span::of(&op.pool_spec, &self.dims(x))?.as_slice() {
            [w] => [Span::POINT, w],
            [h, w] => [h, w],
            _ => bail!("only one to three spatial axes are supported"),
        };
        let [kh, kw] = [h.kernel, w.kernel];
        let (outputs, per_group) = (op.output_channels(), op.input_channels() / op.group);
        // (group, O/group, I/group, KH·KW) → (O, KH, KW, I/group)
        let weights = kernel.moved(|kernel| op.kernel_fmt.kernel_as_group_o_i_hw(kernel, op.group))?;
        let weights = weights.rearranged(|at| {
            let at = at.into_shape_with_order(IxDyn(&[outputs, per_group, kh, kw]))?;
            Ok(at.permuted_axes(IxDyn(&[0, 2, 3, 1])))
        })?;
        let mut operands = vec![self.enter_nhwc(&node.name, x, op.pool_spec.data_format)?];
        operands.push(weights.add_to(&mut self.graph, format!("{}.weight", node.name)));
        operands.extend(self.conv_bias(&node.name, &bias, outputs)?);
        let conv = Conv2d {
            kernel: [kh, kw],
            stride: [h.stride, w.stride],
            pad: [h.before, w.before, h.after, w.after],
            dilation: [h.dilation, w.dilation],
            groups: op.group,
            clamp: None,
        };
        let mut y = self.push(&node.name, conv, &operands)?;
        if let Some(bias) = computed {
            let len = self.dims(bias).iter().product();
            let bias = self.reshape(&format!("{}.bias", node.name), bias, &[1, 1, 1, len])?;
            y = self.push(&format!("{}.biased", node.name), Add { clamp: None }, &[y, bias])?;
        }
        self.leave_nhwc(node, y, op.pool_spec.data_format)
    }

    /// The bias of a convolution with so many output channels, if there is one.
    fn conv_bias(&mut self, name: &str, bias: &Weights, outputs: usize) -> Result<Option<ValueId>> {
        if bias.reals.iter().all(|&b| b == 0.0) {
            return Ok(None);
        }
        let len = bias.reals.len();
        ensure!(len == 1 || len == outputs, "{len} biases for {outputs} channels");
        let bias = bias.at(&ArrayD::from_shape_fn(IxDyn(&[outputs]), |at| at[0] % len));
        Ok(Some(bias.add_to(&mut self.graph, format!("{name}.bias"))))
    }

    /// A convolution over three axes as one over two: the taps along the first become input channels, so that every sum
    /// is still rounded once. `kernel` is (group, O/group, I/group, KD·KH·KW).
    fn conv3d(&mut self, node: &TypedNode, op: &Conv, x: ValueId, kernel: &Weights, bias: &Weights) -> Result<ValueId> {
        let (name, spec, groups) = (&node.name, &op.pool_spec, op.group);
        ensure!(spec.data_format == DataFormat::NCHW, "a volume in the layout {:?} is not supported", spec.data_format);
        let &[n, c, d, h, w] = self.dims(x).as_slice() else { bail!("a volume must have five axes") };
        let padding = spec.computed_padding(&[d, h, w]);
        let [kd, kh, kw] = [0, 1, 2].map(|i| spec.kernel_shape[i]);
        let (outputs, per_group) = (op.output_channels(), c / groups);
        let depth = padding[0].convoluted;
        let x = self.transpose(&format!("{name}.to_ndhwc"), x, &[0, 2, 3, 4, 1])?;
        let mut pads = vec![(0, 0); 5];
        pads[1] = (padding[0].pad_before, padding[0].pad_after);
        let x = if pads[1] == (0, 0) { x } else { self.push(&format!("{name}.pad"), Pad { pads, value: 0.0 }, &[x])? };
        let mut taps = Vec::with_capacity(kd);
        for k in 0..kd {
            let (start, step) = (k * spec.dilation(0), spec.stride(0));
            let slice = Slice { axis: 1, start, end: start + (depth - 1) * step + 1, step };
            let tap = self.push(&format!("{name}.tap{k}"), slice, &[x])?;
            taps.push(self.reshape(&format!("{name}.tap{k}.image"), tap, &[n * depth, h, w, groups, per_group])?);
        }
        let joined = match taps.as_slice() {
            [only] => *only,
            _ => self.push(&format!("{name}.taps"), Concat { axis: 4 }, &taps)?,
        };
        let image = self.reshape(&format!("{name}.image"), joined, &[n * depth, h, w, groups * kd * per_group])?;
        let weights = kernel.rearranged(|at| {
            let at = at.into_shape_with_order(IxDyn(&[outputs, per_group, kd, kh, kw]))?;
            let at = at.permuted_axes(IxDyn(&[0, 3, 4, 2, 1])).as_standard_layout().into_owned();
            Ok(at.into_shape_with_order(IxDyn(&[outputs, kh, kw, kd * per_group]))?)
        })?;
        let mut operands = vec![image, weights.add_to(&mut self.graph, format!("{name}.weight"))];
        operands.extend(self.conv_bias(name, bias, outputs)?);
        let [top, left] = [1, 2].map(|i| padding[i].pad_before);
        let [bottom, right] = [1, 2].map(|i| padding[i].pad_after);
        let conv = Conv2d {
            kernel: [kh, kw],
            stride: [spec.stride(1), spec.stride(2)],
            pad: [top, left, bottom, right],
            dilation: [spec.dilation(1), spec.dilation(2)],
            groups,
            clamp: None,
        };
        let y = self.push(name, conv, &operands)?;
        let (oh, ow) = (padding[1].convoluted, padding[2].convoluted);
        let y = self.reshape(&format!("{name}.volume"), y, &[n, depth, oh, ow, outputs])?;
        self.transpose(&format!("{name}.from_ndhwc"), y, &[0, 4, 1, 2, 3])
    }

    /// An image in the layout of `format` as NHWC; one spatial axis becomes a row.
    pub(super) fn enter_nhwc(&mut self, name: &str, x: ValueId, format: DataFormat) -> Result<ValueId> {
        let dims = self.dims(x);
        let data = format.shape(dims.as_slice())?;
        let n = data.n().copied().unwrap_or(1);
        let (h, w) = match *data.hw_dims() {
            [w] => (1, w),
            [h, w] => (h, w),
            _ => bail!("only one or two spatial axes are supported: the image has the shape {dims:?}"),
        };
        let c = *data.c();
        if format.c_is_last() {
            return self.reshape(&format!("{name}.to_nhwc"), x, &[n, h, w, c]);
        }
        let x = self.reshape(&format!("{name}.to_nchw"), x, &[n, c, h, w])?;
        self.transpose(&format!("{name}.to_nhwc"), x, &[0, 2, 3, 1])
    }

    /// An NHWC image in the layout of `format` and the shape of the node's output.
    pub(super) fn leave_nhwc(&mut self, node: &TypedNode, y: ValueId, format: DataFormat) -> Result<ValueId> {
        let shape = self.shape(node.id.into())?;
        let y =
            if format.c_is_last() { y } else { self.transpose(&format!("{}.from_nhwc", node.name), y, &[0, 3, 1, 2])? };
        self.reshape(&format!("{}.from_image", node.name), y, &shape)
    }
}
