//! Pools in plain Rust that any target runs well: channels innermost, as they lie in memory.

use super::{Divisors, Pool2d};
use crate::fixed::{Multiplier, clamp_s8, rounding_divide_away};
use crate::kernels::{Accumulator, Element};

/// Calls `each` for every output pixel with its coordinates, in order, and its channels.
#[inline(always)]
fn pixels<'x, E>(
    p: &Pool2d<E>,
    x: &'x [E],
    out: &mut [E],
    mut each: impl FnMut(&'x [E], (usize, usize), &mut [E]) -> Option<()>,
) -> Option<()> {
    let [in_h, in_w] = p.window.input;
    let [out_h, out_w] = p.window.output;
    let images = x.chunks_exact((in_h * in_w * p.channels).max(1));
    let results = out.chunks_exact_mut((out_h * out_w * p.channels).max(1));
    for (image, result) in images.zip(results).take(p.batch) {
        let positions = (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x)));
        for (at, pixel) in positions.zip(result.chunks_exact_mut(p.channels.max(1))) {
            each(image, at, pixel)?;
        }
    }
    Some(())
}

/// Calls `each` with the channels of every input pixel under the window at `(oy, ox)`; gives their number.
#[inline(always)]
fn taps<'x, E>(
    p: &Pool2d<E>,
    image: &'x [E],
    (oy, ox): (usize, usize),
    mut each: impl FnMut(&'x [E]),
) -> Option<usize> {
    let [_, in_w] = p.window.input;
    let (rows, first_y) = p.window.taps(0, oy);
    let (columns, first_x) = p.window.taps(1, ox);
    for y in (first_y..).take(rows.len()) {
        let start = (y * in_w + first_x) * p.channels;
        let row = image.get(start..)?.get(..columns.len() * p.channels)?;
        row.chunks_exact(p.channels.max(1)).for_each(&mut each);
    }
    Some(rows.len() * columns.len())
}

/// See [`super::reference::max_pool2d`].
pub fn max_pool2d<E: Element>(p: &Pool2d<E>, x: &[E], out: &mut [E]) -> Option<()> {
    pixels(p, x, out, |image, at, pixel| {
        pixel.fill(E::MIN);
        taps(p, image, at, |values| {
            for (max, &value) in pixel.iter_mut().zip(values) {
                *max = (*max).max(value);
            }
        })?;
        for value in pixel {
            *value = E::limit(value.widen(), p.output.min, p.output.max);
        }
        Some(())
    })
}

/// Bytes of scratch memory that [`avg_pool2d`] needs: a sum a channel.
pub fn avg_pool2d_scratch_len<E: Element>(p: &Pool2d<E>) -> Option<usize> {
    p.channels.checked_mul(size_of::<E::Sum>())
}

/// See [`super::reference::avg_pool2d_tflite`]; the sums of all channels stand in `sums`.
pub fn avg_pool2d_tflite(p: &Pool2d<i8>, x: &[i8], out: &mut [i8], sums: &mut [i32]) -> Option<()> {
    let sums = sums.get_mut(..p.channels)?;
    pixels(p, x, out, |image, at, pixel| {
        sums.fill(0);
        let count = taps(p, image, at, |values| {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = sum.wrapping_add(value.into());
            }
        })?;
        let count = u32::try_from(count).ok()?;
        for (value, &sum) in pixel.iter_mut().zip(sums.iter()) {
            *value = clamp_s8(rounding_divide_away(sum, count), p.output.min, p.output.max);
        }
        Some(())
    })
}

/// See [`super::reference::avg_pool2d`]; the sums of all channels stand in `sums`.
pub fn avg_pool2d<E: Element>(p: &Pool2d<E>, d: &Divisors, x: &[E], out: &mut [E], sums: &mut [E::Sum]) -> Option<()> {
    let sums = sums.get_mut(..p.channels)?;
    pixels(p, x, out, |image, at, pixel| {
        sums.fill(E::Sum::default());
        let count = taps(p, image, at, |values| {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = sum.plus(value.widen().wrapping_sub(d.in_zero_point));
            }
        })?;
        let entry = if d.mult.len() == 1 { 0 } else { count.checked_sub(1)? };
        let m = Multiplier { mult: *d.mult.get(entry)?, shift: *d.shift.get(entry)? };
        for (value, &sum) in pixel.iter_mut().zip(sums.iter()) {
            *value = p.output.rescale(sum, m);
        }
        Some(())
    })
}
