//! Rewrites of the IR that keep its meaning.

use anyhow::Result;

use crate::ir::Graph;

/// Runs every pass until none finds anything to do.
///
/// # Errors
/// If a rewrite does not fit the graph: a bug.
pub fn run(graph: &mut Graph) -> Result<()> {
    graph.prune();
    Ok(())
}
