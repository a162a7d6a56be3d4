//! Triangular filters on the mel scale.

use super::power::power;
use super::rfft::Complex;
use crate::fixed::{log2_bits, rounding_shift_right};

/// A bank of triangular filters over the bins of a spectrum: corners equally spaced in `mel(f) = 2595·log10(1 + f/700)`,
/// triangles linear in f with peak 1 (HTK's; `torchaudio.functional.melscale_fbanks` by default).
///
/// For the spectrum of `2·HALF` samples. A bin lies between two corners, so it belongs to two filters, and its weights
/// there add up to 1: one weight for each bin is all that is stored. The bins 0 and `HALF` have no weight in any filter.
#[derive(Debug, Clone)]
pub struct MelBank<const HALF: usize> {
    filters: usize,
    /// Bins up to the first corner, bin 0 among them.
    skip: usize,
    /// Bins from there to the last corner.
    covered: usize,
    edges: [Edge; HALF],
}

/// Where a bin lies: between corners `filter` and `filter + 1`.
#[derive(Debug, Clone, Copy)]
struct Edge {
    /// The filter that rises here; the one before it falls.
    filter: u16,
    /// Q15.
    rising: u16,
}

/// Fraction bits of frequencies in Hz.
const HZ_BITS: u32 = 20;
/// Fraction bits of logarithms.
const LOG_BITS: u32 = 28;
/// 1.0 of a weight.
const ONE: u64 = 1 << 15;

impl<const HALF: usize> MelBank<HALF> {
    /// `filters` filters from `low` to `high` Hz for a spectrum of samples at `rate` Hz.
    ///
    /// Weights are within 2 units of 2^-15 of the formula's. Call it in a constant, which cannot be built if
    /// `high ≤ low` or above `rate / 2`, or the filters are none or more than 1000.
    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time, which would fail")]
    pub const fn new(rate: u32, filters: usize, low: u32, high: u32) -> Self {
        assert!(HALF >= 2 && filters >= 1 && filters <= 1000, "1 to 1000 filters");
        assert!(low < high && high <= rate / 2, "filters lie below half the sampling rate");
        let (base, top) = (position(low as u64), position(high as u64));
        let mut edges = [Edge { filter: 0, rising: 0 }; HALF];
        let (mut skip, mut covered) = (1, 0);
        let mut filter = 0;
        let mut left = (low as u64) << HZ_BITS;
        let mut right = corner(base, top, 1, filters);
        let mut bin = 1;
        while bin < HALF {
            let f = (bin as u64 * rate as u64 * (1 << HZ_BITS)) / (2 * HALF as u64);
            while f >= right && filter < filters {
                filter += 1;
                left = right;
                right =
                    if filter == filters { (high as u64) << HZ_BITS } else { corner(base, top, filter + 1, filters) };
            }
            if f < left {
                skip += 1;
            } else if f < right {
                let rising = ((f - left) * ONE + (right - left) / 2) / (right - left);
                edges[covered] = Edge { filter: filter as u16, rising: rising as u16 };
                covered += 1;
            }
            bin += 1;
        }
        Self { filters, skip, covered, edges }
    }

    /// Number of filters.
    pub const fn filters(&self) -> usize {
        self.filters
    }

    /// Gives `Σ weight·|X|²` of each filter, in order, to `emit`: as a mantissa, to be multiplied by `2^(2·shift − 15)`,
    /// and that shift, which is the same for all.
    ///
    /// The components of the spectrum are shifted right by `shift`, rounded half up, so that the sum of powers has no
    /// more than 49 bits: by 0 unless the frame is loud.
    pub fn energies(&self, spectrum: &[Complex; HALF], mut emit: impl FnMut(u64, u32)) {
        // By Parseval's theorem at most 2^60 for a spectrum within the contract of the FFT.
        let total = spectrum.iter().fold(0_u64, |sum, &x| sum.wrapping_add(power(x)));
        let shift = 17_u32.saturating_sub(total.leading_zeros()) / 2;
        let mut filter = 0_u16;
        // Of the filter that falls now: Σ w·p while it rose. Since the last corner: Σ p, and Σ w·p of the rising one.
        let (mut before, mut all, mut rising) = (0_u64, 0_u64, 0_u64);
        let mut corner = |filter: u16, all: &mut u64, rising: &mut u64| {
            if filter > 0 {
                emit(before.wrapping_add(*all << 15).wrapping_sub(*rising), shift);
            }
            (before, *all, *rising) = (*rising, 0, 0);
        };
        let edges = self.edges.iter().take(self.covered);
        for (&[re, im], edge) in spectrum.iter().skip(self.skip).zip(edges) {
            while filter < edge.filter {
                corner(filter, &mut all, &mut rising);
                filter = filter.saturating_add(1);
            }
            let power = power([rounding_shift_right(re, shift as u8), rounding_shift_right(im, shift as u8)]);
            // Σ power < 2^49 and weights are at most 2^15: nothing wraps.
            all = all.wrapping_add(power);
            rising = rising.wrapping_add(power.wrapping_mul(edge.rising.into()));
        }
        while usize::from(filter) <= self.filters {
            corner(filter, &mut all, &mut rising);
            filter = filter.saturating_add(1);
        }
    }
}

/// `log2(1 + hz/700)` in Q28, up to a constant.
const fn position(hz: u64) -> u64 {
    log2_bits((hz + 700) << HZ_BITS, LOG_BITS)
}

/// The frequency of corner `index` of `filters + 2`, in Hz with 20 bits of fraction: by bisection.
const fn corner(base: u64, top: u64, index: usize, filters: usize) -> u64 {
    let target = base + (top - base) * index as u64 / (filters as u64 + 1);
    let (mut low, mut high) = (0_u64, 1_u64 << (32 + HZ_BITS));
    while high - low > 1 {
        let middle = (low + high) / 2;
        if log2_bits(middle + (700 << HZ_BITS), LOG_BITS) < target {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn energies<const HALF: usize>(bank: &MelBank<HALF>, spectrum: &[Complex; HALF]) -> Vec<(u64, u32)> {
        let mut found = Vec::new();
        bank.energies(spectrum, |energy, shift| found.push((energy, shift)));
        found
    }

    #[test]
    fn there_is_an_energy_for_each_filter_also_where_no_bin_is() {
        // Bins of 500 Hz: the low filters are narrower.
        let bank = MelBank::<16>::new(16_000, 40, 20, 7_600);
        let found = energies(&bank, &[[1, 0]; 16]);
        assert_eq!(found.len(), 40);
        assert!(found.iter().any(|&(energy, _)| energy == 0) && found.iter().any(|&(energy, _)| energy > 0));
        // All bins lie below the first corner.
        let bank = MelBank::<4>::new(16_000, 3, 7_000, 8_000);
        assert_eq!(energies(&bank, &[[1, 1]; 4]), [(0, 0); 3]);
    }

    #[test]
    fn loud_and_quiet_frames_keep_their_ratio() {
        let bank = MelBank::<256>::new(16_000, 40, 20, 7_600);
        let quiet: [Complex; 256] = core::array::from_fn(|k| [k as i32, 3]);
        let loud = quiet.map(|x| x.map(|part| part << 17));
        let (quiet, loud) = (energies(&bank, &quiet), energies(&bank, &loud));
        for (&(quiet, none), &(loud, shift)) in quiet.iter().zip(&loud) {
            assert!(none == 0 && shift > 0);
            assert_eq!(u128::from(quiet) << 34, u128::from(loud) << (2 * shift));
        }
    }
}
