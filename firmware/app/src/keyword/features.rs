//! From sound to what keyword models read: log-mel energies as bytes.

use teff::dsp::{Complex, Framer, LogMel, MelBank, Rfft, hann};
use teff::fixed::rounding_shift_right;

/// Samples a second.
pub const RATE: u32 = 16_000;
/// Samples of a frame: 30 ms.
pub const FRAME: usize = 480;
/// Samples from one frame to the next: 20 ms.
pub const HOP: usize = 320;
/// Mel bands, from 80 Hz to 7.6 kHz.
pub const BANDS: usize = 40;

/// Steps of a level for each doubling of the energy, as a power of 2: a level is 0.38 dB.
const STEPS_BITS: u32 = 3;
/// The energy of level 0 is `2^FLOOR`: 96 dB below the loudest tone, whose band has about 2^44.
const FLOOR: i32 = 12;

static WINDOW: [u16; FRAME] = hann();
static FFT: Rfft<256> = Rfft::new();
static MEL: MelBank<256> = MelBank::new(RATE, BANDS, 80, 7_600);
static LOG_MEL: LogMel<'static, 256> = LogMel { window: &WINDOW, fft: &FFT, mel: &MEL };

/// The fixed-point front end: frames of [`FRAME`] samples every [`HOP`], a Hann window, 512-point FFT, mel bands, logarithm.
#[derive(Debug, Clone)]
pub struct FrontEnd {
    framer: Framer<FRAME>,
    spectrum: [Complex; 256],
    energies: [i32; BANDS],
}

impl FrontEnd {
    /// One that has heard nothing.
    pub const fn new() -> Self {
        Self { framer: Framer::new(HOP), spectrum: [[0; 2]; 256], energies: [0; BANDS] }
    }

    /// Takes samples and gives the levels of each frame that they complete to `on_frame`.
    ///
    /// A level is `⌊8·log2 E + ½⌋ − 96`, saturated to `[0, 255]`, with E the energy of a band as [`LogMel`] has it. A model
    /// takes levels as pixels: as floats they are `level / 255`, in int8 `level − 128`.
    pub fn feed(&mut self, samples: &[i16], mut on_frame: impl FnMut(&[u8; BANDS])) {
        let Self { framer, spectrum, energies } = self;
        framer.feed(samples, |frame| {
            LOG_MEL.run(frame, spectrum, energies);
            on_frame(&energies.map(level));
        });
    }
}

impl Default for FrontEnd {
    fn default() -> Self {
        Self::new()
    }
}

/// The level of a logarithm in Q15.16.
fn level(log2: i32) -> u8 {
    let steps = rounding_shift_right(log2, (16 - STEPS_BITS) as u8) - (FLOOR << STEPS_BITS);
    steps.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn levels(samples: &[i16]) -> Vec<[u8; BANDS]> {
        let mut found = Vec::new();
        FrontEnd::new().feed(samples, |frame| found.push(*frame));
        found
    }

    #[test]
    fn levels_are_rounded_and_saturate() {
        assert_eq!(level(12 << 16), 0);
        assert_eq!(level((12 << 16) + (1 << 12) - 1), 0);
        assert_eq!(level((12 << 16) + (1 << 12)), 1);
        assert_eq!(level(28 << 16), 128);
        assert_eq!([level(i32::MIN), level(i32::MAX)], [0, 255]);
    }

    #[test]
    fn silence_is_0_and_the_loudest_tone_is_just_within() {
        assert!(levels(&[0; RATE as usize]).iter().all(|frame| frame == &[0; BANDS]));
        let tone: Vec<i16> =
            (0..1_600).map(|n| (32_767.0 * (core::f64::consts::TAU * f64::from(n) / 16.0).sin()) as i16).collect();
        let loudest = levels(&tone).into_iter().flatten().max();
        assert!(loudest.is_some_and(|level| (245..255).contains(&level)), "{loudest:?}");
    }

    #[test]
    fn a_second_has_49_frames_however_its_samples_come() {
        let mut seed = 1_u32;
        let sound: Vec<i16> = (0..RATE)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed.cast_signed() >> 18) as i16
            })
            .collect();
        let whole = levels(&sound);
        assert_eq!(whole.len(), 49);
        let mut pieces = Vec::new();
        let mut front_end = FrontEnd::new();
        sound.chunks(77).for_each(|piece| front_end.feed(piece, |frame| pieces.push(*frame)));
        assert_eq!(pieces, whole);
    }
}
