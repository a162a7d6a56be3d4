//! Resampling of images by constant weights: resizing in all its forms, and padding by reflection.

use anyhow::{Result, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{
    HostOp,
    shape::{arity, nhwc},
};
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
    fn lower(&self, _cx: &mut Lowering<'_>) -> Result<()> {
        anyhow::bail!("only the float form exists yet")
    }
}
