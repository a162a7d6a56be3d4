//! The energies of bands of frequencies, of acceleration along three axes.

use teff::dsp::{Complex, Rfft, apply_window, hann, powers};
use teff::fixed::{LOG2_FRACTION_BITS, log2};

/// Acceleration along x, y and z, in any unit.
pub type Sample = [i16; 3];

/// The logarithm to base 2 of each band's energy, Q15.16, up to a constant.
pub type Bands = [i32; BANDS];

/// Bands, of equal width, from the first bin of the spectrum to half the sampling rate.
pub const BANDS: usize = 32;

/// Samples of a frame.
pub const FRAME: usize = 512;

/// Frames of which the energies are added (Welch, "The use of fast Fourier transform for the estimation of power
/// spectra", 1967; without overlap).
pub const FRAMES: u32 = 4;

/// Samples for one set of energies.
pub const SAMPLES: usize = FRAME * FRAMES as usize;

const HALF: usize = FRAME / 2;

/// Fraction bits of energies: twice those of the spectrum of a frame of full scale.
const ENERGY_BITS: u32 = 12;

/// Added to each energy, in squares of the samples' unit: that of noise with a standard deviation of 1/8, which rounding
/// to integers makes anyway. Digital silence then has no logarithm far below.
const FLOOR: u64 = ((FRAMES as u64 * 3 * (HALF / BANDS) as u64 * 192) << ENERGY_BITS) / 64;

static WINDOW: [u16; FRAME] = hann();
static FFT: Rfft<HALF> = Rfft::new();

/// Collects samples and gives the energies of the bands for each [`SAMPLES`] of them.
///
/// The energy is the sum over the axes: it does not depend on how the sensor is turned. Each frame's mean, gravity above
/// all, is taken off first.
#[derive(Debug, Clone)]
pub struct BandEnergies {
    samples: [[i16; FRAME]; 3],
    filled: usize,
    frames: u32,
    spectrum: [Complex; HALF],
    sums: [u64; BANDS],
}

impl BandEnergies {
    /// Without samples. It is large, 5.4 KB: make it a `static`.
    pub const fn new() -> Self {
        Self { samples: [[0; FRAME]; 3], filled: 0, frames: 0, spectrum: [[0; 2]; HALF], sums: [0; BANDS] }
    }

    /// Takes a sample; with the last of [`SAMPLES`], gives their energies and begins anew.
    pub fn push(&mut self, sample: Sample) -> Option<Bands> {
        for (axis, x) in self.samples.iter_mut().zip(sample) {
            *axis.get_mut(self.filled)? = x;
        }
        self.filled += 1;
        if self.filled < FRAME {
            return None;
        }
        self.filled = 0;
        self.add_frame();
        self.frames += 1;
        if self.frames < FRAMES {
            return None;
        }
        self.frames = 0;
        let bands =
            self.sums.map(|energy| log2(energy.saturating_add(FLOOR)) - ((ENERGY_BITS as i32) << LOG2_FRACTION_BITS));
        self.sums = [0; BANDS];
        Some(bands)
    }

    fn add_frame(&mut self) {
        for axis in &mut self.samples {
            let sum: i32 = axis.iter().map(|&x| i32::from(x)).sum();
            // Half up. The mean of i16 is one.
            let mean = ((sum + HALF as i32) >> FRAME.ilog2()) as i16;
            axis.iter_mut().for_each(|x| *x = x.saturating_sub(mean));
            let fraction_bits = apply_window(axis, &WINDOW, &mut self.spectrum);
            FFT.run(&mut self.spectrum);
            // At least 6 fraction bits: see `apply_window`.
            let shift = (2 * fraction_bits).saturating_sub(ENERGY_BITS);
            let mut powers = powers(&self.spectrum).skip(1);
            for sum in &mut self.sums {
                // By Parseval's theorem less than 2^61.
                let energy: u64 = powers.by_ref().take(HALF / BANDS).fold(0, u64::saturating_add);
                *sum = sum.saturating_add(energy >> shift);
            }
        }
    }
}

impl Default for BandEnergies {
    fn default() -> Self {
        Self::new()
    }
}
