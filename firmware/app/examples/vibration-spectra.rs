//! The spectra that the vibration application computes, for who trains a model on them:
//!
//!     vibration-spectra < samples > spectra
//!
//! Samples are x, y and z, i16 little-endian; of each 2,048 of them come 32 energies, i32 little-endian: Q15.16, see
//! `teff_app::vibration::spectrum`. What is left over at the end is dropped.

use std::io::{self, BufReader, BufWriter, Read, Write};

use teff_app::vibration::spectrum::BandEnergies;

fn main() -> io::Result<()> {
    let mut samples = BufReader::new(io::stdin().lock());
    let mut spectra = BufWriter::new(io::stdout().lock());
    let mut energies = Box::new(BandEnergies::new());
    let mut bytes = [0; 6];
    loop {
        match samples.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        let [a, b, c, d, e, f] = bytes;
        let sample = [[a, b], [c, d], [e, f]].map(i16::from_le_bytes);
        for band in energies.push(sample).into_iter().flatten() {
            spectra.write_all(&band.to_le_bytes())?;
        }
    }
    spectra.flush()
}
