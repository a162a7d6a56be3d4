//! Windows.

use super::rfft::Complex;
use crate::fixed::{cos_turns, rounding_shift_right};

/// The periodic Hann window `½ − ½·cos(2πn/LEN)` in Q15, 1.0 being 32 768; `scipy.signal.get_window("hann", LEN)`.
///
/// Within 1 unit of 2^-15.
pub const fn hann<const LEN: usize>() -> [u16; LEN] {
    cosine_window(1 << 30, 1 << 30)
}

/// The periodic Hamming window `0.54 − 0.46·cos(2πn/LEN)` in Q15; `scipy.signal.get_window("hamming", LEN)`.
///
/// Within 1 unit of 2^-15.
pub const fn hamming<const LEN: usize>() -> [u16; LEN] {
    // 0.54 and 0.46 in Q31
    cosine_window(1_159_641_170, 987_842_478)
}

/// `mean − amplitude·cos(2πn/LEN)`, both in Q31.
#[expect(clippy::indexing_slicing, reason = "n < LEN; evaluated at compile time")]
const fn cosine_window<const LEN: usize>(mean: i64, amplitude: i64) -> [u16; LEN] {
    let mut window = [0; LEN];
    let mut n = 0;
    while n < LEN {
        let phase = ((n as u64) << 32) / LEN as u64;
        let value = mean - ((amplitude * cos_turns(phase as u32) as i64) >> 31);
        window[n] = ((value + (1 << 15)) >> 16) as u16;
        n += 1;
    }
    window
}

/// Writes windowed samples, ready for [`super::Rfft`]: `⌊samples[n]·window[n] / 2^s + ½⌋`, and gives their fraction bits,
/// `15 − s`.
///
/// The shift `s` makes the most of the range that the FFT allows: `log2(2·HALF)` for a frame of full scale, one less for
/// each bit that the loudest sample leaves unused, at least 0.
///
/// * `window`: Q15, at most 32 768
/// * the frame is as long as the shortest of `samples`, `window` and `out`, of which the rest is zeroed
pub fn apply_window<const HALF: usize>(samples: &[i16], window: &[u16], out: &mut [Complex; HALF]) -> u32 {
    // The bits below the sign bit that no sample uses; 15 for silence.
    let used = samples.iter().fold(0, |bits, &x| bits | (x ^ (x >> 15)));
    let unused = used.leading_zeros() - 1;
    let shift = (2 * HALF).ilog2().saturating_sub(unused);
    let out = out.as_flattened_mut();
    let mut slots = out.iter_mut();
    // Not `slots` first: a zip takes an element of the first before it finds that the second has ended.
    for ((&x, &w), slot) in samples.iter().zip(window).zip(slots.by_ref()) {
        // |x·w| ≤ 2^(15 − unused) · 2^15
        *slot = rounding_shift_right(i32::from(x) * i32::from(w.min(1 << 15)), shift as u8);
    }
    slots.for_each(|slot| *slot = 0);
    15 - shift
}
