//! 2-D average pooling.

use anyhow::Result;
use ndarray::ArrayD;
use teff::format::DataType;
use teff::ops::{AVG_POOL2D, AVG_POOL2D_TFLITE, avg_pool2d};

use crate::quantize::lower::{Lower, Lowering, smalls};
use super::{
    HostOp,
    max_pool2d::{fold, infer},
    shape::windows,
};

/// `y[n,h,w,c] = mean x[n, h·sh + kh − top, w·sw + kw − left, c]` over the window; no window lies in the padding
/// alone.
#[derive(Debug, Clone, PartialEq)]
pub struct AvgPool2d {
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub pad: [usize; 4],
    /// Whether padded positions count as zeros; if not, the mean is over the positions inside the image.
    pub count_include_pad: bool,
}

impl HostOp for AvgPool2d {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        infer("AvgPool2d", inputs, windows(self.kernel, self.stride, [1, 1], self.pad))
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape()])?;
        let [wy, wx] = windows(self.kernel, self.stride, [1, 1], self.pad);
        let (h, w) = (inputs[0].shape()[1], inputs[0].shape()[2]);
        let mut y = fold(inputs[0], &shape, [wy, wx], 0.0, |a, b| a + b);
        for (at, v) in y.indexed_iter_mut() {
            let count = if self.count_include_pad {
                self.kernel[0] * self.kernel[1]
            } else {
                let ((ky0, ky1), (kx0, kx1)) = (wy.taps(at[1], h), wx.taps(at[2], w));
                (ky1 - ky0) * (kx1 - kx0)
            };
            *v /= count as f32;
        }
        Ok(y)
    }
}

impl Lower for AvgPool2d {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let x = cx.x(0)?;
        let factor = f64::from(cx.quant(0)?.scale) / f64::from(cx.out_quant()?.scale);
        let area = self.kernel[0] * self.kernel[1];
        let uniform = self.count_include_pad || self.pad == [0; 4];
        let params = avg_pool2d::Params {
            kernel: smalls(self.kernel)?,
            stride: smalls(self.stride)?,
            pad: smalls(self.pad)?,
            limits: cx.limits(None)?,
        };
        let padding_counts = self.count_include_pad && self.pad != [0; 4];
        if cx.rounds_as_tflite() && cx.quant(0)? == cx.out_quant()? && !padding_counts {
            return cx.step(&AVG_POOL2D_TFLITE, &[x], &params);
        }
        let counts = if uniform { area..=area } else { 1..=area };
        let factors = counts.map(|n| cx.multiplier(factor / n as f64)).collect::<Result<Vec<_>>>()?;
        let (mult, shift): (Vec<i32>, Vec<u8>) = factors.iter().map(|m| (m.mult, m.shift)).unzip();
        let mult = cx.constant("mult", DataType::I32, &[mult.len()], &mult);
        let shift = cx.constant("shift", DataType::U8, &[shift.len()], &shift);
        cx.step(&AVG_POOL2D, &[x, mult, shift], &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn padding_counts_or_not() {
        let x = ArrayD::from_elem(IxDyn(&[1, 2, 2, 1]), 1.0);
        let pool = |count_include_pad| AvgPool2d { kernel: [2, 2], stride: [2, 2], pad: [1, 1, 1, 1], count_include_pad };
        assert_eq!(pool(true).eval(&[&x]).unwrap(), ArrayD::from_elem(IxDyn(&[1, 2, 2, 1]), 0.25));
        assert_eq!(pool(false).eval(&[&x]).unwrap(), x);
    }
}
