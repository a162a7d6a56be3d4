//! The values that weights can take: integers times scales.

use ndarray::{Array2, ArrayView1, s};

use super::Width;

/// Scales of a matrix; a weight is `value(code) · scale[o, g] · unit[o]`.
#[derive(Clone)]
pub(super) struct Grid {
    width: Width,
    /// `(outputs, groups)`; 1 where a whole row shares a scale.
    pub(super) scales: Array2<i8>,
    /// Real value of a scale's step, for each output: `mult / 2^(shift + 16)`.
    unit: Vec<f64>,
    pub(super) mult: Vec<i32>,
    pub(super) shift: u8,
}

/// Largest significand of an output's factor.
const MAX_MULT: f64 = ((1 << 27) - 1) as f64;

impl Grid {
    /// Scales of the least squared error, errors weighted by the inputs' energies (the diagonal of `gram`).
    pub(super) fn of(w: &Array2<f64>, gram: &Array2<f64>, width: Width) -> Self {
        let (outputs, inputs) = w.dim();
        let group = if width.group == 0 { inputs } else { width.group };
        let energy = gram.diag().to_owned();
        let best = Array2::from_shape_fn((outputs, inputs / group), |(o, g)| {
            let span = s![g * group..(g + 1) * group];
            best_scale(w.row(o).slice(span), energy.slice(span), width.bits)
        });
        let largest = |o: usize| best.row(o).iter().fold(1e-12, |m: f64, s| m.max(s.abs()));
        let wanted: Vec<f64> = (0..outputs)
            .map(|o| if width.group == 0 { best[[o, 0]].abs().max(1e-12) } else { largest(o) / 127.0 })
            .collect();
        // One exponent for all: the largest factor fills its bits.
        let top = wanted.iter().fold(0.0, |m: f64, u| m.max(u * 65_536.0));
        let shift = (MAX_MULT / top).log2().floor().clamp(0.0, 62.0);
        let mult: Vec<i32> =
            wanted.iter().map(|u| (u * 65_536.0 * shift.exp2()).round().clamp(1.0, MAX_MULT) as i32).collect();
        let shift = shift as u8;
        let unit: Vec<f64> = mult.iter().map(|&m| real_unit(m, shift)).collect();
        let scales = match width.group {
            0 => Array2::ones((outputs, 1)),
            _ => Array2::from_shape_fn(best.dim(), |(o, g)| scale_code(best[[o, g]] / unit[o])),
        };
        Self { width, scales, unit, mult, shift }
    }

    /// The grid with all steps of outputs multiplied by `factor`.
    pub(super) fn stretched(&self, factor: f64) -> Self {
        let mut grid = self.clone();
        for (mult, unit) in grid.mult.iter_mut().zip(&mut grid.unit) {
            *mult = (f64::from(*mult) * factor).round().clamp(1.0, MAX_MULT) as i32;
            *unit = real_unit(*mult, grid.shift);
        }
        grid
    }

    /// Takes the scales of output o from a stretched grid.
    pub(super) fn take(&mut self, o: usize, from: &Self) {
        self.mult[o] = from.mult[o];
        self.unit[o] = from.unit[o];
        self.scales.row_mut(o).assign(&from.scales.row(o));
    }

