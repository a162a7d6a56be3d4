//! Functions of an int16 variable as straight lines between knots: the tables of the runtime's `table_s16`.

use anyhow::{Result, ensure};
use teff::fixed::{KNOT_FRACTION_BITS, interpolate, interpolate_wide};

/// Inputs of an int16 function.
const INPUTS: usize = 1 << 16;
/// Largest difference from the real function, in steps of the output.
pub const MAX_ERROR: f64 = 1.0;
/// Knots beyond ±2^22 steps saturate anyway, long before their sums could overflow.
const MAX_KNOT: f64 = (1 << 22) as f64;
/// Most segments that are tried, as a binary logarithm.
const MAX_SEGMENT_COUNT_LOG: u32 = 12;

/// The results of a function, and how near they must be.
#[derive(Debug, Clone, Copy)]
struct Results {
    /// Ends of the type.
    range: (f64, f64),
    /// Largest knot.
    max_knot: f64,
    /// Parts of a step in which knots are.
    unit: f64,
    /// The runtime's interpolation.
    between: fn(i32, i32, u32, u8) -> i32,
    /// Error that is admitted beside [`MAX_ERROR`] steps, as a part of the result.
    relative: f64,
}

impl Results {
    /// int16.
    fn narrow() -> Self {
        let unit = f64::from(KNOT_FRACTION_BITS).exp2();
        Self { range: (-32_768.0, 32_767.0), max_knot: MAX_KNOT, unit, between: interpolate, relative: 0.0 }
    }

    /// int32: a large result has as many bits as the numbers of which it is the square.
    fn wide() -> Self {
        let max = f64::from(i32::MAX);
        Self {
            range: (-max - 1.0, max),
            max_knot: max,
            unit: 1.0,
            between: interpolate_wide,
            relative: (-13_f64).exp2(),
        }
    }
}

/// A function as the runtime's [`teff::kernels::elementwise::Interpolated`] holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Interpolation {
    /// First knot and binary logarithm of the knots' distance, for each segment.
    pub segments: Vec<i32>,
    /// The function at the knots, in steps of 2^-8.
    pub knots: Vec<i32>,
    /// Largest difference from the real function over all 65536 inputs, in steps of the output; at most [`MAX_ERROR`].
    pub error: f64,
}

impl Interpolation {
    /// Bytes in a file.
    pub fn byte_len(&self) -> usize {
        4 * (self.segments.len() + self.knots.len())
    }

    /// The smallest table whose results differ from `f` by at most [`MAX_ERROR`].
    ///
    /// `f` gives the real function of an input from −32768 to 32768 in steps of the output; results beyond int16 saturate,
    /// and what is no number counts as 0.
    ///
    /// Cuts the inputs into 2^k equal segments, for each k, and gives each of them the widest knots that are near enough
    /// for all its inputs, as the runtime computes them; keeps the k that takes the fewest bytes.
    ///
    /// # Errors
    /// If a knot at each input is not near enough, which no function does.
    pub fn new(f: impl Fn(i32) -> f64) -> Result<Self> {
        Self::with(f, &Results::narrow())
    }

    /// As [`Interpolation::new`], with results of 32 bits: within [`MAX_ERROR`] steps or 2^-13 of the result, whichever is
    /// more.
    ///
    /// # Errors
    /// As there.
    pub fn wide(f: impl Fn(i32) -> f64) -> Result<Self> {
        Self::with(f, &Results::wide())
    }

    fn with(f: impl Fn(i32) -> f64, results: &Results) -> Result<Self> {
        let exact: Vec<f64> = (0..=INPUTS as i32)
            .map(|u| f(u - 32_768))
            .map(|y| if y.is_nan() { 0.0 } else { y.clamp(-results.max_knot, results.max_knot) })
            .collect();
        let all: Vec<i32> = exact.iter().map(|y| (y * results.unit).round() as i32).collect();
        let mut best: Option<Vec<(u32, f64)>> = None;
        let cost = |shifts: &[(u32, f64)]| -> usize {
            let length = INPUTS / shifts.len();
            shifts.iter().map(|&(shift, _)| 1 + (length >> shift)).sum()
        };
        for log in 0..=MAX_SEGMENT_COUNT_LOG {
            let length = INPUTS >> log;
            let shifts: Vec<(u32, f64)> =
                (0..INPUTS).step_by(length).map(|start| widest(&exact, &all, results, start, length)).collect();
            if best.as_ref().is_none_or(|best| cost(&shifts) < cost(best)) {
                best = Some(shifts);
            }
        }
        let shifts = best.unwrap_or_default();
        let length = INPUTS / shifts.len().max(1);
        let (mut segments, mut knots) = (Vec::new(), Vec::new());
        for (start, &(shift, _)) in (0..INPUTS).step_by(length).zip(&shifts) {
            segments.push((i32::try_from(knots.len())? << 8) | shift as i32);
            knots.extend(all[start..start + length].iter().step_by(1 << shift));
        }
        knots.push(all[INPUTS]);
        let error = shifts.iter().fold(0.0, |worst: f64, &(_, error)| worst.max(error));
        ensure!(error <= MAX_ERROR, "a function table is {error:.3} steps off");
        Ok(Self { segments, knots, error })
    }
}

