//! 2-D convolution, any grouping; depthwise is `groups == channels`.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array2, ArrayD, ArrayView2, IxDyn, linalg::general_mat_mul, s};
use teff::format::DataType;
use teff::kernels::conv;
use teff::ops::{CONV2D, DEPTHWISE_CONV2D, conv2d};

use crate::quantize::lower::{Lower, Lowering, small, smalls};
use super::{
    HostOp,
    clamp::Clamp,
    shape::{Window, arity, nhwc, windows},
};

/// `y[n,h,w,o] = clamp(b[o] + Σ_{kh,kw,i} w[o,kh,kw,i]·x[n, h·sh + kh·dh − top, w·sw + kw·dw − left, g(o)·I/g + i])`
///
/// * `x`: `(N, H, W, C)`; padded positions are zero
/// * `w`: constant `(O, KH, KW, C/groups)`
/// * `b`: constant `(O)`, optional
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Rows and columns of zeros around the image: top, left, bottom, right.
    pub pad: [usize; 4],
    /// Vertical and horizontal distance of the taps.
    pub dilation: [usize; 2],
    /// Number of groups; input and output channels are multiples of it.
    pub groups: usize,
    /// Bounds of the result.
    pub clamp: Option<Clamp>,
}

impl Conv2d {
    fn windows(&self) -> [Window; 2] {
        windows(self.kernel, self.stride, self.dilation, self.pad)
    }

