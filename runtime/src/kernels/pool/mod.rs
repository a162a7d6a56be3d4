//! Pooling: the maximum or the mean of a sliding window.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

use super::Output;
pub use super::window::Window;

/// Parameters of the pools.
#[derive(Debug, Clone, Copy)]
pub struct Pool2d<E> {
    /// Number of images.
    pub batch: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// The window, dilation 1; every position holds at least one element of the image.
    pub window: Window,
    /// The output's zero point (average pooling only) and bounds.
    pub output: Output<E>,
}

/// The factors of average pooling.
#[derive(Debug, Clone, Copy)]
pub struct Divisors<'a> {
    /// One factor if the divisor is the same everywhere; else entry `n − 1` is that of a window with n elements.
    pub mult: &'a [i32],
    /// The shifts that belong to `mult`.
    pub shift: &'a [u8],
    /// The input's zero point.
    pub in_zero_point: i32,
}
