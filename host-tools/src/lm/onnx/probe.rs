//! What stands between matrix products, by what it does: the tensors around it are given, and it is evaluated.

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};
use teff::lm::Random;

use super::graph::Graph;
use super::skeleton::{Block, Product, Skeleton, root};
use super::value::Value;
use super::vector;
use crate::lm::network::{ActivationKind, Norm, NormKind};

/// A graph that is asked.
pub(super) struct Probe<'a> {
    pub(super) graph: &'a Graph,
    /// Its inputs in one run.
    pub(super) given: &'a HashMap<String, Value>,
    pub(super) skeleton: &'a Skeleton,
    /// Tokens of that run.
    pub(super) tokens: usize,
}

/// An MLP.
pub(super) struct Mlp {
    pub(super) activation: ActivationKind,
    /// The activation's argument is multiplied by it, its result divided.
    pub(super) alpha: f64,
    pub(super) gate: Option<Product>,
    pub(super) up: Product,
}

/// Numbers in [−1, 1), the same at each run.
pub(super) struct Noise(Random);

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        Self(Random(seed))
    }

    pub(super) fn rows(&mut self, len: usize) -> Vec<f64> {
        (0..len).map(|_| f64::from(self.0.below(1 << 30)) / f64::from(1 << 29) - 1.0).collect()
    }
}

/// How far an evaluated value may be from a formula whose constants an exporter stored in half precision.
const TOLERANCE: f64 = 3e-4;

impl Probe<'_> {
    fn title(&self, tensor: &str) -> String {
        self.graph.producer(tensor).map_or_else(|| format!("tensor {tensor}"), |n| n.title())
    }

    /// `wanted`, where some tensors hold these elements instead of their own.
    pub(super) fn run(&self, instead: &[(&str, &[f64])], wanted: &str) -> Result<Vec<f64>> {
        let mut given = self.given.clone();
        for (tensor, elements) in instead {
            let shape = self.skeleton.shapes.get(*tensor).map_or(&[][..], Vec::as_slice);
            given.insert((*tensor).to_string(), Value::floats(shape, elements.to_vec())?);
        }
        Ok(self.graph.eval(&given, &[wanted])?[0].f().iter().copied().collect())
    }

    /// That products read one tensor.
    pub(super) fn same_input(&self, parts: &[Product]) -> Result<()> {
        let inputs: Vec<&str> = parts.iter().map(|p| root(self.graph, &p.input)).collect();
        for (part, input) in parts.iter().zip(&inputs) {
            ensure!(
                *input == inputs[0],
                "{} reads {input}, but {} reads {}: they must read the same rows",
                part.title,
                parts[0].title,
                inputs[0]
            );
        }
        Ok(())
    }

    /// The normalisation of rows of `dim` elements between `stream` and `tensor`.
    pub(super) fn norm(&self, tensor: &str, stream: &str, dim: usize) -> Result<(NormKind, f64, Norm)> {
        let title = self.title(root(self.graph, tensor));
        ensure!(
            root(self.graph, tensor) != stream,
            "{title}: a matrix product reads the residual stream without a normalisation between"
        );
        ensure!(
            self.graph.depends(tensor, &[stream], &[]),
            "{title}: it does not read the residual stream as the block before left it (blocks side by side?)"
        );
        let x = Noise::new(1).rows(self.tokens * dim);
        let at = |scale: f64, shift: f64| -> Result<Vec<f64>> {
            let rows: Vec<f64> = x.iter().map(|v| v * scale + shift).collect();
            let y = self.run(&[(stream, &rows)], tensor)?;
            ensure!(!y.is_empty() && y.len().is_multiple_of(dim), "{title}: it does not give rows of {dim} elements");
            Ok(y)
        };
        const LARGE: f64 = 1e3;
        let (plus, minus) = (at(LARGE, 0.0)?, at(-LARGE, 0.0)?);
        // Exports that give only the last token's logits normalise the last row alone.
        let x = &x[x.len() - plus.len().min(x.len())..];
        let mut beta: Vec<f64> = (0..dim).map(|i| (plus[i] + minus[i]) / 2.0).collect();
        let shifted = at(LARGE, LARGE)?;
        let size = plus.iter().fold(1e-12_f64, |m, v| m.max(v.abs()));
        let near = |a: &[f64], b: &[f64], by: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= by * size);
        let kind = if near(&shifted, &plus, 1e-4) { NormKind::Layer } else { NormKind::Rms };
        let normal = |x: &[f64], scale: f64, epsilon: f64| -> Vec<f64> {
            let row = |row: &[f64]| {
                let mean = if kind == NormKind::Layer { row.iter().sum::<f64>() / dim as f64 } else { 0.0 };
                let energy = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / dim as f64 * scale * scale;
                row.iter().map(|v| (v - mean) * scale / (energy + epsilon).sqrt()).collect::<Vec<_>>()
            };
            x.chunks(dim).flat_map(row).collect()
        };
        // Of each column the row with the largest normalised element.
        let z = normal(x, LARGE, 0.0);
        let rows = z.len() / dim;
        let gamma: Vec<f64> = (0..dim)
            .map(|i| {
                let largest =
                    (0..rows).max_by(|a, b| z[a * dim + i].abs().total_cmp(&z[b * dim + i].abs())).unwrap_or(0);
                (plus[largest * dim + i] - beta[i]) / z[largest * dim + i]
            })
            .collect();
        if beta.iter().all(|b| b.abs() < 1e-9 * size) {
            beta.fill(0.0);
        }
        const SMALL: f64 = 1e-3;
        let small = at(SMALL, 0.0)?;
        let first = &x[..dim];
        let mean = if kind == NormKind::Layer { first.iter().sum::<f64>() / dim as f64 } else { 0.0 };
        let energy = first.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / dim as f64 * SMALL * SMALL;
        // |γ·x| decides how exactly ε can be read.
        let best = (0..dim)
            .max_by(|a, b| (gamma[*a] * (first[*a] - mean)).abs().total_cmp(&(gamma[*b] * (first[*b] - mean)).abs()));
        let best = best.unwrap_or(0);
        let y = (small[best] - beta[best]) / gamma[best];
        let epsilon = snapped((((first[best] - mean) * SMALL) / y).powi(2) - energy);
        let check = at(1.0, 0.0)?;
        let formula: Vec<f64> =
            normal(x, 1.0, epsilon).iter().enumerate().map(|(i, z)| z * gamma[i % dim] + beta[i % dim]).collect();
        ensure!(
            formula.len() == check.len() && near(&check, &formula, TOLERANCE),
            "{title}: what stands between the residual stream ({stream}) and it is neither RMSNorm nor LayerNorm"
        );
        let beta = beta.iter().any(|b| *b != 0.0).then(|| vector(beta.into_iter()));
        Ok((kind, epsilon, Norm { gamma: vector(gamma.into_iter()), beta }))
    }

    /// What an MLP does between its first products and its last.
    pub(super) fn mlp(&self, block: &Block) -> Result<Mlp> {
        let hidden = block.product.weight.ncols();
        let len = self.tokens * hidden;
        let to = block.product.input.as_str();
        for source in &block.sources {
            ensure!(
                source.weight.nrows() == hidden,
                "{}: it gives {} elements, but {} reads {hidden}",
                source.title,
                source.weight.nrows(),
                block.product.title
            );
        }
        let grid: Vec<f64> = (0..len).map(|i| 12.0 * (i as f64 + 0.5) / len as f64 - 6.0).collect();
        let (values, gate, up) = match block.sources.as_slice() {
            [up] => (self.run(&[(&up.output, &grid)], to)?, None, up),
            [a, b] => {
                let run = |x: &[f64], y: &[f64]| self.run(&[(&a.output, x), (&b.output, y)], to);
                let mut noise = Noise::new(2);
                let (x, y) = (noise.rows(len), noise.rows(len));
                let twice = |v: &[f64]| v.iter().map(|v| 2.0 * v).collect::<Vec<_>>();
                let once = run(&x, &y)?;
                let doubles = |z: Vec<f64>| z.iter().zip(&once).all(|(z, o)| (z - 2.0 * o).abs() < 1e-6);
                let (a_linear, b_linear) = (doubles(run(&twice(&x), &y)?), doubles(run(&x, &twice(&y))?));
                let ones = vec![1.0; len];
                match (a_linear, b_linear) {
                    (false, true) => (run(&grid, &ones)?, Some(a), b),
                    (true, false) => (run(&ones, &grid)?, Some(b), a),
                    _ => bail!("{}: its two first products are no gate and value of a gated MLP", block.title),
                }
            }
            many => bail!(
                "{}: an MLP with {} first products ({}); one, or a gate and a value, are supported",
                block.title,
                many.len(),
                many.iter().map(|p| p.title.as_str()).collect::<Vec<_>>().join(", ")
            ),
        };
        let unlike = || {
            format!(
                "{}: the activation before it ({}) is none of SiLU, GELU, its tanh form, x·σ(αx), ReLU and ReLU²",
                block.product.title,
                self.title(root(self.graph, to))
            )
        };
        ensure!(values.len() == grid.len(), unlike());
        let (activation, alpha) = activation_of(&grid, &values).ok_or_else(|| anyhow::anyhow!(unlike()))?;
        Ok(Mlp { activation, alpha, gate: gate.cloned(), up: up.clone() })
    }
}

