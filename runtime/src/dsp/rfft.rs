//! The FFT of real samples.
//!
//! `2·HALF` real samples are `HALF` complex ones, whose FFT is unmixed into the spectrum of the real ones (Sorensen et al.,
//! "Real-valued fast Fourier transform algorithms", IEEE Transactions on Acoustics, Speech and Signal Processing 35(6),
//! 1987). The complex FFT decimates in frequency with radix 4, in place; a bit reversal puts its output in order.

use crate::fixed::{cos_turns, dot2_q32, rounding_shift_right, sin_turns};

/// Real and imaginary part.
pub type Complex = [i32; 2];

/// The FFT of `2·HALF` real samples with its tables, `12·HALF` bytes. Make it a `static`: the compiler fills it.
///
/// `HALF` is a power of two from 4 to 4096.
#[derive(Debug, Clone)]
pub struct Rfft<const HALF: usize> {
    /// For each radix-4 stage but the last, longest first: `W^j, W^2j, W^3j` for `j < L/4`, `W = exp(−2πi/L)`, in Q31.
    stages: [Complex; HALF],
    /// `exp(−2πi·k/(2·HALF))` for `1 ≤ k < HALF/2`, in Q31, then zeros.
    unmix: [i32; HALF],
}

impl<const HALF: usize> Rfft<HALF> {
    /// The tables.
    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time, which would fail")]
    pub const fn new() -> Self {
        const { assert!(HALF.is_power_of_two() && HALF >= 4 && HALF <= 4096, "HALF is a power of 2 from 4 to 4096") };
        let mut stages = [[0; 2]; HALF];
        let mut len = HALF;
        let mut next = 0;
        while len > 4 {
            let mut j = 0;
            while j < len / 4 {
                let mut power = 1;
                while power <= 3 {
                    stages[next] = root(j * power, len);
                    next += 1;
                    power += 1;
                }
                j += 1;
            }
            len /= 4;
        }
        let mut unmix = [0; HALF];
        let mut k = 1;
        while k < HALF / 2 {
            [unmix[2 * k - 2], unmix[2 * k - 1]] = root(k, 2 * HALF);
            k += 1;
        }
        Self { stages, unmix }
    }

    /// Replaces samples by their spectrum: `X[k] = Σ x[n]·exp(−2πi·n·k/(2·HALF))`, not scaled.
    ///
    /// * before: `data[m] = [x[2m], x[2m + 1]]`, each at most `2^30 / (2·HALF)` in magnitude, as
    ///   [`super::apply_window`] writes them; larger samples may wrap
    /// * after: `data[k] = X[k]` for `1 ≤ k < HALF`, and `data[0] = [X[0], X[HALF]]`, both real
    /// * error: rounding only, see `docs/numerics.md`
    pub fn run(&self, data: &mut [Complex; HALF]) {
        self.complex(data);
        bit_reverse(data);
        self.unmix(data);
    }

    fn complex(&self, data: &mut [Complex; HALF]) {
        let mut twiddles = self.stages.as_slice();
        let mut len = HALF;
        while len > 4 {
            // The stages together have fewer than HALF factors.
            let Some((stage, later)) = twiddles.split_at_checked(len / 4 * 3) else { return };
            data.chunks_exact_mut(len).for_each(|block| radix4(block, stage.as_chunks().0));
            twiddles = later;
            len /= 4;
        }
        if len == 4 {
            for [a, b, c, d] in data.as_chunks_mut::<4>().0 {
                [*a, *b, *c, *d] = butterfly([*a, *b, *c, *d]);
            }
        } else {
            for [a, b] in data.as_chunks_mut::<2>().0 {
                [*a, *b] = [add(*a, *b), sub(*a, *b)];
            }
        }
    }

    /// From `Z`, the FFT of `x[2m] + i·x[2m + 1]`, to `X`.
    fn unmix(&self, data: &mut [Complex; HALF]) {
        let (low, high) = data.split_at_mut(HALF / 2);
        let mut low = low.iter_mut();
        if let Some([re, im]) = low.next() {
            [*re, *im] = [re.wrapping_add(*im), re.wrapping_sub(*im)];
        }
        // X[HALF/2] is the conjugate of Z[HALF/2]; the others go in pairs, k and HALF − k.
        let mut high = high.iter_mut();
        if let Some([_, im]) = high.next() {
            *im = im.wrapping_neg();
        }
        for ((a, b), w) in low.zip(high.rev()).zip(self.unmix.as_chunks().0) {
            [*a, *b] = unmix(*a, *b, *w);
        }
    }
}

impl<const HALF: usize> Default for Rfft<HALF> {
    fn default() -> Self {
        Self::new()
    }
}

/// `exp(−2πi·k/len)` in Q31, for a power of two `len`.
const fn root(k: usize, len: usize) -> Complex {
    let phase = ((k as u64) << 32) / len as u64;
    [cos_turns(phase as u32), -sin_turns(phase as u32)]
}

/// A radix-4 stage on a block; its outputs 1 and 2 change places, so that the order in the end is bit-reversed.
///
/// Inlined where the length is known: the four quarters then lie at constant distances from one pointer, where four would
/// leave too few registers.
#[inline(always)]
fn radix4(block: &mut [Complex], twiddles: &[[Complex; 3]]) {
    let Some((low, high)) = block.split_at_mut_checked(block.len() / 2) else { return };
    let Some((a, b)) = low.split_at_mut_checked(low.len() / 2) else { return };
    let Some((c, d)) = high.split_at_mut_checked(high.len() / 2) else { return };
    for ((((a, b), c), d), [w1, w2, w3]) in a.iter_mut().zip(b).zip(c).zip(d).zip(twiddles) {
        let [y0, y2, y1, y3] = butterfly([*a, *b, *c, *d]);
        *a = y0;
        *b = rotate(y2, *w2);
        *c = rotate(y1, *w1);
        *d = rotate(y3, *w3);
    }
}

