//! Pools in plain Rust that any target runs well: channels innermost, as they lie in memory.

use super::{Divisors, Pool2d};
use crate::fixed::{Multiplier, clamp_s8, requantize};

/// Calls `each` for every output pixel with its coordinates, in order, and its channels.
#[inline(always)]
fn pixels<'x>(
    p: &Pool2d,
    x: &'x [i8],
    out: &mut [i8],
    mut each: impl FnMut(&'x [i8], (usize, usize), &mut [i8]) -> Option<()>,
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
fn taps<'x>(p: &Pool2d, image: &'x [i8], (oy, ox): (usize, usize), mut each: impl FnMut(&'x [i8])) -> Option<usize> {
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

/// See [`super::reference::max_pool2d_s8`].
pub fn max_pool2d_s8(p: &Pool2d, x: &[i8], out: &mut [i8]) -> Option<()> {
    pixels(p, x, out, |image, at, pixel| {
        pixel.fill(i8::MIN);
        taps(p, image, at, |values| {
            for (max, &value) in pixel.iter_mut().zip(values) {
                *max = (*max).max(value);
            }
        })?;
        for value in pixel {
            *value = clamp_s8((*value).into(), p.output.min, p.output.max);
        }
        Some(())
    })
}

/// Bytes of scratch memory that [`avg_pool2d_s8`] needs: a sum a channel.
pub fn avg_pool2d_s8_scratch_len(p: &Pool2d) -> Option<usize> {
    p.channels.checked_mul(size_of::<i32>())
}

/// See [`super::reference::avg_pool2d_s8`]; the sums of all channels stand in `sums`.
pub fn avg_pool2d_s8(p: &Pool2d, d: &Divisors, x: &[i8], out: &mut [i8], sums: &mut [i32]) -> Option<()> {
    let sums = sums.get_mut(..p.channels)?;
    pixels(p, x, out, |image, at, pixel| {
        sums.fill(0);
        let count = taps(p, image, at, |values| {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = sum.wrapping_add(i32::from(value).wrapping_sub(d.in_zero_point));
            }
        })?;
        let entry = if d.mult.len() == 1 { 0 } else { count.checked_sub(1)? };
        let m = Multiplier { mult: *d.mult.get(entry)?, shift: *d.shift.get(entry)? };
        for (value, &sum) in pixel.iter_mut().zip(sums.iter()) {
            *value = p.output.finish(requantize(sum, m));
        }
        Some(())
    })
}