/// The activation with these values, and α of x·σ(αx).
fn activation_of(grid: &[f64], values: &[f64]) -> Option<(ActivationKind, f64)> {
    use ActivationKind::{Gelu, GeluTanh, Relu, Silu, SquaredRelu};
    let exact = |kind: ActivationKind, x: f64| match kind {
        Relu => x.max(0.0),
        SquaredRelu => x.max(0.0).powi(2),
        gated => x * gated.gate(x),
    };
    let error = |f: &dyn Fn(f64) -> f64| {
        grid.iter()
            .zip(values)
            .map(|(&x, y)| (f(x) - y).abs())
            .fold(0.0_f64, |m, e| if e.is_nan() { e } else { m.max(e) })
    };
    let mut candidates: Vec<(ActivationKind, f64, f64)> =
        [Silu, Gelu, GeluTanh, Relu, SquaredRelu].map(|kind| (kind, 1.0, error(&|x| exact(kind, x)))).into();
    // σ(αx) = y/x, read where it is far from both ends.
    let place = grid.iter().position(|&x| x > 0.4)?;
    let sigma = values[place] / grid[place];
    let alpha = (sigma / (1.0 - sigma)).ln() / grid[place];
    if alpha.is_finite() && alpha > 0.0 {
        candidates.push((Silu, alpha, error(&|x| exact(Silu, alpha * x) / alpha)));
    }
    let (kind, alpha, error) = candidates.into_iter().min_by(|a, b| a.2.total_cmp(&b.2))?;
    (error < TOLERANCE).then_some((kind, if (alpha - 1.0).abs() < 1e-6 { 1.0 } else { alpha }))
}

/// ε as it was meant: the next 1 to 9 times a power of ten, if that is as near as it was measured.
fn snapped(epsilon: f64) -> f64 {
    let epsilon = epsilon.max(0.0);
    let power = 10_f64.powf(epsilon.max(1e-20).log10().floor());
    let round = (epsilon / power).round() * power;
    if (round - epsilon).abs() < 0.02 * epsilon { round } else { epsilon }
}
