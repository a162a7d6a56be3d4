//! Attention, by what it does to queries, keys and values.

use anyhow::{Result, bail, ensure};
use ndarray::{Array2, s};
use teff::kernels::attention::Rope;

use super::probe::{Noise, Probe};
use super::skeleton::{Block, Product};
use crate::lm::float;
use crate::lm::network::{ActivationKind, Architecture, NormKind};

/// What was found of an attention.
pub(super) struct Attention {
    /// Queries, keys, values.
    pub(super) parts: Vec<Product>,
    pub(super) head_dim: usize,
    pub(super) rope: Rope,
    /// One for each pair that is turned.
    pub(super) frequencies: Vec<f64>,
    /// Scores are multiplied by it beside 1/√head_dim.
    pub(super) query_scale: f64,
}

/// Scores that are read are at most this.
const PEAK: f64 = 3.0;
/// What of a rotation's matrix counts as none.
const NOTHING: f64 = 1e-7;

/// An attention that is asked, its parts told apart.
struct Asked<'a> {
    probe: &'a Probe<'a>,
    block: &'a Block,
    /// Queries, keys, values; or all as one.
    parts: Vec<&'a Product>,
    widths: [usize; 3],
    tokens: usize,
}

impl Asked<'_> {
    /// The rows `(tokens, width)` that attention gives.
    fn run(&self, parts: [&Array2<f64>; 3]) -> Result<Array2<f64>> {
        let to = self.block.product.input.as_str();
        let values = match self.parts.as_slice() {
            [all] => {
                let all_rows = ndarray::concatenate(ndarray::Axis(1), &parts.map(|p| p.view()))?;
                let flat: Vec<f64> = all_rows.iter().copied().collect();
                self.probe.run(&[(all.output.as_str(), &flat)], to)?
            }
            separate => {
                let flat: Vec<Vec<f64>> = parts.iter().map(|p| p.iter().copied().collect()).collect();
                let instead: Vec<_> =
                    separate.iter().zip(&flat).map(|(p, f)| (p.output.as_str(), f.as_slice())).collect();
                self.probe.run(&instead, to)?
            }
        };
        let width = self.block.product.weight.ncols();
        ensure!(
            values.len() == self.tokens * width,
            "attention gives {} elements for {} tokens",
            values.len(),
            self.tokens
        );
        Ok(Array2::from_shape_vec((self.tokens, width), values)?)
    }

    fn zeros(&self, part: usize) -> Array2<f64> {
        Array2::zeros((self.tokens, self.widths[part]))
    }

    /// The score of the first head's element `i` of the query at position 1 with element `j` of the key at position 0: those
    /// of the matrix `scale · R(1)`.
    fn score(&self, i: usize, j: usize, size: f64) -> Result<f64> {
        let [mut q, mut k, mut v] = [0, 1, 2].map(|part| self.zeros(part));
        q[[1, i]] = size;
        k[[0, j]] = size;
        v.row_mut(0).fill(1.0);
        let share = self.run([&q, &k, &v])?[[1, 0]];
        Ok((share / (1.0 - share)).ln() / (size * size))
    }
}

