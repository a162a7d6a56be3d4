//! Resampling in plain Rust that any target runs well: channels innermost, as they lie in memory.

use super::{Resample2d, WEIGHT_BITS};
use crate::fixed::rounding_shift_right_i64;
use crate::kernels::Element;

/// Bytes of scratch memory that [`resample2d`] needs: a sum a channel.
pub fn resample2d_scratch_len<E>(p: &Resample2d<E>) -> Option<usize> {
    p.channels.checked_mul(size_of::<i64>())
}

/// See [`super::reference::resample2d`].
///
/// Where an output is one input of weight 1, it is moved; everywhere else the weights of all inputs are multiplied once
/// for all channels, and weights of 0 are left out.
pub fn resample2d<E: Element>(p: &Resample2d<E>, x: &[E], out: &mut [E], sums: &mut [i64]) -> Option<()> {
    let [height, width] = p.input;
    let channels = p.channels.max(1);
    let sums = sums.get_mut(..p.channels)?;
    let row_len = width.checked_mul(p.channels)?;
    let images = x.chunks_exact(height.checked_mul(row_len)?.max(1));
    let out_row = p.columns.len().checked_mul(p.channels)?;
    let results = out.chunks_exact_mut(out_row.checked_mul(p.rows.len())?.max(1));
    let single = p.rows.width == 1 && p.columns.width == 1;
    for (image, result) in images.zip(results).take(p.batch) {
        let row_at = |y: usize| image.get(y.checked_mul(row_len)?..)?.get(..row_len);
        let pixel_at = |y: usize, x: usize| row_at(y)?.get(x.checked_mul(p.channels)?..)?.get(..p.channels);
        for (i, row) in result.chunks_exact_mut(out_row.max(1)).enumerate() {
            for (pixel, columns) in row.chunks_exact_mut(channels).zip(p.columns.outputs()) {
                if single {
                    let ((y, r), (xx, s)) = (p.rows.output(i)?.next()?, { columns }.next()?);
                    copy(p, product(r, s), pixel_at(y, xx)?, pixel);
                    continue;
                }
                sums.fill(0);
                for (xx, s) in columns.filter(|&(_, weight)| weight != 0) {
                    for (y, r) in p.rows.output(i)?.filter(|&(_, weight)| weight != 0) {
                        let weight = product(r, s);
                        for (sum, value) in sums.iter_mut().zip(pixel_at(y, xx)?) {
                            let x = value.widen().wrapping_sub(p.in_zero_point);
                            *sum = sum.wrapping_add(weight.wrapping_mul(x.into()));
                        }
                    }
                }
                for (value, &sum) in pixel.iter_mut().zip(sums.iter()) {
                    *value = p.output.finish(rounding_shift_right_i64(sum, 2 * WEIGHT_BITS));
                }
            }
        }
    }
    Some(())
}

#[inline(always)]
fn product(a: i32, b: i32) -> i64 {
    i64::from(a).wrapping_mul(b.into())
}

/// One input, times its weight.
#[inline(always)]
fn copy<E: Element>(p: &Resample2d<E>, weight: i64, from: &[E], to: &mut [E]) {
    let values = to.iter_mut().zip(from).map(|(to, from)| (to, from.widen().wrapping_sub(p.in_zero_point)));
    if weight == 1 << (2 * WEIGHT_BITS) {
        values.for_each(|(to, x)| *to = p.output.finish(x));
    } else {
        let scaled = |x: i32| rounding_shift_right_i64(weight.wrapping_mul(x.into()), 2 * WEIGHT_BITS);
        values.for_each(|(to, x)| *to = p.output.finish(scaled(x)));
    }
}
