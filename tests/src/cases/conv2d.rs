//! Golden cases of conv2d.

use anyhow::Result;
use teff_tools::ops::clamp::Clamp;
use teff_tools::ops::conv2d::Conv2d;

use super::{Builder, Case};

/// A plain 3×3 convolution.
pub(super) fn conv() -> Conv2d {
    Conv2d { kernel: [3, 3], stride: [1; 2], pad: [0; 4], dilation: [1; 2], groups: 1, clamp: None }
}

/// A convolution of a random image with random weights and biases.
pub(super) fn case(name: &str, op: Conv2d, image: [usize; 4], filters: usize) -> Result<Case> {
    let mut b = Builder::new(&[&image]);
    let depth = image[3] / op.groups;
    let w = b.constant(&[filters, op.kernel[0], op.kernel[1], depth], 0.5);
    let bias = b.constant(&[filters], 1.0);
    let y = b.node(op, &[b.x(0), w, bias])?;
    Ok(b.finish(name, &[y], 3.0, 2.0))
}

pub(super) fn cases() -> Result<Vec<Case>> {
    let relu6 = Some(Clamp { min: 0.0, max: 6.0 });
    Ok(vec![
        case("conv2d_valid", conv(), [1, 8, 9, 3], 5)?,
        case("conv2d_same_relu6", Conv2d { pad: [1; 4], clamp: relu6, ..conv() }, [1, 7, 7, 4], 6)?,
        case("conv2d_stride", Conv2d { stride: [2, 3], pad: [1, 0, 0, 2], ..conv() }, [2, 9, 8, 2], 3)?,
        case("conv2d_dilation", Conv2d { dilation: [2, 3], pad: [2, 3, 2, 3], ..conv() }, [1, 9, 9, 2], 4)?,
        case("conv2d_groups", Conv2d { groups: 3, pad: [1; 4], ..conv() }, [1, 6, 5, 6], 9)?,
        case("conv2d_pointwise", Conv2d { kernel: [1, 1], ..conv() }, [1, 5, 5, 17], 7)?,
        case("conv2d_one_row", Conv2d { kernel: [1, 5], stride: [1, 2], ..conv() }, [1, 1, 40, 4], 8)?,
    ])
}
