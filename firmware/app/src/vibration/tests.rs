//! The application with the shipped model and mocked parts.

use core::convert::Infallible;
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as PinCall};
use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as PwmCall};

use super::sensor::{Recording, RecordingError, Sensor};
use super::spectrum::{BANDS, BandEnergies, FRAME, SAMPLES, Sample};
use super::{ALARM_AFTER, BASELINE, Baseline, Board, Summary, run};
use crate::testing::{embedded, memory};
use crate::{Error, Mismatch};

/// A machine: noise, and from sample `damaged` on a blow of 400 units each 40 samples.
struct Machine {
    next: usize,
    damaged: usize,
    end: usize,
    seed: u32,
}

impl Machine {
    fn new(damaged: usize, end: usize) -> Self {
        Self { next: 0, damaged, end, seed: 1 }
    }
}

impl Sensor for Machine {
    type Error = Infallible;

    fn sample(&mut self) -> Result<Option<Sample>, Infallible> {
        let now = self.next;
        self.next += 1;
        let mut noise = || {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((self.seed.cast_signed() >> 16) >> 11) as i16
        };
        let mut sample = [noise(), noise() + 250, noise()];
        if now >= self.damaged && now.is_multiple_of(40) {
            sample[0] += 400;
        }
        Ok((now < self.end).then_some(sample))
    }
}

#[test]
fn damage_raises_the_alarm_and_the_light() {
    let embedded = embedded("vibration/model.teff");
    let baseline = BASELINE as usize * SAMPLES;
    let machine = Machine::new(baseline + 3 * SAMPLES, baseline + 6 * SAMPLES);
    let off = State::Low;
    let alarms = [off, off, off, off, off, State::High, State::High];
    let alarm = Pin::new(&alarms.map(PinCall::set));
    let mut calls = Vec::new();
    let mut scores = vec![0; 6 * 2];
    // The light: off, then whatever percentage; the mock has to be told, so the first run counts.
    let mut light = Light(Vec::new());
    let board = Board { sensor: machine, results: &mut scores[..], level: &mut light, alarm: alarm.clone() };
    let summary = run(embedded, memory(embedded), &mut BandEnergies::new(), board);
    assert_eq!(summary, Ok(Summary { scores: 6, alarms: 2 }), "{:?}", light.0);
    alarm.clone().done();
    assert_eq!(ALARM_AFTER, 2);
    let (healthy, damaged) = (&light.0[1..4], &light.0[4..]);
    assert!(light.0[0] == 0 && healthy.iter().all(|&x| x < 20) && damaged == [100; 3], "{:?}", light.0);

    // The same once more, with a mocked PWM that knows what is to come.
    for &duty in &light.0 {
        calls.extend((duty > 0 || calls.len() > 1).then(|| PwmCall::max_duty_cycle(100)));
        calls.push(PwmCall::set_duty_cycle(duty));
    }
    let pwm = Pwm::new(&calls);
    let alarm = Pin::new(&alarms.map(PinCall::set));
    let machine = Machine::new(baseline + 3 * SAMPLES, baseline + 6 * SAMPLES);
    let mut again = vec![0; scores.len()];
    let board = Board { sensor: machine, results: &mut again[..], level: pwm.clone(), alarm: alarm.clone() };
    assert!(run(embedded, memory(embedded), &mut BandEnergies::new(), board).is_ok());
    pwm.clone().done();
    alarm.clone().done();
    assert_eq!(again, scores);
}

/// A light that remembers its duty cycles, of 100.
struct Light(Vec<u16>);

impl embedded_hal::pwm::ErrorType for Light {
    type Error = Infallible;
}

impl embedded_hal::pwm::SetDutyCycle for Light {
    fn max_duty_cycle(&self) -> u16 {
        100
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), Infallible> {
        self.0.push(duty);
        Ok(())
    }
}

#[test]
fn another_model_is_refused() {
    let embedded = embedded("lightcnn-mnist/model.teff");
    let alarm = Pin::new(&[]);
    let board = Board {
        sensor: Machine::new(0, 0),
        results: [0; 0].as_mut_slice(),
        level: Light(vec![]),
        alarm: alarm.clone(),
    };
    let outcome = run(embedded, memory(embedded), &mut BandEnergies::new(), board);
    assert!(matches!(outcome, Err(Error::Interface(Mismatch::Spectrum))), "{outcome:?}");
    alarm.clone().done();
}

#[test]
fn the_baseline_is_a_rounded_mean_and_nothing_overflows() {
    let mut baseline = Baseline::new();
    for index in 0..BASELINE {
        assert_eq!(baseline.relative(&[i32::try_from(index).unwrap() - 20; BANDS]), None);
    }
    // The mean is −12.5: half up, −12.
    assert_eq!(baseline.relative(&[0; BANDS]), Some([12; BANDS]));
    assert_eq!(baseline.relative(&[i32::MAX; BANDS]), Some([i32::MAX; BANDS]));
    assert_eq!(baseline.relative(&[i32::MIN; BANDS]), Some([i32::MIN + 12; BANDS]));
}

/// A tone has its energy in its band, whatever the axis, and the level of a sine: N·A²/4 for the window's 3/8.
#[test]
fn a_tone_is_found_in_its_band_on_each_axis() {
    let band = 5;
    // In the middle of the band's 8 bins.
    let bin = 1 + 8 * band + 4;
    for axis in 0..3 {
        let mut energies = BandEnergies::new();
        let mut found = None;
        for n in 0..SAMPLES {
            let phase = (n * bin % FRAME) as f64 / FRAME as f64;
            let mut sample = [300, -200, 1000];
            sample[axis] += (1000.0 * (std::f64::consts::TAU * phase).sin()).round() as i16;
            found = energies.push(sample);
        }
        let found = found.expect("a spectrum for each 2,048 samples");
        // The Hann window's peak and its two neighbours: (N·A/2)²·(1/4 + 2/16), for four frames.
        let expected = (4.0 * (512.0 * 500.0_f64).powi(2) * 0.375).log2();
        assert!((f64::from(found[band]) / 65536.0 - expected).abs() < 0.01, "{} {expected}", found[band]);
        let quiet = |&(other, _): &(usize, &i32)| other != band;
        assert!(found.iter().enumerate().filter(quiet).all(|(_, &x)| x < found[band] - (10 << 16)), "{found:?}");
    }
}

#[test]
fn extreme_samples_have_a_spectrum() {
    for extreme in [[i16::MIN; 3], [i16::MAX; 3], [0; 3]] {
        let mut energies = BandEnergies::new();
        let spectra: Vec<_> = (0..SAMPLES)
            .filter_map(|n| energies.push(if n % 2 == 0 { extreme } else { extreme.map(|x| !x) }))
            .collect();
        assert_eq!(spectra.len(), 1);
    }
}

#[test]
fn a_recording_is_read_in_whole_samples() {
    let bytes = [1, 0, 255, 255, 0, 128, 9];
    let mut recording = Recording(&bytes[..6]);
    assert_eq!(recording.sample(), Ok(Some([1, -1, i16::MIN])));
    assert_eq!(recording.sample(), Ok(None));
    let mut recording = Recording(&bytes[..]);
    assert_eq!(recording.sample(), Ok(Some([1, -1, i16::MIN])));
    assert_eq!(recording.sample(), Err(RecordingError::Partial));
}

#[cfg(feature = "accelerometers")]
mod accelerometers;
