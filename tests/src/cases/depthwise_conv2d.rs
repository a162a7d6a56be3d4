//! Golden cases of depthwise_conv2d.

use anyhow::Result;
use teff_tools::ops::conv2d::Conv2d;

use super::conv2d::{case, conv};
use super::Case;

pub(super) fn cases() -> Result<Vec<Case>> {
    let op = |groups| Conv2d { groups, pad: [1; 4], ..conv() };
    Ok(vec![
        case("depthwise", op(6), [1, 7, 8, 6], 6)?,
        case("depthwise_stride", Conv2d { stride: [2, 2], ..op(9) }, [1, 9, 9, 9], 9)?,
        case("depthwise_multiplier", op(4), [2, 5, 5, 4], 12)?,
        case("depthwise_dilation", Conv2d { dilation: [2, 2], pad: [2; 4], ..op(5) }, [1, 6, 6, 5], 5)?,
    ])
}
