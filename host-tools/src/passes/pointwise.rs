//! Convolutions that see one pixel at a time.

use anyhow::Result;

use super::sweep;
use crate::ir::Graph;
use crate::ops::{Op, fully_connected::FullyConnected};

/// Makes a matrix product of each: every pixel is a row, and the kernels for rows need not look for windows.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| {
        let node = &graph.nodes[at];
        let Op::Conv2d(conv) = &node.op else { return Ok(false) };
        let (kernel, stride, pad) = (conv.kernel, conv.stride, conv.pad);
        let weights = node.inputs[1];
        if (kernel, stride, pad, conv.groups) != ([1; 2], [1; 2], [0; 4], 1) || graph.data(weights).is_none() {
            return Ok(false);
        }
        let product = FullyConnected { clamp: conv.clamp };
        let &[outputs, _, _, inputs] = graph.value(weights).shape.as_slice() else { return Ok(false) };
        let weights = graph.rearranged(weights, |places| Ok(places.into_shape_with_order(vec![outputs, inputs])?))?;
        let node = &mut graph.nodes[at];
        node.op = product.into();
        node.inputs[1] = weights;
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use crate::ops::{clamp::Clamp, conv2d::Conv2d};
    use crate::passes::testing::Harness;

    fn names(change: impl FnOnce(&mut Conv2d)) -> Vec<&'static str> {
        let mut conv = Conv2d {
            kernel: [1; 2],
            stride: [1; 2],
            pad: [0; 4],
            dilation: [1; 2],
            groups: 1,
            clamp: Some(Clamp::RELU),
        };
        change(&mut conv);
        let mut h = Harness::new(&[1, 4, 5, 6]);
        let [kernel_h, kernel_w] = conv.kernel;
        let operands = [h.x, h.weight(&[4, kernel_h, kernel_w, 6 / conv.groups]), h.weight(&[4])];
        let y = h.push(conv, &operands);
        h.check(y).1
    }

    #[test]
    fn a_convolution_of_one_pixel_is_a_product() {
        assert_eq!(names(|_| ()), ["FullyConnected"]);
        assert_eq!(names(|conv| conv.dilation = [2, 3]), ["FullyConnected"]);
    }

    #[test]
    fn one_that_skips_or_adds_pixels_or_groups_channels_is_none() {
        assert_eq!(names(|conv| conv.stride = [1, 2]), ["Conv2d"]);
        assert_eq!(names(|conv| conv.pad = [0, 1, 0, 0]), ["Conv2d"]);
        assert_eq!(names(|conv| conv.groups = 2), ["Conv2d"]);
        assert_eq!(names(|conv| conv.kernel = [1, 2]), ["Conv2d"]);
    }
}
