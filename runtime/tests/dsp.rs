//! The fixed-point front ends against NumPy and SciPy; `dsp/generate.py` made the goldens.
//!
//! The bounds are those that `docs/numerics.md` states.

use std::fs::File;
use std::path::Path;

use ndarray::{Array1, Array2};
use ndarray_npy::{NpzReader, ReadableElement};
use teff::dsp::{Complex, Framer, LogMel, MelBank, PreEmphasis, Rfft, apply_window, hamming, hann, powers};

/// All arrays are read from one file.
struct Goldens(NpzReader<File>);

impl Goldens {
    fn open() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dsp/goldens.npz");
        Self(NpzReader::new(File::open(path).expect("the goldens are there")).expect("an npz file"))
    }

    fn vector<T: ReadableElement>(&mut self, name: &str) -> Array1<T> {
        self.0.by_name(name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn matrix<T: ReadableElement>(&mut self, name: &str) -> Array2<T> {
        self.0.by_name(name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn worst(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    pairs.into_iter().map(|(found, golden)| (found - golden).abs()).fold(0.0, f64::max)
}

#[test]
fn windows() {
    let mut goldens = Goldens::open();
    for (name, window) in [("hann_400", hann::<400>()), ("hamming_400", hamming::<400>())] {
        let golden: Array1<f64> = goldens.vector(name);
        let worst = worst(window.iter().zip(&golden).map(|(&w, g)| (f64::from(w), g * 32_768.0)));
        assert!(worst <= 0.51, "{name}: {worst}");
    }
}

/// What window and FFT make of each signal, and the unit of a sample in it.
fn spectra_of<const LEN: usize, const HALF: usize>(goldens: &mut Goldens) -> Vec<([Complex; HALF], f64)> {
    let samples: Array2<i16> = goldens.matrix(&format!("samples_{LEN}"));
    let (window, fft) = (hann::<LEN>(), Rfft::<HALF>::new());
    let spectrum = |samples: Vec<i16>| {
        let mut data = [[0; 2]; HALF];
        let unit = f64::from(1 << apply_window(&samples, &window, &mut data));
        fft.run(&mut data);
        (data, unit)
    };
    samples.outer_iter().map(|samples| spectrum(samples.to_vec())).collect()
}

/// Window and FFT, in units of a sample; the window's own rounding is the larger part.
fn spectrum<const LEN: usize, const HALF: usize>(bound: f64) {
    let mut goldens = Goldens::open();
    let found = spectra_of::<LEN, HALF>(&mut goldens);
    let (re, im): (Array2<f64>, Array2<f64>) =
        (goldens.matrix(&format!("re_{LEN}")), goldens.matrix(&format!("im_{LEN}")));
    for (row, (data, scale)) in found.into_iter().enumerate() {
        let [dc, nyquist] = data[0];
        let found = [[dc, 0]].into_iter().chain(data.into_iter().skip(1)).chain([[nyquist, 0]]);
        let golden = re.row(row).to_vec().into_iter().zip(im.row(row).to_vec());
        let pairs = found.zip(golden).flat_map(|([re, im], (golden_re, golden_im))| {
            [(f64::from(re) / scale, golden_re), (f64::from(im) / scale, golden_im)]
        });
        let worst = worst(pairs);
        assert!(worst <= bound, "{LEN} points, signal {row}: {worst}");
    }
}

#[test]
fn spectra() {
    spectrum::<16, 8>(1.5);
    spectrum::<64, 32>(6.0);
    spectrum::<512, 256>(16.0);
    spectrum::<1024, 512>(40.0);
}

/// Powers, in units of a sample's square: p within `error·(2·√p + error)`, as its root is within `error`, which is as much less
/// as a signal of full scale has larger units.
fn power<const LEN: usize, const HALF: usize>(error: f64) {
    let mut goldens = Goldens::open();
    let found = spectra_of::<LEN, HALF>(&mut goldens);
    let golden: Array2<f64> = goldens.matrix(&format!("power_{LEN}"));
    for (row, (data, unit)) in found.into_iter().enumerate() {
        assert_eq!(powers(&data).count(), HALF + 1);
        let error = error * 32_768.0 / (LEN as f64 * unit);
        for (bin, (found, &p)) in powers(&data).zip(golden.row(row)).enumerate() {
            let found = found as f64 / (unit * unit);
            let bound = error * (2.0 * p.sqrt() + error);
            assert!((found - p).abs() <= bound, "{LEN} points, signal {row}, bin {bin}: {found}, golden {p} ± {bound}");
        }
    }
}

#[test]
fn power_spectra() {
    power::<16, 8>(1.2);
    power::<64, 32>(6.0);
    power::<512, 256>(14.0);
    power::<1024, 512>(32.0);
}

/// Frames as NumPy's views of the whole signal, however the samples come.
#[test]
fn streaming_framing() {
    let mut goldens = Goldens::open();
    let speech = goldens.vector::<i16>("speech").to_vec();
    for hop in [160, 400] {
        let golden: Array2<i16> = goldens.matrix(&format!("frames_of_speech_{hop}"));
        for piece in [1, 37, 160, 512, speech.len()] {
            let (mut framer, mut frames) = (Framer::<400>::new(hop), Vec::new());
            speech.chunks(piece).for_each(|samples| framer.feed(samples, |frame| frames.extend_from_slice(frame)));
            assert!(golden.iter().eq(&frames), "hop {hop}, {piece} samples at a time");
        }
    }
}

#[test]
fn mel_weights() {
    let weights: Array2<f64> = Goldens::open().matrix("mel_weights");
    let bank = MelBank::<256>::new(16_000, 40, 20, 7_600);
    assert_eq!(bank.filters(), 40);
    for bin in 0..257 {
        let mut spectrum = [[0; 2]; 256];
        // Bin 0 holds the two real ones.
        spectrum[bin % 256] = [i32::from(bin != 256), i32::from(bin == 256)];
        let mut found = Vec::new();
        bank.energies(&spectrum, |energy, shift| found.push((energy << shift) as f64));
        let worst = worst(found.into_iter().zip(weights.column(bin)).map(|(f, g)| (f, g * 32_768.0)));
        assert!(worst <= 2.0, "bin {bin}: {worst}");
    }
}

#[test]
fn log_mel() {
    static WINDOW: [u16; 400] = hann();
    static FFT: Rfft<256> = Rfft::new();
    static MEL: MelBank<256> = MelBank::new(16_000, 40, 20, 7_600);
    const LOG_MEL: LogMel<256> = LogMel { window: &WINDOW, fft: &FFT, mel: &MEL };
    // 60 dB below the loudest filter: there the window's own 16 bits are heard.
    const RANGE: f64 = 20.0;
    let mut goldens = Goldens::open();
    let (frames, log2_mel): (Array2<i16>, Array2<f64>) = (goldens.matrix("frames_400"), goldens.matrix("log2_mel"));
    for (row, frame) in frames.outer_iter().enumerate() {
        let mut spectrum = [[0; 2]; 256];
        let mut found = [0; 40];
        LOG_MEL.run(&frame.to_vec(), &mut spectrum, &mut found);
        assert_eq!(powers(&spectrum).count(), 257);
        let loudest = log2_mel.row(row).iter().copied().fold(f64::MIN, f64::max);
        for (filter, (&found, &golden)) in found.iter().zip(log2_mel.row(row)).enumerate() {
            let found = f64::from(found) / 65_536.0;
            if golden > loudest - RANGE {
                assert!((found - golden).abs() <= 0.005, "signal {row}, filter {filter}: {found} {golden}");
            } else {
                assert!(found <= loudest - RANGE + 0.1, "signal {row}, filter {filter}: {found} {golden}");
            }
        }
    }
}

#[test]
fn pre_emphasis() {
    let mut goldens = Goldens::open();
    let (speech, golden): (Array1<i16>, Array1<f64>) = (goldens.vector("speech"), goldens.vector("emphasized"));
    let mut filter = PreEmphasis::new(31_785);
    let found = speech.iter().map(|&x| f64::from(filter.apply(x)));
    let worst = worst(found.zip(golden.iter().map(|y| y.clamp(-32_768.0, 32_767.0))));
    assert!(worst <= 1.0, "{worst}");
}
