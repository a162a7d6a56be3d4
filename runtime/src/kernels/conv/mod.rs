//! Convolutions: int8 or int16 activations × int8 per-channel weights.

pub mod bands;
pub mod dsp;
pub mod planar;
pub mod portable;
pub mod quads;
pub mod reference;
#[cfg(test)]
mod tests;

pub use super::window::Window;
use super::{Element, PerChannel};

/// Parameters of [`reference::conv2d`].
#[derive(Debug, Clone, Copy)]
pub struct Conv2d<'a, E> {
    /// Number of images.
    pub batch: usize,
    /// Input channels, a multiple of `groups`.
    pub in_channels: usize,
    /// Output channels, a multiple of `groups`.
    pub out_channels: usize,
    /// Number of groups.
    pub groups: usize,
    /// The window.
    pub window: Window,
    /// What padding reads as: the input's zero point.
    pub pad_value: E,
    /// `(out_channels)`.
    pub requant: PerChannel<'a, E>,
}

/// Parameters of [`reference::depthwise_conv2d`].
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseConv2d<'a, E> {
    /// Number of images.
    pub batch: usize,
    /// Input channels.
    pub in_channels: usize,
    /// Output channels for each input channel; output channel `c·multiplier + m` reads input channel `c`.
    pub multiplier: usize,
    /// The window.
    pub window: Window,
    /// What padding reads as: the input's zero point.
    pub pad_value: E,
    /// `(in_channels · multiplier)`.
    pub requant: PerChannel<'a, E>,
}

/// Bytes of scratch memory with which an int8 convolution of one group is fastest: four windows, and a block of them.
pub fn wished_scratch(depth: usize) -> Option<usize> {
    let windows = depth.checked_next_multiple_of(4)?.checked_mul(4)?;
    windows.checked_add(super::linear::wished_scratch(4, depth)?)
}

/// How many elements before the input the output must begin, for every kernel of this family to have read what it needs
/// of the input before it writes there. `None` for a batch.
///
/// Outputs are computed in order, and the windows of those that are written at once are copied before: when `n` outputs
/// are written, the others read from the row on where the window of output n begins. That row moves only from one row of
/// outputs to the next, so that the last output of each row decides.
///
/// Source: Blacker, Bridges and Hadfield, "Memory Footprint Reduction by Diagonal Memory Optimisation", 2020.
pub fn overlap(batch: usize, window: &Window, in_channels: usize, out_channels: usize) -> Option<usize> {
    let ([_, in_w], [out_h, out_w]) = (window.input, window.output);
    let mut distance = 0;
    for oy in 0..out_h {
        let written = oy.checked_add(1)?.checked_mul(out_w)?.checked_mul(out_channels)?;
        let read = oy.checked_mul(window.stride[0])?.saturating_sub(window.pad[0]).min(window.input[0]);
        distance = distance.max(written.saturating_sub(read.checked_mul(in_w)?.checked_mul(in_channels)?));
    }
    (batch == 1).then_some(distance)
}

impl<E: Element> Conv2d<'_, E> {
    /// Products summed for one output.
    pub fn depth(&self) -> Option<usize> {
        let [kh, kw] = self.window.kernel;
        kh.checked_mul(kw)?.checked_mul(self.in_channels.checked_div(self.groups)?)
    }
}
