//! Golden cases of conv_chain: convolutions of which the largest image has no room in the arena.

use anyhow::Result;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::Op;
use teff_tools::ops::conv2d::Conv2d;
use teff_tools::ops::fully_connected::FullyConnected;

use super::conv2d::conv;
use super::{Builder, Case};

/// A layer: its operator, and how many filters it has.
pub enum Layer {
    /// A convolution.
    Conv(Conv2d, usize),
    /// A matrix product over the channels.
    Product(usize),
}

/// Layers one after another, with random weights and biases.
pub fn chain(name: &str, image: [usize; 4], layers: &[Layer]) -> Result<Case> {
    let mut b = Builder::new(&[&image]);
    let (mut x, mut channels) = (b.x(0), image[3]);
    for layer in layers {
        let (op, shape): (Op, Vec<usize>) = match layer {
            Layer::Conv(op, filters) => {
                (op.clone().into(), vec![*filters, op.kernel[0], op.kernel[1], channels / op.groups])
            }
            Layer::Product(filters) => (FullyConnected { clamp: None }.into(), vec![*filters, channels]),
        };
        let taps: usize = shape[1..].iter().product();
        let w = b.constant(&shape, 2.0 / (taps as f32).sqrt());
        let bias = b.constant(&shape[..1], 0.2);
        x = b.node(op, &[x, w, bias])?;
        channels = shape[0];
    }
    // Each layer adds its own error to that of those before it.
    Ok(b.finish(name, &[x], 2.0, 4.0 * layers.len() as f32))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    use Layer::{Conv, Product};
    let relu6 = Some(Clamp { min: 0.0, max: 6.0 });
    let same = Conv2d { pad: [1; 4], clamp: relu6, ..conv() };
    let depthwise = |groups| Conv2d { groups, stride: [2, 2], ..same.clone() };
    let pointwise = Conv2d { kernel: [1, 1], ..conv() };
    let separable = chain("conv_chain", [1, 16, 15, 2], &[Conv(same.clone(), 8), Conv(depthwise(8), 8), Product(4)])?;
    let wide = Conv2d { kernel: [5, 3], stride: [1, 2], dilation: [2, 1], pad: [4, 0, 3, 1], ..conv() };
    let windows = chain("conv_chain_windows", [1, 18, 14, 1], &[Conv(pointwise, 8), Conv(wide, 4), Conv(conv(), 3)])?;
    Ok(vec![Case { max_arena: Some(1_600), ..separable }, Case { max_arena: Some(1_600), ..windows }])
}
