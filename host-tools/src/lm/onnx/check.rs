//! That a network and the graph from which it was read give the same logits.

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, s};
use teff::lm::Random;

use super::graph::Graph;
use super::inputs::Feed;
use super::value::Value;
use crate::lm::float;
use crate::lm::network::Network;

/// Most tokens, and the work at which there are fewer.
const TOKENS: usize = 256;
const PRODUCTS: usize = 1 << 31;
/// Largest difference beside the spread of the logits: what float32 and tables of half precision may cause.
const TOLERANCE: f32 = 5e-3;

/// Compares them on a sequence, and behind a cache.
pub(super) fn same_logits(graph: &Graph, feed: &Feed<'_>, network: &Network) -> Result<()> {
    let wanted = (PRODUCTS / network.parameters().max(1)).clamp(16, TOKENS).min(network.architecture.context);
    let tokens = feed.tokens(wanted.max(2));
    let mut random = Random(1);
    let ids: Vec<u32> = (0..tokens).map(|_| random.below(network.architecture.vocabulary as u32)).collect();
    let ours = float::logits(network, &ids);
    let (theirs, _) = run(graph, feed, &ids, 0, &[])?;
    same(&ours, &theirs).with_context(|| format!("on {tokens} tokens"))?;
    if feed.steps() {
        let half = tokens / 2;
        let (_, cache) = run(graph, feed, &ids[..half], 0, &[])?;
        let (theirs, _) = run(graph, feed, &ids[half..], half, &cache)?;
        same(&ours, &theirs).with_context(|| format!("on {} tokens behind a cache of {half}", tokens - half))?;
    }
    Ok(())
}

/// Logits, and the cache for what follows.
fn run(
    graph: &Graph,
    feed: &Feed<'_>,
    ids: &[u32],
    before: usize,
    cache: &[Value],
) -> Result<(Array2<f32>, Vec<Value>)> {
    let wanted: Vec<&str> = [feed.logits].into_iter().chain(feed.presents.iter().copied()).collect();
    let mut values = graph.eval(&feed.values(ids, before, cache)?, &wanted)?;
    let cache = values.split_off(1);
    let logits = values[0].f();
    let width = *logits.shape().last().context("logits without an axis")?;
    let rows = logits.len() / width.max(1);
    Ok((Array2::from_shape_vec((rows, width), logits.iter().map(|&v| v as f32).collect())?, cache))
}

/// The last rows of `ours` against all of `theirs`: exports may give the last token's logits alone.
fn same(ours: &Array2<f32>, theirs: &Array2<f32>) -> Result<()> {
    ensure!(
        theirs.nrows() <= ours.nrows() && theirs.ncols() == ours.ncols(),
        "the graph's logits have shape {:?}, the network's {:?}",
        theirs.shape(),
        ours.shape()
    );
    let ours = ours.slice(s![ours.nrows() - theirs.nrows().., ..]);
    let largest = ours.fold(0.0_f32, |m, v| m.max(v.abs()));
    let far = (&ours - theirs).fold(0.0_f32, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d.abs()) });
    ensure!(
        far <= TOLERANCE * largest.max(1.0),
        "the network that was recognised gives logits that differ by up to {far:.3e} (largest: {largest:.3e}): something in the \
         graph was not recognised, such as a window of attention"
    );
    Ok(())
}
