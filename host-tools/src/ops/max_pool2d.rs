//! 2-D maximum pooling.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::ops::{MAX_POOL2D, max_pool2d};

use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering, smalls};
use super::{
    HostOp,
    shape::{Window, arity, nhwc, windows},
};

/// `y[n,h,w,c] = max x[n, h·sh + kh − top, w·sw + kw − left, c]` over the window; padded positions do not take part,
/// and no window lies in the padding alone.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPool2d {
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [usize; 4],
}

impl HostOp for MaxPool2d {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        infer("MaxPool2d", inputs, windows(self.kernel, self.stride, [1, 1], self.pad))
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape()])?;
        let windows = windows(self.kernel, self.stride, [1, 1], self.pad);
        Ok(fold(inputs[0], &shape, windows, f32::NEG_INFINITY, f32::max))
    }
}

/// The output shape of a pooling operator.
pub(super) fn infer(what: &str, inputs: &[&[usize]], [wy, wx]: [Window; 2]) -> Result<Vec<usize>> {
    arity(what, inputs.len(), 1..=1)?;
    let [n, h, w, c] = nhwc(what, inputs[0])?;
    let (oh, ow) = (wy.positions(what, h)?, wx.positions(what, w)?);
    for (window, len, out) in [(wy, h, oh), (wx, w, ow)] {
        let meets = |at| {
            let (first, end) = window.taps(at, len);
            first < end
        };
        ensure!((0..out).all(meets), "{what}: a window lies in the padding alone");
    }
    Ok(vec![n, oh, ow, c])
}

/// Folds every window, channel by channel, from `init`; padded positions do not take part.
pub(super) fn fold(
    x: &ArrayD<f32>,
    shape: &[usize],
    [wy, wx]: [Window; 2],
    init: f32,
    combine: impl Fn(f32, f32) -> f32,
) -> ArrayD<f32> {
    let (h, w, c) = (x.shape()[1], x.shape()[2], x.shape()[3]);
    let data = x.as_standard_layout();
    let data = data.as_slice().unwrap_or_default();
    let mut y = ArrayD::from_elem(IxDyn(shape), init);
    let pixels = y.as_slice_mut().unwrap_or_default().chunks_exact_mut(c.max(1));
    for (at, out) in pixels.enumerate() {
        let (n, at_y, at_x) = (at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]);
        let ((ky0, ky1), (kx0, kx1)) = (wy.taps(at_y, h), wx.taps(at_x, w));
        for ky in ky0..ky1 {
            for kx in kx0..kx1 {
                let from = ((n * h + wy.index(at_y, ky)) * w + wx.index(at_x, kx)) * c;
                for (y, x) in out.iter_mut().zip(&data[from..from + c]) {
                    *y = combine(*y, *x);
                }
            }
        }
    }
    y
}

impl Lower for MaxPool2d {
    fn rule(&self) -> Rule {
        Rule::SameAsInput
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let params = max_pool2d::Params {
            kernel: smalls(self.kernel)?,
            stride: smalls(self.stride)?,
            pad: smalls(self.pad)?,
            limits: cx.limits(None)?,
        };
        cx.step(&MAX_POOL2D, &[x], &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::ramp;

    #[test]
    fn padding_does_not_take_part() {
        let op = MaxPool2d { kernel: [2, 2], stride: [2, 2], pad: [1, 0, 0, 1] };
        let x = ramp(&[1, 3, 3, 1]).mapv(|v| v - 5.0);
        let y = op.eval(&[&x]).unwrap();
        assert_eq!(y.shape(), [1, 2, 2, 1]);
        assert_eq!(y[[0, 0, 1, 0]], x[[0, 0, 2, 0]]);
        assert_eq!(y[[0, 1, 1, 0]], x[[0, 1, 2, 0]].max(x[[0, 2, 2, 0]]));
        assert!(MaxPool2d { kernel: [1, 1], stride: [1, 1], pad: [1, 0, 0, 0] }.infer(&[x.shape()]).is_err());
    }
}
