//! Rounding that minimises the error of the products, `Σ |(W − Q)·x|²` over a calibration text, instead of that of the
//! weights: with G = Σ xᵀx it is `(w − q) G (w − q)ᵀ` for each row.

use anyhow::{Context, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayViewMut1, s};

use super::grid::Grid;

/// Part of the mean energy that is added to every input's.
const DAMPING: f64 = 0.01;

/// By what the step of a row with one scale is multiplied, the best to be taken: a finer step clips the largest weights.
const STRETCHES: [f64; 9] = [1.0, 0.975, 0.95, 0.925, 0.9, 0.875, 0.85, 0.825, 0.8];
/// Most rounds of the alternating solve.
const ROUNDS: usize = 12;

/// `gram` with zeros behind it up to `inputs`, and a part of its mean on the diagonal; the identity without one.
pub(super) fn damped(gram: Option<&Array2<f64>>, own: usize, inputs: usize) -> Array2<f64> {
    let Some(gram) = gram else { return Array2::eye(inputs) };
    let mut g = Array2::zeros((inputs, inputs));
    g.slice_mut(s![..own, ..own]).assign(gram);
    let mean = (gram.diag().sum() / own as f64).max(1e-9);
    g.diag_mut().mapv_inplace(|d: f64| d + DAMPING * mean);
    g
}

/// Lower Cholesky factor.
fn cholesky(a: &Array2<f64>) -> Option<Array2<f64>> {
    let n = a.nrows();
    let mut l = Array2::<f64>::zeros((n, n));
    for i in 0..n {
        for j in 0..=i {
            let sum = a[[i, j]] - l.slice(s![i, ..j]).dot(&l.slice(s![j, ..j]));
            if i == j {
                if sum <= 0.0 {
                    return None;
                }
                l[[i, i]] = sum.sqrt();
            } else {
                l[[i, j]] = sum / l[[j, j]];
            }
        }
    }
    Some(l)
}

/// Inverse of a lower triangular matrix.
fn inverse_lower(l: &Array2<f64>) -> Array2<f64> {
    let n = l.nrows();
    let mut inverse = Array2::<f64>::zeros((n, n));
    for j in 0..n {
        inverse[[j, j]] = 1.0 / l[[j, j]];
        for i in j + 1..n {
            let sum = l.slice(s![i, j..i]).dot(&inverse.slice(s![j..i, j]));
            inverse[[i, j]] = -sum / l[[i, i]];
        }
    }
    inverse
}

const SINGULAR: &str = "the calibration text gives a singular matrix";

/// `G⁻¹`
pub(super) fn inverse(gram: &Array2<f64>) -> Result<Array2<f64>> {
    let lower = inverse_lower(&cholesky(gram).context(SINGULAR)?);
    Ok(lower.t().dot(&lower))
}

/// Upper factor U of `G⁻¹ = UᵀU`.
fn inverse_factor(gram: &Array2<f64>) -> Result<Array2<f64>> {
    Ok(cholesky(&inverse(gram)?).context(SINGULAR)?.reversed_axes())
}

/// Rounds column by column; the columns that follow make up for each error. The scales of a group are chosen when its
/// first column is reached, for the weights as they then are.
pub(super) fn compensated(w: &Array2<f64>, gram: &Array2<f64>, grid: &mut Grid) -> Result<Array2<u8>> {
    Ok(compensate(w, gram, &inverse_factor(gram)?, grid))
}

fn compensate(w: &Array2<f64>, gram: &Array2<f64>, u: &Array2<f64>, grid: &mut Grid) -> Array2<u8> {
    let energy = gram.diag().to_owned();
    let mut w = w.clone();
    let (outputs, inputs) = w.dim();
    let group = inputs / grid.groups();
    let mut codes = Array2::zeros((outputs, inputs));
    for i in 0..inputs {
        let g = i / group;
        if i % group == 0 && grid.grouped() {
            let span = i..i + group;
            for o in 0..outputs {
                grid.refit(o, g, w.slice(s![o, span.clone()]), energy.slice(s![span.clone()]));
            }
        }
        let row = u.slice(s![i, i + 1..]).to_owned();
        for o in 0..outputs {
            let code = grid.code(o, g, w[[o, i]]);
            codes[[o, i]] = code;
            let error = (w[[o, i]] - grid.value(o, g, code)) / u[[i, i]];
            w.slice_mut(s![o, i + 1..]).scaled_add(-error, &row);
        }
    }
    codes
}