    /// Each group as a matrix product over the patches of one output row.
    fn eval_dense(&self, x: &Image, w: &ArrayD<f32>, y: &mut [f32], [oh, ow, oc]: [usize; 3]) -> Result<()> {
        let [wy, wx] = self.windows();
        let (in_per, out_per) = (x.c / self.groups, oc / self.groups);
        let depth = self.kernel[0] * self.kernel[1] * in_per;
        let weights = w.as_standard_layout();
        let weights = weights.to_shape((oc, depth))?;
        let mut patches = Array2::<f32>::zeros((ow, depth));
        let mut rows = Array2::<f32>::zeros((ow, out_per));
        for n in 0..x.n {
            for at_y in 0..oh {
                let (ky0, ky1) = wy.taps(at_y, x.h);
                for g in 0..self.groups {
                    patches.fill(0.0);
                    for (at_x, mut patch) in patches.outer_iter_mut().enumerate() {
                        let patch = patch.as_slice_mut().unwrap_or_default();
                        let (kx0, kx1) = wx.taps(at_x, x.w);
                        for ky in ky0..ky1 {
                            for kx in kx0..kx1 {
                                let from = x.at(n, wy.index(at_y, ky), wx.index(at_x, kx)) + g * in_per;
                                let to = (ky * self.kernel[1] + kx) * in_per;
                                patch[to..to + in_per].copy_from_slice(&x.data[from..from + in_per]);
                            }
                        }
                    }
                    let group: ArrayView2<f32> = weights.slice(s![g * out_per..(g + 1) * out_per, ..]);
                    general_mat_mul(1.0, &patches, &group.t(), 0.0, &mut rows);
                    for (at_x, row) in rows.outer_iter().enumerate() {
                        let to = ((n * oh + at_y) * ow + at_x) * oc + g * out_per;
                        for (y, r) in y[to..to + out_per].iter_mut().zip(row) {
                            *y += r;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// One input channel a group: channels innermost.
    fn eval_depthwise(&self, x: &Image, w: &ArrayD<f32>, y: &mut [f32], [oh, ow, oc]: [usize; 3]) -> Result<()> {
        let [wy, wx] = self.windows();
        let taps = self.kernel[0] * self.kernel[1];
        let weights = w.to_shape((oc, taps))?;
        let weights = weights.t(); // (taps, O)
        let weights = weights.as_standard_layout();
        let multiplier = oc / x.c;
        for n in 0..x.n {
            for at_y in 0..oh {
                let (ky0, ky1) = wy.taps(at_y, x.h);
                for at_x in 0..ow {
                    let (kx0, kx1) = wx.taps(at_x, x.w);
                    let to = ((n * oh + at_y) * ow + at_x) * oc;
                    let out = &mut y[to..to + oc];
                    for ky in ky0..ky1 {
                        for kx in kx0..kx1 {
                            let from = x.at(n, wy.index(at_y, ky), wx.index(at_x, kx));
                            let pixel = &x.data[from..from + x.c];
                            let row = weights.row(ky * self.kernel[1] + kx);
                            let row = row.as_slice().unwrap_or_default();
                            if multiplier == 1 {
                                for ((y, x), w) in out.iter_mut().zip(pixel).zip(row) {
                                    *y += x * w;
                                }
                            } else {
                                for (o, (y, w)) in out.iter_mut().zip(row).enumerate() {
                                    *y += pixel[o / multiplier] * w;
                                }
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// A contiguous NHWC tensor.
struct Image<'a> {
    data: &'a [f32],
    n: usize,
    h: usize,
    w: usize,
    c: usize,
}

impl Image<'_> {
    /// Offset of the first channel of a pixel.
    fn at(&self, n: usize, y: usize, x: usize) -> usize {
        ((n * self.h + y) * self.w + x) * self.c
    }
}

impl HostOp for Conv2d {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Conv2d", inputs.len(), 2..=3)?;
        let [n, h, w, c] = nhwc("Conv2d", inputs[0])?;
        let [o, kh, kw, i] = nhwc("Conv2d weights", inputs[1])?;
        ensure!([kh, kw] == self.kernel, "Conv2d: kernel {:?}, weights of shape {:?}", self.kernel, inputs[1]);
        ensure!(
            self.groups > 0 && i * self.groups == c && o % self.groups == 0,
            "Conv2d: {c} channels, {} groups, weights of shape {:?}",
            self.groups,
            inputs[1]
        );
        if let Some(bias) = inputs.get(2) {
            ensure!(*bias == [o], "Conv2d: bias of shape {bias:?}, {o} output channels");
        }
        let [wy, wx] = self.windows();
        Ok(vec![n, wy.positions("Conv2d", h)?, wx.positions("Conv2d", w)?, o])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| x.shape()).collect();
        let shape = self.infer(&shapes)?;
        let [n, h, w, c] = nhwc("Conv2d", shapes[0])?;
        let data = inputs[0].as_standard_layout();
        let image = Image { data: data.as_slice().unwrap_or_default(), n, h, w, c };
        let mut y = ArrayD::<f32>::zeros(IxDyn(&shape));
        if let Some(bias) = inputs.get(2) {
            y += *bias;
        }
        let out = [shape[1], shape[2], shape[3]];
        let flat = y.as_slice_mut().unwrap_or_default();
        if self.groups == c && self.groups > 1 {
            self.eval_depthwise(&image, inputs[1], flat, out)?;
        } else {
            self.eval_dense(&image, inputs[1], flat, out)?;
        }
        Ok(Clamp::apply_to(self.clamp, y))
    }

    fn macs(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        inputs[1][1..].iter().chain(output).map(|&d| d as u64).product()
    }
}

impl Lower for Conv2d {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let w = cx.weights(1)?;
        let &[filters, kernel_h, kernel_w, depth] = cx.shape(1)? else { bail!("weights must have four axes") };
        let in_channels = *cx.shape(0)?.last().context("input has no axis")?;
        let per_filter = kernel_h * kernel_w * depth;
        let bias = (cx.operand_count() > 2).then_some(2);
        let quantized = cx.per_channel(w, filters, |i| i / per_filter, bias)?;
        let limits = cx.limits(self.clamp.as_ref())?;
        let depthwise = self.groups == in_channels && depth == 1 && self.groups > 1;
        let params = conv2d::Params {
            stride: smalls(self.stride)?,
            dilation: smalls(self.dilation)?,
            pad: smalls(self.pad)?,
            groups: if depthwise { 0 } else { small(self.groups)? },
            limits,
            reserved: 0,
        };
        let x = cx.x(0)?;
        let (op, w) = if depthwise {
            // (O, KH, KW, 1) → (KH, KW, O)
            let taps = kernel_h * kernel_w;
            let transposed: Vec<i8> =
                (0..taps * filters).map(|i| quantized.weights[i % filters * taps + i / filters]).collect();
            let shape = [kernel_h, kernel_w, filters];
            (&DEPTHWISE_CONV2D, cx.constant("weights", DataType::I8, &shape, &transposed))
        } else {
            let shape = [filters, kernel_h, kernel_w, depth];
            (&CONV2D, cx.constant("weights", DataType::I8, &shape, &quantized.weights))
        };
        let [bias, mult, shift] = quantized.requant;
        cx.step(op, &[x, w, bias, mult, shift], &params)?;
        let [batch, in_h, in_w, _] = nhwc("Conv2d", cx.shape(0)?)?;
        let [_, out_h, out_w, out_channels] = nhwc("Conv2d", cx.out_shape())?;
        let window = params.window([in_h, in_w], [out_h, out_w], self.kernel);
        if depthwise {
            if !conv::planar::applies_in_place(&window, out_channels / in_channels) {
                cx.keep_apart();
            }
        } else {
            cx.may_overlap(conv::overlap(batch, &window, in_channels, out_channels));
        }
        cx.wish_scratch(wished_scratch(&params, &window, [in_channels, out_channels]));
        Ok(())
    }
}

/// Bytes of scratch memory with which an int8 convolution of so many input and output channels is fastest, where that is more than
/// it needs.
pub(crate) fn wished_scratch(
    params: &conv2d::Params,
    window: &conv::Window,
    [in_channels, out_channels]: [usize; 2],
) -> Option<usize> {
    match params.groups {
        0 if conv::planar::applies(window, out_channels / in_channels) => conv::planar::wished_scratch(window),
        1 => conv::wished_scratch(window.kernel.iter().product::<usize>() * in_channels),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{ramp, reference_close};

    /// The definition, tap by tap.
    fn naive(op: &Conv2d, x: &ArrayD<f32>, w: &ArrayD<f32>, b: &ArrayD<f32>) -> ArrayD<f32> {
        let shape = op.infer(&[x.shape(), w.shape(), b.shape()]).unwrap();
        let out_per = shape[3] / op.groups;
        ArrayD::from_shape_fn(IxDyn(&shape), |at| {
            let (n, oy, ox, o) = (at[0], at[1], at[2], at[3]);
            let mut sum = b[[o]];
            for ky in 0..op.kernel[0] {
                for kx in 0..op.kernel[1] {
                    let y = (oy * op.stride[0] + ky * op.dilation[0]).wrapping_sub(op.pad[0]);
                    let xx = (ox * op.stride[1] + kx * op.dilation[1]).wrapping_sub(op.pad[1]);
                    if y < x.shape()[1] && xx < x.shape()[2] {
                        for i in 0..w.shape()[3] {
                            sum += w[[o, ky, kx, i]] * x[[n, y, xx, o / out_per * w.shape()[3] + i]];
                        }
                    }
                }
            }
            sum
        })
    }

    #[test]
    fn every_grouping_agrees_with_the_definition() {
        for (groups, c, o) in [(1, 3, 5), (2, 4, 6), (4, 4, 4), (4, 4, 8), (1, 1, 2)] {
            for (stride, pad, dilation) in
                [([1, 1], [0, 0, 0, 0], [1, 1]), ([2, 1], [1, 2, 0, 1], [1, 2]), ([3, 2], [2, 1, 2, 1], [2, 1])]
            {
                let op = Conv2d { kernel: [3, 2], stride, pad, dilation, groups, clamp: None };
                let (x, w, b) = (ramp(&[2, 6, 7, c]), ramp(&[o, 3, 2, c / groups]), ramp(&[o]));
                reference_close(&op.eval(&[&x, &w, &b]).unwrap(), &naive(&op, &x, &w, &b));
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let op = Conv2d { kernel: [3, 3], stride: [1, 1], pad: [0; 4], dilation: [1, 1], groups: 1, clamp: None };
        assert!(op.infer(&[&[1, 2, 9, 1], &[4, 3, 3, 1]]).is_err());
        assert!(op.infer(&[&[1, 9, 9, 2], &[4, 3, 3, 1]]).is_err());
        assert_eq!(op.macs(&[&[1, 9, 9, 2], &[4, 3, 3, 2]], &[1, 7, 7, 4]), 7 * 7 * 4 * 18);
    }
}
