//! Weights of 8, 4 or 2 bits for [`teff::kernels::row_linear`].

mod grid;
mod solve;

use anyhow::{Result, ensure};
use ndarray::{Array1, Array2, s};
use teff::kernels::rows::WIDE_FRACTION_BITS;

use grid::Grid;

/// How the weights of one matrix are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// Bits of a weight: 8, 4 or 2.
    pub bits: u32,
    /// Inputs that share a scale, a multiple of 16; 0: a whole row does.
    pub group: usize,
}

/// How weights are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Each to the nearest, with the scale of the least squared error.
    Nearest,
    /// Error-compensated column by column (Frantar et al., "GPTQ", 2022).
    Compensated,
    /// Compensated, then integers and scales improved in turn (as in Guo et al., "decoupleQ", 2024).
    Alternating,
}

/// A matrix as the runtime reads it.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// Bits and groups.
    pub width: Width,
    /// Inputs, zeros behind the model's own included.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// `(outputs, inputs · bits / 8)`
    pub data: Vec<u8>,
    /// `(outputs, inputs / group)`
    pub scales: Vec<i8>,
    /// `(outputs)`
    pub mult: Vec<i32>,
    /// Of all outputs.
    pub shift: u8,
    /// `(outputs)`, wide.
    pub bias: Option<Vec<i32>>,
    /// What the integers stand for: `(outputs, inputs of the model)`.
    pub real: Array2<f32>,
}

/// Inputs that rows of this width hold: `inputs`, and zeros up to a whole word and group.
pub fn padded(inputs: usize, width: Width) -> usize {
    inputs.next_multiple_of(if width.group == 0 { 32 / width.bits as usize } else { width.group })
}

/// The weights that give, over a text, what is wanted of a matrix although its inputs are no longer the float ones:
/// `weight + (Σ dᵀx)·G⁻¹`, the least squares of `d`, what is wanted less what `weight` gives; `G = Σ xᵀx`.
///
/// # Errors
/// If a sum is not finite.
pub fn corrected(weight: &Array2<f32>, difference: &Array2<f64>, gram: &Array2<f64>) -> Result<Array2<f32>> {
    let inputs = weight.ncols();
    let gram = solve::damped(Some(gram), inputs, inputs);
    Ok(weight + &difference.dot(&solve::inverse(&gram)?).mapv(|w| w as f32))
}

/// Quantizes `weight` (out, in). `gram` is `Σ xᵀx` of its inputs, or the identity's stand-in `None`.
///
/// # Errors
/// If the width is not one of the runtime's, or a weight is not finite.
pub fn quantize(
    weight: &Array2<f32>,
    bias: Option<&Array1<f32>>,
    gram: Option<&Array2<f64>>,
    width: Width,
    rounding: Rounding,
) -> Result<Quantized> {
    ensure!(matches!(width.bits, 8 | 4 | 2), "weights of {} bits: 8, 4 and 2 are possible", width.bits);
    ensure!(width.group.is_multiple_of(16), "groups of {}: a multiple of 16 is wanted", width.group);
    ensure!(weight.iter().all(|w| w.is_finite()), "a weight is not finite");
    let (outputs, own) = weight.dim();
    let inputs = padded(own, width);
    let mut w = Array2::<f64>::zeros((outputs, inputs));
    w.slice_mut(s![.., ..own]).assign(&weight.mapv(f64::from));
    let gram = solve::damped(gram, own, inputs);
    let mut grid = Grid::of(&w, &gram, width);
    let codes = match rounding {
        Rounding::Nearest => grid.nearest(&w),
        Rounding::Compensated => solve::compensated(&w, &gram, &mut grid)?,
        Rounding::Alternating => solve::alternating(&w, &gram, &mut grid)?,
    };
    let real = grid.real(&codes).slice(s![.., ..own]).mapv(|w| w as f32);
    let wide = |x: &f32| (f64::from(*x) * f64::from(1 << WIDE_FRACTION_BITS)).round() as i32;
    Ok(Quantized {
        width,
        inputs,
        outputs,
        data: grid::packed(&codes, width.bits),
        scales: if width.group == 0 { Vec::new() } else { grid.scales.iter().copied().collect() },
        mult: grid.mult,
        shift: grid.shift,
        bias: bias.map(|b| b.iter().map(wide).collect()),
        real,
    })
}

impl Quantized {
    /// Bytes in the file.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.scales.len() + 4 * self.mult.len() + 4 * self.bias.as_ref().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Correlated inputs and weights, the same at each run.
    fn case(outputs: usize, inputs: usize) -> (Array2<f32>, Array2<f64>) {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
        };
        let w = Array2::from_shape_fn((outputs, inputs), |_| ((next() + next() + next()) * 0.1) as f32);
        let mix = Array2::from_shape_fn((inputs / 2, inputs), |_| next());
        let x = Array2::from_shape_fn((400, inputs / 2), |_| next()).dot(&mix);
        let x = &x + &Array2::from_shape_fn(x.dim(), |_| 0.1 * next());
        (w, x.t().dot(&x))
    }

    fn error(w: &Array2<f32>, q: &Quantized, gram: &Array2<f64>) -> f64 {
        let d = (w - &q.real).mapv(f64::from);
        (d.dot(gram) * &d).sum()
    }

    #[test]
    fn compensation_and_alternation_each_improve_on_rounding() {
        let (w, gram) = case(24, 64);
        for bits in [4, 2] {
            let width = Width { bits, group: 32 };
            let errors = [Rounding::Nearest, Rounding::Compensated, Rounding::Alternating]
                .map(|r| error(&w, &quantize(&w, None, Some(&gram), width, r).unwrap(), &gram));
            assert!(errors[1] < 0.8 * errors[0] && errors[2] < errors[1], "{bits} bits: {errors:?}");
        }
    }

    /// What the runtime's reference kernel reads is what `real` says.
    #[test]
    fn packed_weights_are_the_real_ones() {
        let (w, gram) = case(6, 40);
        for (bits, group) in [(8, 0), (8, 32), (4, 0), (4, 16), (4, 32), (2, 0), (2, 32)] {
            let q = quantize(&w, None, Some(&gram), Width { bits, group }, Rounding::Compensated).unwrap();
            let view = teff::kernels::row_linear::Weights {
                bits,
                inputs: q.inputs,
                outputs: q.outputs,
                group,
                data: &q.data,
                scales: &q.scales,
                mult: &q.mult,
                shift: q.shift,
                bias: &[],
            };
            for ((o, i), &real) in q.real.indexed_iter() {
                let groups = q.inputs.checked_div(group);
                let scale = groups.map_or(1.0, |groups| f64::from(q.scales[o * groups + i / group]));
                let integer = f64::from(teff::kernels::row_linear::reference::value(&view, o, i));
                let found = integer * scale * f64::from(q.mult[o]) / f64::from(q.shift).exp2() / 65_536.0;
                assert!((found - f64::from(real)).abs() < 1e-6, "{bits} bits, group {group}: {found} for {real}");
            }
        }
    }
}
