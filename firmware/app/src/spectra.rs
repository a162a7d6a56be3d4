//! Runs the fixed-point front end on frames of sound: whether this device computes what the PC computed.
//!
//! A frame is [`FRAME`] samples, i16 little-endian. For each, the spectrum of its first 512 samples goes out, then its
//! log-mel energies: [`OUTPUT`] numbers, i32 little-endian.

use core::convert::Infallible;

use embedded_io::{Read, Write};
use teff::dsp::{LogMel, MelBank, Rfft, apply_window, hann};

use crate::digits::read_frame;
use crate::error::Error;
use crate::markers::{bench_begin, bench_end};

/// Samples of a frame.
pub const FRAME: usize = 512;
/// Numbers that a frame gives.
pub const OUTPUT: usize = FRAME + FILTERS;

const FILTERS: usize = 40;

static WINDOW: [u16; FRAME] = hann();
static FFT: Rfft<256> = Rfft::new();
static MEL: MelBank<256> = MelBank::new(16_000, FILTERS, 20, 7_600);
static LOG_MEL: LogMel<'static, 256> = LogMel { window: &WINDOW, fft: &FFT, mel: &MEL };

/// Runs all frames of the stream; gives their number. Counts the instructions of the FFT.
///
/// # Errors
/// If the stream cannot be read or ends within a frame, or a result cannot be written.
pub fn run<R: Read, W: Write>(mut frames: R, mut results: W) -> Result<u32, Error<R::Error, W::Error, Infallible>> {
    let mut bytes = [0; 2 * FRAME];
    let mut samples = [0; FRAME];
    let mut spectrum = [[0; 2]; FRAME / 2];
    let mut energies = [0; FILTERS];
    let mut count = 0_u32;
    while read_frame(&mut frames, &mut bytes)? {
        for (sample, &bytes) in samples.iter_mut().zip(bytes.as_chunks().0) {
            *sample = i16::from_le_bytes(bytes);
        }
        apply_window(&samples, &WINDOW, &mut spectrum);
        bench_begin();
        FFT.run(&mut spectrum);
        bench_end();
        write(&mut results, spectrum.as_flattened())?;
        bench_begin();
        LOG_MEL.run(&samples, &mut spectrum, &mut energies);
        bench_end();
        write(&mut results, &energies)?;
        count = count.saturating_add(1);
    }
    results.flush().map_err(Error::Write)?;
    info!("{=u32} frames", count);
    Ok(count)
}

fn write<R, W: Write>(results: &mut W, numbers: &[i32]) -> Result<(), Error<R, W::Error, Infallible>> {
    numbers.iter().try_for_each(|number| results.write_all(&number.to_le_bytes())).map_err(Error::Write)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_tone_is_found_in_its_bin_and_its_band() {
        // 1 kHz: bin 32 of 31.25 Hz each.
        let sample = |n: usize| (20_000.0 * (core::f64::consts::TAU * n as f64 / 16.0).sin()) as i16;
        let frames: Vec<u8> = (0..FRAME).flat_map(|n| sample(n).to_le_bytes()).collect();
        let mut results = std::vec![0; 4 * OUTPUT];
        assert_eq!(run(&frames[..], &mut results[..]), Ok(1));
        let numbers: Vec<i32> = results.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect();
        let (spectrum, energies) = numbers.split_at(FRAME);
        let power = |k: usize| i64::from(spectrum[2 * k]).pow(2) + i64::from(spectrum[2 * k + 1]).pow(2);
        assert_eq!((1..256).max_by_key(|&k| power(k)), Some(32));
        let loudest = (0..FILTERS).max_by_key(|&filter| energies[filter]);
        // Corners 13 to 16 are at 863, 959, 1061 and 1169 Hz: three fifths of the tone fall to filter 13, the rest to 14.
        assert_eq!(loudest, Some(13));
    }

    #[test]
    fn part_of_a_frame_is_an_error() {
        let mut results = [0; 16];
        assert_eq!(run(&[0; 9][..], &mut results[..]), Err(Error::PartialFrame { needed: 1024, found: 9 }));
    }
}
