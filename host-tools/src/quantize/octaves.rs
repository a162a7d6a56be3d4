//! Functions of an int32 variable: the tables of the runtime's `table_s32_s16`.

use teff::fixed::KNOT_FRACTION_BITS;
use teff::kernels::elementwise::Octaves;

/// Knots in an octave, as a binary logarithm, that are tried, the fewest first.
const BITS: std::ops::RangeInclusive<u8> = 3..=8;
/// Points between two knots at which the error is measured.
const PROBES: u32 = 4;
/// Knots beyond ±2^22 steps saturate anyway.
const MAX_KNOT: f64 = (1 << 22) as f64;

/// A function as the runtime's [`Octaves`] holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct OctaveTable {
    /// See [`Octaves::bits`].
    pub bits: u8,
    /// See [`Octaves::knots`].
    pub knots: Vec<i32>,
    /// Largest difference from the real function at the points looked at, in steps of the output.
    pub error: f64,
}

impl OctaveTable {
    /// The table with the fewest knots whose results differ from `f` by at most a step, or the densest there is.
    ///
    /// `f` gives the real function of an input from −2^31 to 2^31 in steps of the output; results beyond int16 saturate, and
    /// what is no number counts as 0. The knots have two signs if `f` of some negative number is not that of 0.
    pub fn new(f: impl Fn(f64) -> f64) -> Self {
        let f = |x: f64| Some(f(x)).filter(|y| !y.is_nan()).map_or(0.0, |y| y.clamp(-MAX_KNOT, MAX_KNOT));
        let signed = (0..31).any(|e| f(-f64::from(e).exp2()) != f(0.0));
        let signs: &[f64] = if signed { &[1.0, -1.0] } else { &[1.0] };
        let mut last = None;
        for bits in BITS {
            let mut table = Self { bits, knots: Vec::new(), error: 0.0 };
            for sign in signs {
                table.append(|x| f(sign * x));
            }
            if table.error <= 1.0 {
                return table;
            }
            last = Some(table);
        }
        last.unwrap_or(Self { bits: 1, knots: vec![0; Octaves::knot_count(1)], error: 0.0 })
    }

    /// Appends the knots of one sign.
    fn append(&mut self, f: impl Fn(f64) -> f64) {
        let unit = f64::from(KNOT_FRACTION_BITS).exp2();
        let knots: Vec<(f64, f64)> =
            (0..Octaves::knot_count(self.bits)).map(|k| knot(self.bits, k)).map(|x| (x, f(x))).collect();
        for pair in knots.windows(2) {
            let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
            // Whole numbers only: between neighbours there is nothing.
            let probes = (1..PROBES).filter(|_| x1 - x0 > 1.0).map(|p| f64::from(p) / f64::from(PROBES));
            for t in probes {
                let real = f(x0 + t * (x1 - x0)).clamp(-32_768.0, 32_767.0);
                let line = (y0 + t * (y1 - y0)).clamp(-32_768.0, 32_767.0);
                self.error = self.error.max((line - real).abs());
            }
        }
        self.knots.extend(knots.iter().map(|(_, y)| (y * unit).round() as i32));
    }
}

/// The number at knot `k`.
fn knot(bits: u8, k: usize) -> f64 {
    let per_octave = 1_usize << bits;
    let exponent = (k >> bits).saturating_sub(1);
    (k - exponent * per_octave) as f64 * (exponent as f64).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff::kernels::elementwise::{portable, reference};

    /// Builds the table of `f`, and holds both kernels against it; gives its size in knots.
    fn checked(f: impl Fn(f64) -> f64) -> usize {
        let table = OctaveTable::new(&f);
        let p = Octaves { bits: table.bits, knots: &table.knots };
        assert!(p.is_sound() && table.error <= 1.0, "{}", table.error);
        let around = |e: i32| {
            [-3, -1, 0, 1, 7]
                .map(move |d: i32| (1_i32 << e).wrapping_add(d.wrapping_mul(1 << e.saturating_sub(4).max(0))))
        };
        let mut x: Vec<i32> = (0..31).flat_map(around).chain([0, i32::MAX, i32::MIN, -1]).collect();
        x.extend(x.clone().iter().map(|x| x.wrapping_neg()));
        let (mut y, mut fast) = (vec![0; x.len()], vec![0; x.len()]);
        reference::octaves(&p, &x, &mut y).unwrap();
        portable::octaves(&p, &x, &mut fast).unwrap();
        assert_eq!(y, fast);
        for (&x, &y) in x.iter().zip(&y) {
            let wanted = Some(f(x.into())).filter(|y| !y.is_nan()).unwrap_or_else(|| f(0.0));
            let wanted = wanted.clamp(-32_768.0, 32_767.0);
            assert!((f64::from(y) - wanted).abs() <= 1.6, "{y} for {wanted} at {x}");
        }
        table.knots.len()
    }

    #[test]
    fn logarithms_roots_and_reciprocals_are_within_a_step() {
        let scale = f64::from(1 << 30).recip();
        let log = checked(|x| (x * scale).max(1e-10).ln() * 1400.0);
        let root = checked(|x| if x < 0.0 { f64::NAN } else { (x * scale).sqrt() * 23_000.0 });
        let reciprocal = checked(|x| 1e6 / (x * scale));
        println!("{log} {root} {reciprocal} knots");
        assert!(log <= 2_000 && root <= 2_000, "{log} {root}");
    }

    #[test]
    fn a_straight_line_of_two_signs() {
        assert_eq!(checked(|x| x / 65_536.0), 2 * Octaves::knot_count(3));
    }
}
