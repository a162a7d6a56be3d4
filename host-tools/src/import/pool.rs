//! Pools.

use anyhow::{Result, ensure};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{MaxPool, PaddingSpec, SumPool};

use super::conv::Geometry;
use super::typed::{Importer, Wire};
use crate::ir::ValueId;
use crate::ops::{avg_pool2d::AvgPool2d, max_pool2d::MaxPool2d, pad::Pad};

impl Importer<'_> {
    pub(super) fn max_pool(&mut self, node: &TypedNode, op: &MaxPool, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.with_index_outputs.is_none(), "the positions of the maxima cannot be had: remove the second output");
        let x = self.value(node, inputs, 0)?;
        let Geometry { kernel, stride, dilation, pad } = Geometry::new(&op.pool_spec, &self.dims(x))?;
        ensure!(dilation == [1, 1], "dilated pools are not supported: dilations {dilation:?}");
        let x = self.enter_nhwc(&node.name, x, op.pool_spec.data_format)?;
        let y = self.push(&node.name, MaxPool2d { kernel, stride, pad }, &[x])?;
        self.leave_nhwc(node, y, op.pool_spec.data_format)
    }

    pub(super) fn sum_pool(&mut self, node: &TypedNode, op: &SumPool, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.normalize, "a pool that sums is not supported: average and multiply");
        let mut count_include_pad = op.count_include_pad;
        let x = self.value(node, inputs, 0)?;
        let mut given = self.dims(x);
        let mut spec = op.pool_spec.clone();
        let mut x = x;
        // The padding counts, but not what ceil mode adds: zeros are written out, and then only what is there counts.
        if let (true, PaddingSpec::ExplicitOnnxPool(before, after, true)) = (count_include_pad, &op.pool_spec.padding) {
            let axes = before.iter().zip(after).map(|(b, a)| (*b, *a));
            let mut pads = vec![(0, 0); given.len()];
            let first = if spec.data_format.c_is_last() { 1 } else { 2 };
            pads.iter_mut().skip(first).zip(axes).for_each(|(pad, axis)| *pad = axis);
            if pads.iter().any(|&pad| pad != (0, 0)) {
                x = self.push(&format!("{}.pad", node.name), Pad { pads, value: 0.0 }, &[x])?;
                given = self.dims(x);
            }
            let none: TVec<usize> = before.iter().map(|_| 0).collect();
            spec.padding = PaddingSpec::ExplicitOnnxPool(none.clone(), none, true);
            count_include_pad = false;
        }
        let geometry = Geometry::new(&spec, &given)?;
        ensure!(geometry.dilation == [1, 1], "dilated pools are not supported: dilations {:?}", geometry.dilation);
        let Geometry { kernel, stride, pad, .. } = geometry;
        let x = self.enter_nhwc(&node.name, x, spec.data_format)?;
        let y = self.push(&node.name, AvgPool2d { kernel, stride, pad, count_include_pad }, &[x])?;
        self.leave_nhwc(node, y, spec.data_format)
    }
}