/// The largest distance of knots, as a binary logarithm, at which a segment is near enough, and its error there.
fn widest(exact: &[f64], all: &[i32], results: &Results, start: usize, length: usize) -> (u32, f64) {
    let widths = (1..=length.trailing_zeros()).rev();
    let near =
        widths.map(|shift| (shift, error(exact, all, results, start, length, shift))).find(|&(_, e)| e <= MAX_ERROR);
    near.unwrap_or_else(|| (0, error(exact, all, results, start, length, 0)))
}

/// Largest error over a segment with knots 2^`shift` apart; any value above [`MAX_ERROR`] once it is exceeded.
fn error(exact: &[f64], all: &[i32], results: &Results, start: usize, length: usize, shift: u32) -> f64 {
    let mut worst = 0.0_f64;
    for knot in (start..start + length).step_by(1 << shift) {
        for t in 0..1_usize << shift {
            let found = f64::from((results.between)(all[knot], all[knot + (1 << shift)], t as u32, shift as u8));
            let (low, high) = results.range;
            let wanted = exact[knot + t].clamp(low, high);
            let admitted = (results.relative * wanted.abs()).max(1.0);
            worst = worst.max((found.clamp(low, high) - wanted).abs() / admitted);
            if worst > MAX_ERROR {
                return worst;
            }
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use teff::kernels::Unary;
    use teff::kernels::elementwise::{Interpolated, reference};

    use super::*;

    /// Builds the table of `f`, and holds the runtime's results for all inputs against it.
    fn checked(f: impl Fn(f64) -> f64, x_scale: f64, y_scale: f64) -> Interpolation {
        let steps = |x: i32| f(f64::from(x) * x_scale) / y_scale;
        let table = Interpolation::new(steps).unwrap();
        let segments: Vec<u32> = table.segments.iter().map(|&s| s as u32).collect();
        let p = Interpolated { segments: &segments, knots: &table.knots };
        assert!(p.is_sound());
        let x: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut y = vec![0; x.len()];
        reference::interpolated(&p, &x, &mut y).unwrap();
        for (&x, &y) in x.iter().zip(&y) {
            let wanted = steps(x.into());
            let wanted = if wanted.is_nan() { 0.0 } else { wanted.clamp(-32_768.0, 32_767.0) };
            assert!((f64::from(y) - wanted).abs() <= table.error, "{y} for {wanted} at {x}");
        }
        let mut in_place = x.clone();
        teff::kernels::elementwise::portable::interpolated(&p, Unary::InPlace(&mut in_place)).unwrap();
        assert_eq!(in_place, y);
        table
    }

    #[test]
    fn smooth_functions_take_little() {
        let unit = 1.0 / 32_768.0;
        let sigmoid = checked(|x| 1.0 / (1.0 + (-x).exp()), 8.0 * unit, unit);
        let tanh = checked(f64::tanh, 4.0 * unit, unit);
        let silu = checked(|x| x / (1.0 + (-x).exp()), 8.0 * unit, 8.0 * unit);
        let exp = checked(f64::exp, 10.0 * unit, (10.0_f64).exp() * unit);
        for (name, table) in [("sigmoid", &sigmoid), ("tanh", &tanh), ("silu", &silu), ("exp", &exp)] {
            println!("{name}: {} bytes, {:.3} steps", table.byte_len(), table.error);
            assert!(table.byte_len() <= 2_048, "{name}: {} bytes", table.byte_len());
        }
        // A straight line needs its two ends.
        let line = checked(|x| x, 1.0, 1.0);
        assert_eq!((line.segments.len(), line.knots.len()), (1, 2));
    }

    #[test]
    fn steps_poles_and_holes_are_within_a_step() {
        let unit = 1.0 / 32_768.0;
        let relu = checked(|x| x.max(0.0), unit, unit);
        assert!(relu.byte_len() <= 32, "{}", relu.byte_len());
        let tables = [
            checked(|x| x.recip(), unit, 1.0),
            checked(f64::ln, 100.0 * unit, 12.0 * unit),
            checked(f64::sqrt, 2.0 * unit, 2.0 * unit),
            checked(f64::signum, unit, unit),
            checked(|x| x.round(), 50.0 * unit, 50.0 * unit),
        ];
        for table in tables {
            println!("{} bytes, {:.3} steps", table.byte_len(), table.error);
            assert!(table.byte_len() < 4 * INPUTS);
        }
    }
}