    fn group(&self, inputs: usize) -> usize {
        inputs / self.scales.ncols()
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> usize {
        self.scales.ncols()
    }

    /// Whether groups have scales of their own.
    pub(super) fn grouped(&self) -> bool {
        self.width.group != 0
    }

    /// Bits of a weight.
    pub(super) fn bits(&self) -> u32 {
        self.width.bits
    }

    /// Real value of one step of group g of output o.
    pub(super) fn step(&self, o: usize, g: usize) -> f64 {
        f64::from(self.scales[[o, g]]) * self.unit[o]
    }

    /// Sets a scale to the nearest possible.
    pub(super) fn set_step(&mut self, o: usize, g: usize, step: f64) {
        self.scales[[o, g]] = scale_code(step / self.unit[o]);
    }

    /// The best scale for these weights.
    pub(super) fn refit(&mut self, o: usize, g: usize, w: ArrayView1<f64>, energy: ArrayView1<f64>) {
        let step = best_scale(w, energy, self.width.bits);
        self.set_step(o, g, step);
    }

    /// The code of the nearest value.
    pub(super) fn code(&self, o: usize, g: usize, w: f64) -> u8 {
        nearest(w / self.step(o, g), self.width.bits)
    }

    /// The real value of a code.
    pub(super) fn value(&self, o: usize, g: usize, code: u8) -> f64 {
        f64::from(integer(code, self.width.bits)) * self.step(o, g)
    }

    /// Every weight to its nearest value.
    pub(super) fn nearest(&self, w: &Array2<f64>) -> Array2<u8> {
        let group = self.group(w.ncols());
        Array2::from_shape_fn(w.dim(), |(o, i)| self.code(o, i / group, w[[o, i]]))
    }

    /// What the codes stand for.
    pub(super) fn real(&self, codes: &Array2<u8>) -> Array2<f64> {
        let group = self.group(codes.ncols());
        Array2::from_shape_fn(codes.dim(), |(o, i)| self.value(o, i / group, codes[[o, i]]))
    }
}

/// `mult / 2^shift`, of wide rows.
fn real_unit(mult: i32, shift: u8) -> f64 {
    f64::from(mult) / f64::from(shift).exp2() / 65_536.0
}

/// A scale as int8; 0 would lose its group.
fn scale_code(scale: f64) -> i8 {
    match scale.round().clamp(-127.0, 127.0) as i8 {
        0 => 1,
        code => code,
    }
}

/// The integer that a code stands for.
pub(super) fn integer(code: u8, bits: u32) -> i32 {
    match bits {
        8 => i32::from(code.cast_signed()),
        4 => i32::from(code) - 8,
        _ => 2 * i32::from(code) - 3,
    }
}

/// The code whose integer is nearest to `x`; int8 is symmetric.
pub(super) fn nearest(x: f64, bits: u32) -> u8 {
    match bits {
        8 => (x.round().clamp(-127.0, 127.0) as i8).cast_unsigned(),
        4 => (x.round().clamp(-8.0, 7.0) + 8.0) as u8,
        _ => (((x + 3.0) / 2.0).round().clamp(0.0, 3.0)) as u8,
    }
}

/// The scale, of either sign, with the least squared error among a range of them around the one that spans the weights.
fn best_scale(w: ArrayView1<f64>, energy: ArrayView1<f64>, bits: u32) -> f64 {
    let max = w.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
    if max == 0.0 {
        return 1e-12;
    }
    let (span, range, signs): (f64, _, &[f64]) = match bits {
        8 => (127.0, 1.0..=1.0, &[1.0]),
        4 => (8.0, 0.55..=1.15, &[1.0, -1.0]),
        _ => (3.0, 0.3..=1.1, &[1.0]),
    };
    let steps = if bits == 8 { 1 } else { 60 };
    let error = |scale: f64| -> f64 {
        let off = |&w: &f64| w - f64::from(integer(nearest(w / scale, bits), bits)) * scale;
        w.iter().zip(energy).map(|(w, e)| e * off(w).powi(2)).sum()
    };
    let candidates = (0..=steps).flat_map(|k| {
        let fraction = range.start() + (range.end() - range.start()) * f64::from(k) / f64::from(steps);
        signs.iter().map(move |sign| sign * fraction * max / span)
    });
    candidates
        .map(|scale| (error(scale), scale))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(max / span, |(_, scale)| scale)
}

/// Codes as bytes, lower bits first.
pub(super) fn packed(codes: &Array2<u8>, bits: u32) -> Vec<u8> {
    let per_byte = 8 / bits as usize;
    let codes: Vec<u8> = codes.iter().copied().collect();
    codes
        .chunks(per_byte)
        .map(|chunk| chunk.iter().rev().fold(0, |byte: u16, &code| (byte << bits) | u16::from(code)) as u8)
        .collect()
}
