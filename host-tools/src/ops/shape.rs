//! Shape arithmetic that several operators share.

use anyhow::{Result, bail, ensure};
use ndarray::{ArrayD, IxDyn, Zip};

use crate::ir::Kind;

/// Checks the number of operands.
pub(crate) fn arity(what: &str, inputs: usize, allowed: std::ops::RangeInclusive<usize>) -> Result<()> {
    ensure!(allowed.contains(&inputs), "{what}: {inputs} operands, {allowed:?} wanted");
    Ok(())
}

/// The kind of operands that are moved and not changed: any, but one.
pub(crate) fn same_kind(inputs: &[Kind]) -> Result<Kind> {
    let Some(&first) = inputs.first() else { bail!("no operand") };
    ensure!(inputs.iter().all(|&k| k == first), "operands of several kinds: {inputs:?}");
    Ok(first)
}

/// The kind of data that integers index: operands data, indices.
pub(crate) fn indexed_kind(inputs: &[Kind]) -> Result<Kind> {
    let &[data, indices] = inputs else { bail!("{} operands, 2 wanted", inputs.len()) };
    ensure!(indices == Kind::Index, "the indices are {indices:?} values, integers wanted");
    Ok(data)
}

/// An index along an axis of length `len`; it counts from the end where it is negative.
pub(crate) fn place(index: f32, len: usize) -> Result<usize> {
    match teff::kernels::index::position(index as i32, len) {
        Some(place) => Ok(place),
        None => bail!("index {index} is out of range: the axis has length {len}"),
    }
}

/// `f` of two operands that broadcast by the rules of numpy.
pub(crate) fn elementwise([a, b]: [&ArrayD<f32>; 2], f: impl Fn(f32, f32) -> f32) -> Result<ArrayD<f32>> {
    let mut y = ArrayD::zeros(IxDyn(&broadcast(a.shape(), b.shape())?));
    Zip::from(&mut y).and_broadcast(a).and_broadcast(b).for_each(|y, &a, &b| *y = f(a, b));
    Ok(y)
}

/// Checks that `shape` has four axes (N, H, W, C) and returns them.
pub(crate) fn nhwc(what: &str, shape: &[usize]) -> Result<[usize; 4]> {
    match <[usize; 4]>::try_from(shape) {
        Ok(dims) => Ok(dims),
        Err(_) => bail!("{what}: operand of shape {shape:?}, four axes (N, H, W, C) wanted"),
    }
}

/// The shape to which `a` and `b` broadcast by the rules of numpy.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    (0..rank)
        .map(|i| {
            let dim = |s: &[usize]| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
            match (dim(a), dim(b)) {
                (x, y) if x == y => Ok(x),
                (1, y) => Ok(y),
                (x, 1) => Ok(x),
                _ => bail!("shapes {a:?} and {b:?} do not broadcast"),
            }
        })
        .collect()
}

/// A sliding window along one axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Window {
    /// Input elements between the first and the last tap, both included.
    pub(crate) fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Number of positions of the window on `len` elements.
    pub(crate) fn positions(&self, what: &str, len: usize) -> Result<usize> {
        ensure!(self.kernel > 0 && self.stride > 0 && self.dilation > 0, "{what}: zero kernel, stride or dilation");
        let padded = len + self.before + self.after;
        ensure!(
            padded >= self.extent(),
            "{what}: the window ({}) is longer than the padded input ({padded})",
            self.extent()
        );
        Ok((padded - self.extent()) / self.stride + 1)
    }

    /// The taps of position `at` that meet the input: `(first tap, last tap + 1)`.
    pub(crate) fn taps(&self, at: usize, len: usize) -> (usize, usize) {
        let start = (at * self.stride) as isize - self.before as isize;
        let d = self.dilation as isize;
        let first = if start < 0 { (-start + d - 1) / d } else { 0 };
        let end = ((len as isize - start + d - 1) / d).clamp(0, self.kernel as isize);
        (first.min(end) as usize, end as usize)
    }

    /// Input index of tap `k` at position `at`; the tap must meet the input.
    pub(crate) fn index(&self, at: usize, k: usize) -> usize {
        at * self.stride + k * self.dilation - self.before
    }
}

/// The vertical and the horizontal window of a 2-D operator; `pad` is top, left, bottom, right.
pub(crate) fn windows(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], pad: [usize; 4]) -> [Window; 2] {
    [0, 1].map(|i| Window {
        kernel: kernel[i],
        stride: stride[i],
        dilation: dilation[i],
        before: pad[i],
        after: pad[i + 2],
    })
}

/// The shape with `axes` set to 1.
pub(crate) fn reduced(what: &str, shape: &[usize], axes: &[usize]) -> Result<Vec<usize>> {
    ensure!(axes.iter().all(|&a| a < shape.len()), "{what}: axes {axes:?} of a tensor of shape {shape:?}");
    Ok(shape.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]).unwrap(), [2, 4, 3]);
        assert_eq!(broadcast(&[], &[5]).unwrap(), [5]);
        assert!(broadcast(&[2], &[3]).is_err());
    }

    #[test]
    fn taps_are_those_that_meet_the_input() {
        let w = Window { kernel: 3, stride: 2, dilation: 2, before: 3, after: 0 };
        assert_eq!(w.positions("w", 4).unwrap(), 2);
        assert_eq!(w.taps(0, 4), (2, 3)); // taps at -3, -1, 1
        assert_eq!(w.taps(1, 4), (1, 3)); // taps at -1, 1, 3
        assert_eq!(w.index(1, 1), 1);
    }
}