/// The outputs 0, 2, 1, 3 of the DFT of four.
#[inline(always)]
fn butterfly([a, b, c, d]: [Complex; 4]) -> [Complex; 4] {
    let (s, t) = (add(a, c), sub(a, c));
    let (u, v) = (add(b, d), sub(b, d));
    // −i·v
    let [re, im] = v;
    let v = [im, re.wrapping_neg()];
    [add(s, u), sub(s, u), add(t, v), sub(t, v)]
}

/// `x·w`, each component rounded to an even number: twice [`dot2_q32`].
#[inline(always)]
fn rotate([re, im]: Complex, [w_re, w_im]: Complex) -> Complex {
    [dot2_q32(re, w_re, im.wrapping_neg(), w_im) << 1, dot2_q32(re, w_im, im, w_re) << 1]
}

/// `X[k]` and `X[HALF − k]` from `a = Z[k]` and `b = Z[HALF − k]`, with `w = exp(−2πi·k/(2·HALF))`:
/// `E ± w·O` with `E = (a + b*)/2` and `O = −i·(a − b*)/2`; the halving of O is that of [`dot2_q32`].
#[inline(always)]
fn unmix([a_re, a_im]: Complex, [b_re, b_im]: Complex, [w_re, w_im]: Complex) -> [Complex; 2] {
    let even_re = rounding_shift_right(a_re.wrapping_add(b_re), 1);
    let even_im = rounding_shift_right(a_im.wrapping_sub(b_im), 1);
    let (diff_re, diff_im) = (a_re.wrapping_sub(b_re), a_im.wrapping_add(b_im));
    let odd_re = dot2_q32(diff_im, w_re, diff_re, w_im);
    let odd_im = dot2_q32(diff_im, w_im, diff_re.wrapping_neg(), w_re);
    [
        [even_re.wrapping_add(odd_re), even_im.wrapping_add(odd_im)],
        [even_re.wrapping_sub(odd_re), odd_im.wrapping_sub(even_im)],
    ]
}

#[inline(always)]
fn add([a_re, a_im]: Complex, [b_re, b_im]: Complex) -> Complex {
    [a_re.wrapping_add(b_re), a_im.wrapping_add(b_im)]
}

#[inline(always)]
fn sub([a_re, a_im]: Complex, [b_re, b_im]: Complex) -> Complex {
    [a_re.wrapping_sub(b_re), a_im.wrapping_sub(b_im)]
}

fn bit_reverse<const HALF: usize>(data: &mut [Complex; HALF]) {
    let unused = usize::BITS - HALF.ilog2();
    for i in 0..HALF {
        let j = i.reverse_bits() >> unused;
        if i < j {
            // Both are below HALF.
            if let Ok([x, y]) = data.get_disjoint_mut([i, j]) {
                core::mem::swap(x, y);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_arithmetic)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The largest error of a component, in units, over random full-scale frames; against the DFT in f64.
    fn worst_error<const HALF: usize>(frames: u32) -> f64 {
        let fft = Rfft::<HALF>::new();
        let n = 2 * HALF;
        let roots: Vec<(f64, f64)> = (0..n).map(|k| (core::f64::consts::TAU * k as f64 / n as f64).sin_cos()).collect();
        let mut seed = 1_u32;
        let mut worst = 0.0_f64;
        for frame in 0..frames {
            let mut data = [[0; 2]; HALF];
            let limit = (1 << 30) / n as i64;
            for x in data.as_flattened_mut() {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Noise, and square waves of full scale.
                let noise = (i64::from(seed.cast_signed()) * limit) >> 31;
                *x = if frame % 2 == 0 { noise as i32 } else { (noise.signum() * limit) as i32 };
            }
            let input: Vec<f64> = data.as_flattened().iter().map(|&x| f64::from(x)).collect();
            fft.run(&mut data);
            for k in 0..=HALF {
                let (mut re, mut im) = (0.0, 0.0);
                for (i, x) in input.iter().enumerate() {
                    let (sin, cos) = roots[i * k % n];
                    (re, im) = (re + x * cos, im - x * sin);
                }
                let [found_re, found_im] = match k {
                    0 => [data[0][0], 0],
                    k if k == HALF => [data[0][1], 0],
                    k => data[k],
                };
                worst = worst.max((f64::from(found_re) - re).abs()).max((f64::from(found_im) - im).abs());
            }
        }
        worst
    }

    #[test]
    fn errors_are_within_their_bounds() {
        let worst = [
            worst_error::<4>(200),
            worst_error::<8>(200),
            worst_error::<16>(100),
            worst_error::<32>(100),
            worst_error::<64>(40),
            worst_error::<128>(20),
            worst_error::<256>(10),
            worst_error::<512>(4),
            worst_error::<1024>(2),
        ];
        let bounds = [2.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0];
        assert!(worst.iter().zip(bounds).all(|(&worst, bound)| worst <= bound), "{worst:?} {bounds:?}");
    }

    #[test]
    fn full_scale_does_not_wrap() {
        let fft = Rfft::<256>::new();
        for sign in [1, -1] {
            let mut data = [[sign << 21; 2]; 256];
            fft.run(&mut data);
            assert!((data[0][0] - sign * (1 << 30)).abs() <= 32, "{:?}", data[0]);
            assert!(data[1..].as_flattened().iter().all(|x| x.abs() <= 32));
        }
    }
}
