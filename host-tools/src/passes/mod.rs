//! Rewrites of the IR that keep its meaning, one file each.
//!
//! Transposes and reshapes move down, towards the outputs, until they meet their inverse, a weight that can absorb
//! them, or the graph's output; everything else folds into the operator before it. Only slices
//! move up, through arithmetic with constants, and never down: so the passes end.

mod angle;
mod broadcast;
mod compact;
mod fold;
mod fuse;
mod hoist_slice;
mod mask;
mod outputs;
mod permute_weights;
mod pins;
mod pointwise;
mod ports;
#[cfg(test)]
mod random;
mod scalar;
mod simplify;
mod sink_reshape;
mod sink_transpose;
pub mod split_weights;
mod square;
#[cfg(test)]
pub(crate) mod testing;
pub mod wide;

use anyhow::{Result, bail};

use crate::ir::Graph;

/// Most rounds over all passes; a model needs a handful.
const MAX_ROUNDS: usize = 1000;

/// Rewrites something, and says whether it did.
type Pass = fn(&mut Graph) -> Result<bool>;

/// Passes that always help.
const CLEAN: &[Pass] = &[
    ports::run,
    simplify::run,
    broadcast::run,
    sink_transpose::run,
    sink_reshape::run,
    permute_weights::run,
    hoist_slice::run,
    fold::run,
    fuse::run,
    square::run,
    angle::run,
    mask::run,
    scalar::curved,
];

/// Runs every pass until none finds anything to do.
///
/// # Errors
/// If a rewrite does not fit the graph: a bug.
pub fn run(graph: &mut Graph) -> Result<()> {
    to_fixed_point(graph, CLEAN)?;
    // Straight chains only now: as long as they could, they were to vanish in weights and bounds.
    to_fixed_point(graph, &[scalar::straight])?;
    to_fixed_point(graph, CLEAN)?;
    // Only now: what is folded into a layer or moved past it is known for convolutions as for products, but not alike.
    pointwise::run(graph)?;
    graph.prune();
    outputs::run(graph)?;
    pins::run(graph);
    // What prescribed a quantization stands between transposes and the inputs no more.
    ports::run(graph)?;
    compact::run(graph);
    Ok(())
}

fn to_fixed_point(graph: &mut Graph, passes: &[Pass]) -> Result<()> {
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for pass in passes {
            changed |= pass(graph)?;
            graph.prune();
        }
        if !changed {
            return Ok(());
        }
    }
    bail!("the graph is not at rest after {MAX_ROUNDS} rounds of rewriting");
}

/// Applies `rewrite` to every node in turn; nodes that a rewrite inserts before its own are not visited.
fn sweep(graph: &mut Graph, rewrite: impl Fn(&mut Graph, usize) -> Result<bool>) -> Result<bool> {
    let mut changed = false;
    let mut at = 0;
    while at < graph.nodes.len() {
        if rewrite(graph, at)? {
            changed = true;
        }
        at += 1;
    }
    Ok(changed)
}
