//! Convolutions, fully connected layers and pools.

use anyhow::{Context, Result, bail, ensure};
use ndarray::IxDyn;
use tract_tflite::tflite::{ActivationFunctionType, FullyConnectedOptionsWeightsFormat, Padding};

use super::{Call, Reader};
use crate::ir::ValueId;
use crate::ops::{avg_pool2d::AvgPool2d, conv2d::Conv2d, fully_connected::FullyConnected, max_pool2d::MaxPool2d};

/// Strides and dilations, vertical and horizontal, and how the image is padded.
struct Sliding {
    stride: [i32; 2],
    dilation: [i32; 2],
    padding: Padding,
}

impl Sliding {
    fn sizes(values: [i32; 2]) -> Result<[usize; 2]> {
        ensure!(values.iter().all(|&v| v > 0), "a stride, dilation or window of {values:?}");
        Ok(values.map(|v| v as usize))
    }

    /// Top, left, bottom, right of a window over an image of `size`: with SAME, an image of `size / stride`, rounded up.
    fn pad(&self, size: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 4]> {
        let (stride, dilation) = (Self::sizes(self.stride)?, Self::sizes(self.dilation)?);
        let mut pad = [0; 4];
        if self.padding == Padding::SAME {
            for i in 0..2 {
                let reach = (kernel[i] - 1) * dilation[i] + 1;
                let needed = (size[i].div_ceil(stride[i]) - 1) * stride[i] + reach;
                let total = needed.saturating_sub(size[i]);
                (pad[i], pad[i + 2]) = (total / 2, total - total / 2);
            }
        }
        Ok(pad)
    }
}

impl<'m> Reader<'m> {
    pub(super) fn window(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        match code {
            "CONV_2D" => {
                let o = call.op.builtin_options_as_conv_2_doptions().context("its options are missing")?;
                let sliding = Sliding {
                    stride: [o.stride_h(), o.stride_w()],
                    dilation: [o.dilation_h_factor(), o.dilation_w_factor()],
                    padding: o.padding(),
                };
                let w = self.operand(call, 1)?;
                self.conv(call, w, None, &sliding, o.fused_activation_function())
            }
            "DEPTHWISE_CONV_2D" => {
                let o = call.op.builtin_options_as_depthwise_conv_2_doptions().context("its options are missing")?;
                let sliding = Sliding {
                    stride: [o.stride_h(), o.stride_w()],
                    dilation: [o.dilation_h_factor(), o.dilation_w_factor()],
                    padding: o.padding(),
                };
                // (1, KH, KW, O) → (O, KH, KW, 1)
                let w = self.operand(call, 1)?;
                let w = self.graph.rearranged(w, |at| {
                    ensure!(at.ndim() == 4, "weights of shape {:?}", at.shape());
                    Ok(at.permuted_axes(IxDyn(&[3, 1, 2, 0])))
                })?;
                let x = self.operand(call, 0)?;
                let channels = self.graph.value(x).shape.last().copied();
                self.conv(call, w, channels, &sliding, o.fused_activation_function())
            }
            "FULLY_CONNECTED" => self.fully_connected(call),
            _ => self.pool(code, call),
        }
    }

    /// A convolution with weights `(O, KH, KW, I)`; without `groups` their number follows from the channels.
    fn conv(
        &mut self,
        call: &Call<'m>,
        w: ValueId,
        groups: Option<usize>,
        sliding: &Sliding,
        activation: ActivationFunctionType,
    ) -> Result<()> {
        let x = self.operand(call, 0)?;
        ensure!(self.graph.data(w).is_some(), "only constant weights: the kernel is computed");
        let &[_, h, width, channels] = self.graph.value(x).shape.as_slice() else { bail!("an image has four axes") };
        let &[_, kh, kw, depth] = self.graph.value(w).shape.as_slice() else { bail!("a kernel has four axes") };
        ensure!(depth > 0 && kh > 0 && kw > 0, "a kernel without elements");
        let conv = Conv2d {
            kernel: [kh, kw],
            stride: Sliding::sizes(sliding.stride)?,
            pad: sliding.pad([h, width], [kh, kw])?,
            dilation: Sliding::sizes(sliding.dilation)?,
            groups: groups.unwrap_or(channels / depth),
            clamp: None,
        };
        let mut operands = vec![x, w];
        operands.extend(self.bias(call)?);
        let y = self.push(&call.name, conv, &operands)?;
        self.finish(call, y, activation)
    }

    /// The bias, if there is one that is not 0 everywhere.
    fn bias(&mut self, call: &Call<'m>) -> Result<Option<ValueId>> {
        if call.inputs.get(2).is_none_or(|&b| b < 0) {
            return Ok(None);
        }
        let bias = self.operand(call, 2)?;
        let data = self.graph.data(bias).context("only constant weights: the bias is computed")?;
        Ok(data.iter().any(|&b| b != 0.0).then_some(bias))
    }

    fn fully_connected(&mut self, call: &Call<'m>) -> Result<()> {
        let o = call.op.builtin_options_as_fully_connected_options().context("its options are missing")?;
        ensure!(
            o.weights_format() == FullyConnectedOptionsWeightsFormat::DEFAULT,
            "weights in the order {:?} are not supported",
            o.weights_format()
        );
        let (x, w) = (self.operand(call, 0)?, self.operand(call, 1)?);
        ensure!(self.graph.data(w).is_some(), "only constant weights: the matrix is computed");
        let &[_, depth] = self.graph.value(w).shape.as_slice() else { bail!("a matrix has two axes") };
        let len = self.graph.value(x).len();
        ensure!(depth > 0 && len.is_multiple_of(depth), "{len} elements in rows of {depth}");
        let x = self.reshape(&format!("{}/rows", call.name), x, &[len / depth, depth])?;
        let mut operands = vec![x, w];
        operands.extend(self.bias(call)?);
        let y = self.push(&call.name, FullyConnected { clamp: None }, &operands)?;
        self.finish(call, y, o.fused_activation_function())
    }

    fn pool(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        let o = call.op.builtin_options_as_pool_2_doptions().context("its options are missing")?;
        let x = self.operand(call, 0)?;
        let &[_, h, w, _] = self.graph.value(x).shape.as_slice() else { bail!("an image has four axes") };
        let sliding = Sliding { stride: [o.stride_h(), o.stride_w()], dilation: [1, 1], padding: o.padding() };
        let kernel = Sliding::sizes([o.filter_height(), o.filter_width()])?;
        let (stride, pad) = (Sliding::sizes(sliding.stride)?, sliding.pad([h, w], kernel)?);
        let y = match code {
            "MAX_POOL_2D" => self.push(&call.name, MaxPool2d { kernel, stride, pad }, &[x])?,
            _ => self.push(&call.name, AvgPool2d { kernel, stride, pad, count_include_pad: false }, &[x])?,
        };
        self.finish(call, y, o.fused_activation_function())
    }
}
