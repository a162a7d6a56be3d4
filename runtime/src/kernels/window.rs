//! The geometry of a window that slides over an image: what convolutions and pools share.

use core::ops::Range;

/// Sizes and steps of a sliding window, `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step from one output to the next, at least 1.
    pub stride: [usize; 2],
    /// Distance of neighbouring taps, at least 1.
    pub dilation: [usize; 2],
    /// Rows above and columns left of the input.
    pub pad: [usize; 2],
}

impl Window {
    /// The input coordinate of tap `k` of output `o` along `axis` (0 vertical, 1 horizontal), if it is not padding.
    #[inline(always)]
    pub fn tap(&self, axis: usize, o: usize, k: usize) -> Option<usize> {
        let [input, stride, dilation, pad] = match axis {
            0 => [self.input[0], self.stride[0], self.dilation[0], self.pad[0]],
            _ => [self.input[1], self.stride[1], self.dilation[1], self.pad[1]],
        };
        (o * stride + k * dilation).checked_sub(pad).filter(|&i| i < input)
    }

    /// The taps `k` of output `o` along `axis` that are no padding, as a range, and the input coordinate of the
    /// first of them (at most the input's length, if there is none).
    #[inline(always)]
    pub fn taps(&self, axis: usize, o: usize) -> (Range<usize>, usize) {
        let [input, kernel, stride, dilation, pad] = match axis {
            0 => [self.input[0], self.kernel[0], self.stride[0], self.dilation[0], self.pad[0]],
            _ => [self.input[1], self.kernel[1], self.stride[1], self.dilation[1], self.pad[1]],
        };
        let origin = o * stride;
        // No division where there is none to do: some cores have no instruction for it.
        let steps = |distance: usize| if dilation <= 1 { distance } else { distance.div_ceil(dilation) };
        // The first tap with origin + k·dilation ≥ pad, and the first with origin + k·dilation ≥ input + pad.
        let start = steps(pad.saturating_sub(origin)).min(kernel);
        let end = steps((input + pad).saturating_sub(origin)).min(kernel);
        (start..end.max(start), (origin + start * dilation).saturating_sub(pad).min(input))
    }

    /// Where the window of output `(oy, ox)` begins, in pixels, if it holds no padding and its taps are neighbours in a row.
    #[inline(always)]
    pub fn inside(&self, oy: usize, ox: usize) -> Option<usize> {
        let [in_h, in_w] = self.input;
        let y = (oy * self.stride[0]).checked_sub(self.pad[0])?;
        let x = (ox * self.stride[1]).checked_sub(self.pad[1])?;
        let last = y + self.kernel[0].checked_sub(1)? * self.dilation[0];
        let fits = last < in_h && x + self.kernel[1] <= in_w;
        (fits && self.dilation[1] == 1).then_some(y * in_w + x)
    }

    /// Rows of the input that these rows of the output read; those of padding are left out.
    pub fn rows_under(&self, output: &Range<usize>) -> Range<usize> {
        let reach = self.kernel[0].saturating_sub(1) * self.dilation[0] + 1;
        let in_image = |row: usize| row.saturating_sub(self.pad[0]).min(self.input[0]);
        let first = in_image(output.start * self.stride[0]);
        match output.end.checked_sub(1) {
            Some(last) if !output.is_empty() => first..in_image(last * self.stride[0] + reach).max(first),
            _ => first..first,
        }
    }

    /// The window that computes these rows of the output alone, over [`Window::rows_under`] them.
    pub fn band(&self, output: &Range<usize>) -> Self {
        Self {
            input: [self.rows_under(output).len(), self.input[1]],
            output: [output.len(), self.output[1]],
            pad: [self.pad[0].saturating_sub(output.start * self.stride[0]), self.pad[1]],
            ..*self
        }
    }

    /// Rows and columns changed.
    pub fn flipped(&self) -> Self {
        let Self { input, output, kernel, stride, dilation, pad } = *self;
        let flip = |[a, b]: [usize; 2]| [b, a];
        Self {
            input: flip(input),
            output: flip(output),
            kernel: flip(kernel),
            stride: flip(stride),
            dilation: flip(dilation),
            pad: flip(pad),
        }
    }
}