/// From the compensated codes on, in turn: each integer moves to where the error is least, the others fixed; the scales
/// become those of the least error, the integers fixed. Where a whole row shares a scale, that of the least error among
/// [`STRETCHES`] is taken.
pub(super) fn alternating(w: &Array2<f64>, gram: &Array2<f64>, grid: &mut Grid) -> Result<Array2<u8>> {
    let u = inverse_factor(gram)?;
    if grid.grouped() {
        let mut codes = compensate(w, gram, &u, grid);
        (0..w.nrows()).for_each(|o| improve(w.row(o), gram, grid, o, codes.row_mut(o)));
        return Ok(codes);
    }
    let mut best = Array2::zeros(w.dim());
    let mut least = vec![f64::INFINITY; w.nrows()];
    for stretch in STRETCHES {
        let mut tried = grid.stretched(stretch);
        let mut codes = compensate(w, gram, &u, &mut tried);
        for (o, least) in least.iter_mut().enumerate() {
            improve(w.row(o), gram, &mut tried, o, codes.row_mut(o));
            let error = error(w.row(o), gram, &tried, o, &codes.row(o).to_owned());
            if error < *least {
                *least = error;
                best.row_mut(o).assign(&codes.row(o));
                grid.take(o, &tried);
            }
        }
    }
    Ok(best)
}

/// Improves integers and scales of a row in turn.
fn improve(w: ArrayView1<f64>, gram: &Array2<f64>, grid: &mut Grid, o: usize, mut codes: ArrayViewMut1<u8>) {
    let mut row = codes.to_owned();
    for _ in 0..ROUNDS {
        let moved = improve_integers(w, gram, grid, o, &mut row);
        let scaled = grid.grouped() && improve_scales(w, gram, grid, o, &row);
        if !moved && !scaled {
            break;
        }
    }
    codes.assign(&row);
}

/// `(w − q) G (w − q)ᵀ`
fn error(w: ArrayView1<f64>, gram: &Array2<f64>, grid: &Grid, o: usize, codes: &Array1<u8>) -> f64 {
    let d = difference(w, grid, o, codes);
    d.dot(&gram.dot(&d))
}

fn difference(w: ArrayView1<f64>, grid: &Grid, o: usize, codes: &Array1<u8>) -> Array1<f64> {
    let group = w.len() / grid.groups();
    Array1::from_shape_fn(w.len(), |i| w[i] - grid.value(o, i / group, codes[i]))
}

/// Coordinate descent; whether anything moved.
fn improve_integers(w: ArrayView1<f64>, gram: &Array2<f64>, grid: &Grid, o: usize, codes: &mut Array1<u8>) -> bool {
    let group = w.len() / grid.groups();
    let d = difference(w, grid, o, codes);
    // G·(w − q): its element i is half the slope of the error in weight i.
    let mut slope = gram.dot(&d);
    let mut moved = false;
    for _ in 0..ROUNDS {
        let mut changes = 0;
        for i in 0..w.len() {
            let old = grid.value(o, i / group, codes[i]);
            let code = grid.code(o, i / group, old + slope[i] / gram[[i, i]]);
            if code != codes[i] {
                let change = grid.value(o, i / group, code) - old;
                // Nearest on a uniform grid is the least of the parabola.
                codes[i] = code;
                slope.scaled_add(-change, &gram.row(i));
                changes += 1;
            }
        }
        moved |= changes > 0;
        if changes == 0 {
            break;
        }
    }
    moved
}

/// Least squares over the scales of a row; kept only if the error falls once they are rounded.
fn improve_scales(w: ArrayView1<f64>, gram: &Array2<f64>, grid: &mut Grid, o: usize, codes: &Array1<u8>) -> bool {
    let (groups, inputs) = (grid.groups(), w.len());
    let group = inputs / groups;
    let mut basis = Array2::<f64>::zeros((groups, inputs));
    for i in 0..inputs {
        basis[[i / group, i]] = f64::from(super::grid::integer(codes[i], grid.bits()));
    }
    let projected = basis.dot(gram);
    let mut normal = projected.dot(&basis.t());
    let mean = normal.diag().sum() / groups as f64;
    normal.diag_mut().mapv_inplace(|d| d + 1e-9 * mean + 1e-30);
    let Some(l) = cholesky(&normal) else { return false };
    let inverse = inverse_lower(&l);
    let steps = inverse.t().dot(&inverse.dot(&projected.dot(&w)));
    let (before, old) = (error(w, gram, grid, o, codes), grid.scales.row(o).to_owned());
    steps.iter().enumerate().for_each(|(g, &step)| grid.set_step(o, g, step));
    if error(w, gram, grid, o, codes) < before * (1.0 - 1e-9) {
        return true;
    }
    grid.scales.row_mut(o).assign(&old);
    false
}
