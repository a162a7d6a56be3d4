//! Resampling of images by constant weights: resizing in all its forms, and padding by reflection.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::format::DataType;
use teff::kernels::resample::{MAX_WEIGHT_SUM, WEIGHT_BITS};
use teff::ops::{RESAMPLE2D, resample2d};

use super::{
    HostOp,
    shape::{arity, nhwc},
};
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// Along one axis each output is a weighted sum of inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Taps {
    /// `(outputs)(taps)`: input index and weight; every output has as many taps.
    pub taps: Vec<Vec<(usize, f64)>>,
}

impl Taps {
    /// Every element as it is.
    pub fn identity(len: usize) -> Self {
        Self { taps: (0..len).map(|i| vec![(i, 1.0)]).collect() }
    }

    /// For each output its inputs and their weights, in any order; inputs named twice add up, weights of 0 are left out.
    pub fn new(outputs: impl IntoIterator<Item = Vec<(usize, f64)>>) -> Self {
        let merge = |mut taps: Vec<(usize, f64)>| {
            taps.sort_by_key(|&(index, _)| index);
            let mut merged: Vec<(usize, f64)> = Vec::new();
            for (index, weight) in taps.into_iter().filter(|&(_, w)| w != 0.0) {
                match merged.last_mut() {
                    Some((last, sum)) if *last == index => *sum += weight,
                    _ => merged.push((index, weight)),
                }
            }
            merged
        };
        let mut taps: Vec<Vec<(usize, f64)>> = outputs.into_iter().map(merge).collect();
        let most = taps.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for taps in &mut taps {
            let at = taps.first().map_or(0, |t| t.0);
            taps.resize(most, (at, 0.0));
        }
        Self { taps }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.taps.len()
    }

    /// Number of taps of each output.
    pub fn width(&self) -> usize {
        self.taps.first().map_or(0, Vec::len)
    }

    /// Whether no output lies outside the range of the inputs and 0.
    fn within_range(&self) -> bool {
        let inside = |t: &Vec<(usize, f64)>| t.iter().all(|t| t.1 >= 0.0) && t.iter().map(|t| t.1).sum::<f64>() < 1.001;
        self.taps.iter().all(inside)
    }

    /// Indices and fixed-point weights as the file holds them, the weights times `factor`.
    fn table(&self, factor: f64) -> Result<(Vec<i16>, Vec<i32>)> {
        let unit = f64::from(1_u32 << WEIGHT_BITS) * factor;
        let mut weights = Vec::new();
        for taps in &self.taps {
            let start = weights.len();
            let rounded = taps.iter().map(|t| (t.1 * unit).round() as i32);
            weights.extend(rounded);
            // A sum of weights stays what it is: a plain area remains one.
            let exact = (taps.iter().map(|t| t.1).sum::<f64>() * unit).round() as i64;
            let found: i64 = weights[start..].iter().map(|&w| i64::from(w)).sum();
            if let Some(largest) = weights[start..].iter_mut().max_by_key(|w| w.unsigned_abs()) {
                *largest += i32::try_from(exact - found)?;
            }
            let sum: u64 = weights[start..].iter().map(|w| u64::from(w.unsigned_abs())).sum();
            ensure!(sum <= MAX_WEIGHT_SUM.into(), "the weights of an output are too large");
        }
        let index = self.taps.iter().flatten().map(|t| i16::try_from(t.0));
        Ok((index.collect::<Result<_, _>>().context("an axis has more than 32767 elements")?, weights))
    }

    /// Whether outputs are the inputs as they are.
    pub fn is_identity(&self, len: usize) -> bool {
        *self == Self::identity(len)
    }
}

/// `y[n,i,j,c] = Σ_k Σ_l rows[i,k]·columns[j,l]·x[n, row(i,k), column(j,l), c]`
#[derive(Debug, Clone, PartialEq)]
pub struct Resample2d {
    /// Along the height.
    pub rows: Taps,
    /// Along the width.
    pub columns: Taps,
}

impl HostOp for Resample2d {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Resample2d", inputs.len(), 1..=1)?;
        let [n, h, w, c] = nhwc("Resample2d", inputs[0])?;
        for (taps, len) in [(&self.rows, h), (&self.columns, w)] {
            let even = taps.taps.iter().all(|t| t.len() == taps.width() && t.iter().all(|t| t.0 < len));
            ensure!(even && taps.width() > 0, "Resample2d: taps beyond {len} elements");
        }
        Ok(vec![n, self.rows.outputs(), self.columns.outputs(), c])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let shape = self.infer(&[inputs[0].shape()])?;
        let x = inputs[0];
        let value = |at: &IxDyn| {
            let columns = || self.columns.taps[at[2]].iter().filter(|t| t.1 != 0.0);
            let row = |k: usize| columns().map(|&(l, w)| w * f64::from(x[[at[0], k, l, at[3]]])).sum::<f64>();
            self.rows.taps[at[1]].iter().filter(|t| t.1 != 0.0).map(|&(k, w)| w * row(k)).sum::<f64>() as f32
        };
        Ok(ArrayD::from_shape_fn(IxDyn(&shape), |at| value(&at)))
    }
}

impl Lower for Resample2d {
    fn rule(&self) -> Rule {
        if self.rows.within_range() && self.columns.within_range() { Rule::SameAsInput } else { Rule::Calibrated }
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let factor = f64::from(cx.quant(0)?.scale) / f64::from(cx.out_quant()?.scale);
        let mut operands = vec![cx.x(0)?];
        for (taps, factor, names) in
            [(&self.rows, factor, ["row", "row_weight"]), (&self.columns, 1.0, ["column", "column_weight"])]
        {
            let (index, weight) = taps.table(factor)?;
            let shape = [taps.outputs(), taps.width()];
            operands.push(cx.constant(names[0], DataType::I16, &shape, &index));
            operands.push(cx.constant(names[1], DataType::I32, &shape, &weight));
        }
        let params = resample2d::Params { limits: cx.limits(None)? };
        cx.step(&RESAMPLE2D, &operands, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_and_columns_are_weighted() {
        let half = Taps::new([vec![(0, 0.5), (1, 0.5)], vec![(1, 1.0)]]);
        let op = Resample2d { rows: half.clone(), columns: Taps::new([vec![(1, 0.25), (1, 0.5)]]) };
        let x = array![[[[1.0], [2.0]], [[3.0], [6.0]]]].into_dyn();
        assert_eq!(op.eval(&[&x]).unwrap(), array![[[[3.0]], [[4.5]]]].into_dyn());
        assert!(op.infer(&[&[1, 1, 2, 1]]).is_err());
        let (index, weight) = half.table(1.0).unwrap();
        assert_eq!((index, weight), (vec![0, 1, 1, 1], vec![1 << 19, 1 << 19, 1 << 20, 0]));
    }
}
