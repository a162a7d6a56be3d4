//! Convolutions, and the way from tract's image layouts to NHWC and back.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, PoolSpec};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::typed::{Importer, Wire, constant, floats};
use crate::ir::ValueId;
use crate::ops::conv2d::Conv2d;

/// The geometry of a convolution or pool as two windows; one spatial axis is a row (H = 1).
pub(super) struct Geometry {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) pad: [usize; 4],
}

impl Geometry {
    /// The windows of `spec` on an image of the shape `input`.
    pub(super) fn new(spec: &PoolSpec, input: &[usize]) -> Result<Self> {
        let rank = spec.rank();
        ensure!((1..=2).contains(&rank), "only one or two spatial axes are supported, this has {rank}");
        let data = spec.data_format.shape(input)?;
        let padding = spec.computed_padding(data.hw_dims());
        let two = |of: &dyn Fn(usize) -> usize, missing: usize| match rank {
            1 => [missing, of(0)],
            _ => [of(0), of(1)],
        };
        let before = two(&|i| padding[i].pad_before, 0);
        // Ceil mode reaches over the padding: as much is added as the last window needs.
        let after = two(
            &|i| {
                let p = &padding[i];
                let extent = (spec.kernel_shape[i] - 1) * spec.dilation(i) + 1;
                let needed = (p.convoluted.max(1) - 1) * spec.stride(i) + extent;
                needed.saturating_sub(data.hw_dims()[i] + p.pad_before)
            },
            0,
        );
        Ok(Geometry {
            kernel: two(&|i| spec.kernel_shape[i], 1),
            stride: two(&|i| spec.stride(i), 1),
            dilation: two(&|i| spec.dilation(i), 1),
            pad: [before[0], before[1], after[0], after[1]],
        })
    }
}

impl Importer<'_> {
    pub(super) fn conv(&mut self, node: &TypedNode, op: &Conv, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.q_params.is_none(), "quantized ONNX nodes are not read yet: give the float model");
        let kernel = constant(inputs, 1).context("only constant weights: the kernel is computed from an input")?;
        let bias = constant(inputs, 2).context("only constant weights: the bias is computed from an input")?;
        let x = self.value(node, inputs, 0)?;
        let geometry = Geometry::new(&op.pool_spec, &self.dims(x))?;
        let [kh, kw] = geometry.kernel;
        let (outputs, per_group) = (op.output_channels(), op.input_channels() / op.group);
        // (group, O/group, I/group, KH·KW) → (O, KH, KW, I/group)
        let weights = floats(&op.kernel_fmt.kernel_as_group_o_i_hw(kernel, op.group)?)?;
        let weights = weights.into_shape_with_order(IxDyn(&[outputs, per_group, kh, kw]))?;
        let weights = weights.permuted_axes(IxDyn(&[0, 2, 3, 1])).as_standard_layout().into_owned();
        let mut operands = vec![self.enter_nhwc(&node.name, x, op.pool_spec.data_format)?];
        operands.push(self.graph.constant(format!("{}.weight", node.name), weights));
        let bias = floats(bias)?;
        if bias.iter().any(|&b| b != 0.0) {
            let bias = match bias.len() {
                1 => ArrayD::from_elem(IxDyn(&[outputs]), bias.iter().sum::<f32>()),
                _ => bias.into_shape_with_order(IxDyn(&[outputs]))?,
            };
            operands.push(self.graph.constant(format!("{}.bias", node.name), bias));
        }
        let Geometry { kernel, stride, dilation, pad } = geometry;
        let conv = Conv2d { kernel, stride, pad, dilation, groups: op.group, clamp: None };
        let y = self.push(&node.name, conv, &operands)?;
        self.leave_nhwc(node, y, op.pool_spec.data_format)
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
