//! Convolutions: int8 or int16 activations × int8 per-channel weights.

pub mod portable;
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

impl<E: Element> Conv2d<'_, E> {
    /// Products summed for one output.
    pub fn depth(&self) -> Option<usize> {
        let [kh, kw] = self.window.kernel;
        kh.checked_mul(kw)?.checked_mul(self.in_channels.checked_div(self.groups)?)
    }
}
