//! Pools.

use anyhow::{Result, ensure};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{MaxPool, PaddingSpec, PoolSpec, SumPool};

use super::conv::Geometry;
use super::typed::{Importer, Wire};
use crate::ir::ValueId;
use crate::ops::{Op, avg_pool2d::AvgPool2d, max_pool2d::MaxPool2d};

impl Importer<'_> {
    pub(super) fn max_pool(&mut self, node: &TypedNode, op: &MaxPool, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.with_index_outputs.is_none(), "the positions of the maxima cannot be had: remove the second output");
        self.pool(node, &op.pool_spec, inputs, |g| MaxPool2d { kernel: g.kernel, stride: g.stride, pad: g.pad }.into())
    }

    pub(super) fn sum_pool(&mut self, node: &TypedNode, op: &SumPool, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.normalize, "a pool that sums is not supported: average and multiply");
        if op.count_include_pad
            && let PaddingSpec::ExplicitOnnxPool(_, after, true) = &op.pool_spec.padding
        {
            let geometry = Geometry::new(&op.pool_spec, &self.shape(node.inputs[0])?)?;
            let within = match after.as_slice() {
                [w] => geometry.pad[3] <= *w,
                [h, w] => geometry.pad[2] <= *h && geometry.pad[3] <= *w,
                _ => false,
            };
            ensure!(within, "an average that counts the padding but not what ceil mode adds is not supported");
        }
        let count_include_pad = op.count_include_pad;
        self.pool(node, &op.pool_spec, inputs, |g| {
            AvgPool2d { kernel: g.kernel, stride: g.stride, pad: g.pad, count_include_pad }.into()
        })
    }

    fn pool(
        &mut self,
        node: &TypedNode,
        spec: &PoolSpec,
        inputs: &[Wire],
        make: impl FnOnce(&Geometry) -> Op,
    ) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        let geometry = Geometry::new(spec, &self.dims(x))?;
        ensure!(geometry.dilation == [1, 1], "dilated pools are not supported: dilations {:?}", geometry.dilation);
        let x = self.enter_nhwc(&node.name, x, spec.data_format)?;
        let y = self.push(&node.name, make(&geometry), &[x])?;
        self.leave_nhwc(node, y, spec.data_format)
    }
}
