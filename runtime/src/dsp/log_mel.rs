//! From a frame of samples to its log-mel energies.

use super::mel::MelBank;
use super::rfft::{Complex, Rfft};
use super::window::apply_window;
use crate::fixed::{LOG2_FRACTION_BITS, log2};

/// Window, FFT, power, mel filters and logarithm.
#[derive(Debug, Clone, Copy)]
pub struct LogMel<'t, const HALF: usize> {
    /// Q15; a frame that is shorter than the FFT is followed by zeros.
    pub window: &'t [u16],
    /// The FFT of `2·HALF` samples.
    pub fft: &'t Rfft<HALF>,
    /// The filters.
    pub mel: &'t MelBank<HALF>,
}

impl<const HALF: usize> LogMel<'_, HALF> {
    /// Writes `log2 Σ weight·|X|²` of each filter in Q15.16, samples being integers.
    ///
    /// * `spectrum`: scratch memory; afterwards the spectrum
    /// * `out`: as long as there are filters; a shorter one gets the first
    /// * no energy at all gives the logarithm of the smallest energy that can be told from it
    pub fn run(&self, frame: &[i16], spectrum: &mut [Complex; HALF], out: &mut [i32]) {
        let fraction_bits = apply_window(frame, self.window, spectrum);
        self.fft.run(spectrum);
        // Powers have twice the fraction bits of the spectrum, energies 15 more for the weights.
        let fraction_bits = 15 + 2 * fraction_bits as i32;
        let mut slots = out.iter_mut();
        self.mel.energies(spectrum, |energy, shift| {
            if let Some(slot) = slots.next() {
                // From −45 to 80 in the integer part.
                *slot = log2(energy) + ((2 * shift as i32 - fraction_bits) << LOG2_FRACTION_BITS);
            }
        });
    }
}
