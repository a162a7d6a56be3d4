//! Pools over one, two or three axes, dilated or not.

use anyhow::{Result, bail, ensure};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::conv::Span;
use super::typed::{Importer, Wire};
use crate::ir::ValueId;
use crate::ops::{
    Op,
    avg_pool2d::AvgPool2d,
    max_pool2d::MaxPool2d,
    pad::Pad,
    resample2d::{Resample2d, Taps},
};

impl Importer<'_> {
    pub(super) fn max_pool(&mut self, node: &TypedNode, op: &MaxPool, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.with_index_outputs.is_none(), "the positions of the maxima cannot be had: remove the second output");
        let x = self.value(node, inputs, 0)?;
        self.pool(node, &op.pool_spec, x, true, |[y, x]| {
            let [kernel, stride] = [[y.kernel, x.kernel], [y.stride, x.stride]];
            MaxPool2d { kernel, stride, pad: [y.before, x.before, y.after, x.after] }.into()
        })
    }

    pub(super) fn sum_pool(&mut self, node: &TypedNode, op: &SumPool, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(op.normalize, "a pool that sums is not supported: average and multiply");
        let mut count_include_pad = op.count_include_pad;
        let mut spec = op.pool_spec.clone();
        let mut x = self.value(node, inputs, 0)?;
        // The padding counts, but not what ceil mode adds: zeros are written out, and then only what is there counts.
        if let (true, PaddingSpec::ExplicitOnnxPool(before, after, true)) = (count_include_pad, &op.pool_spec.padding) {
            let first = if spec.data_format.c_is_last() { 1 } else { 2 };
            let mut pads = vec![(0, 0); self.dims(x).len()];
            let axes = before.iter().zip(after).map(|(b, a)| (*b, *a));
            pads.iter_mut().skip(first).zip(axes).for_each(|(pad, axis)| *pad = axis);
            if pads.iter().any(|&pad| pad != (0, 0)) {
                x = self.push(&format!("{}.pad", node.name), Pad { pads, value: 0.0 }, &[x])?;
            }
            let none: TVec<usize> = before.iter().map(|_| 0).collect();
            spec.padding = PaddingSpec::ExplicitOnnxPool(none.clone(), none, true);
            count_include_pad = false;
        }
        // The number of elements in a window is the product of those along its axes: axes can be averaged in turn.
        self.pool(node, &spec, x, false, |[y, x]| {
            let [kernel, stride] = [[y.kernel, x.kernel], [y.stride, x.stride]];
            AvgPool2d { kernel, stride, pad: [y.before, x.before, y.after, x.after], count_include_pad }.into()
        })
    }

    /// A pool, made by `make` for the windows of two axes; where padding does not count, `extremes` says that an element
    /// counted twice does not matter.
    fn pool(
        &mut self,
        node: &TypedNode,
        spec: &PoolSpec,
        x: ValueId,
        extremes: bool,
        make: impl Fn([Span; 2]) -> Op,
    ) -> Result<ValueId> {
        let spans = Span::of(spec, &self.dims(x))?;
        let name = &node.name;
        match *spans.as_slice() {
            [w] => {
                let x = self.enter_nhwc(name, x, spec.data_format)?;
                let y = self.pool2d(name, x, [Span::POINT, w], extremes, make)?;
                self.leave_nhwc(node, y, spec.data_format)
            }
            [h, w] => {
                let x = self.enter_nhwc(name, x, spec.data_format)?;
                let y = self.pool2d(name, x, [h, w], extremes, make)?;
                self.leave_nhwc(node, y, spec.data_format)
            }
            [d, h, w] => {
                ensure!(spec.data_format == DataFormat::NCHW, "a volume in the layout {:?}", spec.data_format);
                let &[n, c, depth, height, width] = self.dims(x).as_slice() else { bail!("a volume has five axes") };
                let x = self.transpose(&format!("{name}.to_ndhwc"), x, &[0, 2, 3, 4, 1])?;
                let x = self.reshape(&format!("{name}.slices"), x, &[n * depth, height, width, c])?;
                let y = self.pool2d(&format!("{name}.slice"), x, [h, w], extremes, &make)?;
                let &[_, height, width, _] = self.dims(y).as_slice() else { bail!("an image has four axes") };
                let y = self.reshape(&format!("{name}.columns"), y, &[n, depth, height * width, c])?;
                let y = self.pool2d(name, y, [d, Span::POINT], extremes, &make)?;
                let depth = self.dims(y)[1];
                let y = self.reshape(&format!("{name}.volume"), y, &[n, depth, height, width, c])?;
                self.transpose(&format!("{name}.from_ndhwc"), y, &[0, 4, 1, 2, 3])
            }
            _ => bail!("only one to three spatial axes are supported"),
        }
    }

    /// A pool of an NHWC image. The elements of dilated windows are first put side by side.
    fn pool2d(
        &mut self,
        name: &str,
        x: ValueId,
        spans: [Span; 2],
        extremes: bool,
        make: impl Fn([Span; 2]) -> Op,
    ) -> Result<ValueId> {
        if spans.iter().all(|s| s.dilation == 1) {
            return self.push(name, make(spans), &[x]);
        }
        let dims = self.dims(x);
        let padded = spans.iter().any(|s| s.before + s.after > 0);
        ensure!(extremes || !padded, "an average over dilated windows with padding is not supported");
        let [rows, columns] = [(spans[0], dims[1]), (spans[1], dims[2])].map(|(span, len)| span.apart(len));
        let x = self.push(&format!("{name}.windows"), Resample2d { rows, columns }, &[x])?;
        let side_by_side = |s: Span| Span { stride: s.kernel, dilation: 1, before: 0, after: 0, ..s };
        self.push(name, make(spans.map(side_by_side)), &[x])
    }
}

impl Span {
    /// The elements of every window, one window after another; for one that lies in the padding stands another of its
    /// window.
    fn apart(&self, len: usize) -> Taps {
        let windows = (0..self.positions).flat_map(|i| {
            let at =
                move |k: usize| (i * self.stride + k * self.dilation).checked_sub(self.before).filter(|&j| j < len);
            let any = (0..self.kernel).find_map(at).unwrap_or(0);
            (0..self.kernel).map(move |k| vec![(at(k).unwrap_or(any), 1.0)])
        });
        Taps::new(windows)
    }
}