impl Probe<'_> {
    /// What a block of attention is.
    pub(super) fn attention(&self, block: &Block) -> Result<Attention> {
        let title = &block.title;
        ensure!(self.tokens >= 2, "an export for a single token at a time without a cache's inputs cannot be read");
        let (asked, parts) = self.told_apart(block)?;
        let q_dim = asked.widths[0];
        let head_dim = self.head_dim(&asked)?;
        ensure!(
            head_dim > 0 && asked.widths.iter().all(|w| w.is_multiple_of(head_dim)),
            "{title}: heads of {head_dim} do not divide queries and keys of {:?}",
            asked.widths
        );
        ensure!(asked.widths[1] == asked.widths[2], "{title}: keys and values of {:?} elements", &asked.widths[1..]);
        // The size at which scores are neither lost nor saturated.
        let size = (PEAK * (head_dim as f64).sqrt()).sqrt();
        let none = asked.score(0, 0, 1e-6).map(|s| s * 1e-12)?;
        ensure!(
            none.abs() < 1e-5,
            "{title}: scores depend on more than queries and keys (a bias by position, as of ALiBi, is not supported)"
        );
        let across = (1..head_dim).map(|j| Ok((j, asked.score(0, j, size)?))).collect::<Result<Vec<_>>>()?;
        let straight = asked.score(0, 0, size)?;
        let partners: Vec<usize> =
            across.iter().filter(|(_, s)| s.abs() > 1e-3 * straight.abs().max(1e-6)).map(|(j, _)| *j).collect();
        let (rope, rotary) = match partners[..] {
            [] => (Rope::None, 0),
            [1] if head_dim > 2 => (Rope::Interleaved, head_dim),
            [half] if 2 * half <= head_dim => (Rope::Half, 2 * half),
            _ => bail!(
                "{title}: positions turn elements 0 and {partners:?} of a head together: no rotary embedding of pairs"
            ),
        };
        let mut frequencies = Vec::new();
        let mut scale = straight;
        for i in 0..rotary / 2 {
            let (p, q) = if rope == Rope::Half { (i, i + rotary / 2) } else { (2 * i, 2 * i + 1) };
            let (cos, sin) = (asked.score(p, p, size)?, asked.score(p, q, size)?);
            if i == 0 {
                scale = cos.hypot(sin);
            }
            frequencies.push(if sin.abs() < NOTHING * scale { 0.0 } else { sin.atan2(cos) });
        }
        if rope == Rope::Interleaved {
            let turned = frequencies.iter().rposition(|f| *f != 0.0).map_or(0, |last| last + 1);
            frequencies.truncate(turned);
        }
        snap(&mut frequencies, head_dim);
        let query_scale = scale * (head_dim as f64).sqrt();
        let query_scale = if (query_scale - 1.0).abs() < 1e-6 { 1.0 } else { query_scale };
        ensure!(query_scale.is_finite() && query_scale > 0.0, "{title}: queries and keys do not make its scores");
        let found = Attention { parts, head_dim, rope, frequencies, query_scale };
        self.compare(&asked, &found, q_dim)?;
        Ok(found)
    }

    /// Which products are queries, keys and values.
    fn told_apart<'a>(&'a self, block: &'a Block) -> Result<(Asked<'a>, Vec<Product>)> {
        let title = &block.title;
        let out = block.product.weight.ncols();
        let sources: Vec<&Product> = block.sources.iter().collect();
        let list = || sources.iter().map(|p| p.title.as_str()).collect::<Vec<_>>().join(", ");
        let asked = |parts: Vec<&'a Product>, widths| Asked { probe: self, block, parts, widths, tokens: self.tokens };
        if let [all] = sources[..] {
            // One below the other: as many queries as the output has.
            let rows = all.weight.nrows();
            ensure!(rows > out && (rows - out).is_multiple_of(2), "{title}: attention of one product, {}", all.title);
            let kv = (rows - out) / 2;
            let part = |range: std::ops::Range<usize>| Product {
                weight: all.weight.slice(s![range.clone(), ..]).to_owned(),
                bias: all.bias.as_ref().map(|b| b.slice(s![range]).to_owned()),
                ..all.clone()
            };
            let parts = vec![part(0..out), part(out..out + kv), part(out + kv..rows)];
            return Ok((asked(vec![all], [out, kv, kv]), parts));
        }
        ensure!(
            sources.len() == 3,
            "{title}: attention is made of {} products ({}), wanted are queries, keys and values",
            sources.len(),
            list()
        );
        let trial = asked(sources.clone(), [0, 1, 2].map(|i| sources[i].weight.nrows()));
        let mut noise = Noise::new(3);
        let rows: Vec<Array2<f64>> = trial
            .widths
            .iter()
            .map(|&w| Ok(Array2::from_shape_vec((self.tokens, w), noise.rows(self.tokens * w))?))
            .collect::<Result<_>>()?;
        let run = |i: usize, changed: &Array2<f64>| {
            let mut parts = [&rows[0], &rows[1], &rows[2]];
            parts[i] = changed;
            trial.run(parts)
        };
        let once = run(0, &rows[0])?;
        let far = |a: &Array2<f64>, b: &Array2<f64>| (a - b).fold(0.0_f64, |m, d| m.max(d.abs()));
        let (mut query, mut key, mut value) = (None, None, None);
        for i in 0..3 {
            let doubled = far(&run(i, &(&rows[i] * 2.0))?, &(&once * 2.0)) < 1e-6;
            let mut first = rows[i].clone();
            first.row_mut(0).mapv_inplace(|v| v + 1.0);
            let changed = run(i, &first)?;
            let later = far(&changed.slice(s![1.., ..]).to_owned(), &once.slice(s![1.., ..]).to_owned()) > 1e-9;
            match (doubled, later) {
                (true, true) => value = Some(sources[i]),
                (false, true) => key = Some(sources[i]),
                (false, false) => query = Some(sources[i]),
                (true, false) => bail!("{}: what it gives is not attended to", sources[i].title),
            }
        }
        let (Some(q), Some(k), Some(v)) = (query, key, value) else {
            bail!("{title}: of {} none is told apart as queries, keys and values", list());
        };
        ensure!(q.weight.nrows() == out, "{title}: queries of {} elements, output of {out}", q.weight.nrows());
        let widths = [q, k, v].map(|p| p.weight.nrows());
        Ok((asked(vec![q, k, v], widths), vec![q.clone(), k.clone(), v.clone()]))
    }

    /// One element of a query changes the output of its head alone.
    fn head_dim(&self, asked: &Asked<'_>) -> Result<usize> {
        let mut noise = Noise::new(4);
        let rows: Vec<Array2<f64>> = asked
            .widths
            .iter()
            .map(|&w| Ok(Array2::from_shape_vec((self.tokens, w), noise.rows(self.tokens * w))?))
            .collect::<Result<_>>()?;
        let mut changed = rows[0].clone();
        changed[[self.tokens - 1, 0]] += 1.0;
        let (a, b) = (asked.run([&rows[0], &rows[1], &rows[2]])?, asked.run([&changed, &rows[1], &rows[2]])?);
        let last = self.tokens - 1;
        Ok((0..a.ncols()).take_while(|&c| (a[[last, c]] - b[[last, c]]).abs() > 1e-12).count())
    }

    /// That on noise the network's attention gives what the graph's does.
    fn compare(&self, asked: &Asked<'_>, found: &Attention, q_dim: usize) -> Result<()> {
        let a = Architecture {
            vocabulary: 0,
            dim: 0,
            hidden: 0,
            heads: q_dim / found.head_dim,
            kv_heads: asked.widths[1] / found.head_dim,
            head_dim: found.head_dim,
            rope: found.rope,
            frequencies: found.frequencies.clone(),
            norm: NormKind::Rms,
            epsilon: 0.0,
            activation: ActivationKind::Silu,
            context: self.tokens,
        };
        let mut noise = Noise::new(5);
        let rows: Vec<Array2<f64>> = asked
            .widths
            .iter()
            .map(|&w| Ok(Array2::from_shape_vec((self.tokens, w), noise.rows(self.tokens * w))?))
            .collect::<Result<_>>()?;
        let theirs = asked.run([&rows[0], &rows[1], &rows[2]])?;
        let scaled = &rows[0] * found.query_scale;
        let all = ndarray::concatenate(ndarray::Axis(1), &[scaled.view(), rows[1].view(), rows[2].view()])?;
        let ours = float::attend(&a, all.mapv(|v| v as f32));
        let far = (theirs - ours.mapv(f64::from))
            .fold(0.0_f64, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d.abs()) });
        ensure!(
            far < 1e-3,
            "{}: attention of {} query and {} key heads of {}, {:?} rotary positions, was found, but what the graph computes \
             differs by {far:.2e} (causal softmax attention without bias, cap, window or norms of queries is supported)",
            asked.block.title,
            a.heads,
            a.kv_heads,
            a.head_dim,
            a.rope
        );
        Ok(())
    }
}

/// Angles that are `θ^(−2i/n)` but for the precision of an export are made so, θ a whole number.
fn snap(frequencies: &mut [f64], head_dim: usize) {
    let n = frequencies.len();
    let Some(&second) = frequencies.get(1) else {
        return;
    };
    // Rotary positions of part of a head have exponents over that part.
    let of = if 2 * n == head_dim { head_dim } else { 2 * n } as f64;
    let theta = second.powf(-of / 2.0).round();
    let last = frequencies.last().copied().unwrap_or(0.0);
    let finer = last.powf(-of / (2.0 * (n as f64 - 1.0))).round();
    let candidates = [10_000.0, 500_000.0, 1_000_000.0, theta, finer];
    let fits =
        |theta: f64| frequencies.iter().enumerate().all(|(i, f)| (f - theta.powf(-2.0 * i as f64 / of)).abs() < 1e-6);
    if let Some(theta) = candidates.into_iter().find(|&t| t.is_finite() && t > 1.0 && fits(t)) {
        frequencies.iter_mut().enumerate().for_each(|(i, f)| *f = theta.powf(-2.0 * i as f64 / of));
    }
}
