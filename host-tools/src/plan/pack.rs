//! Dynamic storage allocation: offsets for blocks of known lifetimes, such that blocks that live at once do not
//! overlap and the whole is small.
//!
//! The problem is NP-hard. Greedy placement (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
//! Inference", 2020) is run over several orders of the blocks; where that does not meet the lower bound, a
//! deterministic local search swaps blocks in the best order found, and then branch and bound looks for less, or proves
//! that there is none (`exact.rs`).

use super::exact::{self, Outcome};

/// A piece of memory needed from step `first` to step `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Bytes.
    pub len: usize,
    /// First step.
    pub first: usize,
    /// Last step.
    pub last: usize,
}

/// Two blocks that may share memory although both live at one step, the last of `x` and the first of `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Index of the block that is read.
    pub x: usize,
    /// Index of the block that is written.
    pub y: usize,
    /// `y` begins at least so many bytes before `x`, unless they do not share memory.
    pub distance: usize,
}

impl Overlap {
    /// Bytes that the two blocks share where they share most.
    pub(super) fn shareable(&self, blocks: &[Block]) -> usize {
        let (x, y) = (blocks[self.x].len, blocks[self.y].len);
        x + y - y.max(x + self.distance.min(y))
    }
}

/// Offsets of all blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// For each block.
    pub offsets: Vec<usize>,
    /// Bytes of the whole.
    pub len: usize,
    /// The largest sum of the blocks that live at one step, less what may be shared there.
    pub lower_bound: usize,
    /// Whether no packing is smaller: the lower bound is met, or branch and bound has tried all others.
    pub is_optimal: bool,
}

/// Rounds of the local search, divided by the number of blocks: its cost is quadratic in them.
const SEARCH_EFFORT: usize = 100_000;
/// Blocks that branch and bound may place, divided by the number of blocks.
const EXACT_EFFORT: usize = 5_000_000;

impl Block {
    fn lives_with(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Packs `blocks`.
pub fn pack(blocks: &[Block], overlaps: &[Overlap]) -> Packing {
    let lower_bound = lower_bound(blocks, overlaps);
    let neighbours = neighbours(blocks, overlaps);
    let steps = |b: &Block| b.last - b.first + 1;
    let breadth = |b: &Block| (b.first..=b.last).map(|s| live_at(blocks, overlaps, s)).max().unwrap_or(0);
    let breadths: Vec<usize> = blocks.iter().map(breadth).collect();
    let mut orders: Vec<Vec<usize>> = Vec::new();
    let mut add = |key: &dyn Fn(usize) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(key(i)));
        orders.push(order);
    };
    add(&|i| (blocks[i].len, steps(&blocks[i])));
    add(&|i| (breadths[i], blocks[i].len));
    add(&|i| (blocks[i].len * steps(&blocks[i]), blocks[i].len));
    add(&|i| (steps(&blocks[i]), blocks[i].len));
    add(&|i| (usize::MAX - blocks[i].first, blocks[i].len));
    add(&|i| (blocks[i].last, blocks[i].len));

    let mut best = Packing { offsets: Vec::new(), len: usize::MAX, lower_bound, is_optimal: false };
    let mut best_order = Vec::new();
    for order in orders {
        let (offsets, len) = first_fit(blocks, &neighbours, &order);
        if len < best.len {
            (best.offsets, best.len, best_order) = (offsets, len, order);
        }
    }
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut pick = |n: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % n
    };
    for _ in 0..SEARCH_EFFORT / blocks.len().max(1) {
        if best.len == lower_bound || blocks.len() < 3 {
            break;
        }
        let mut order = best_order.clone();
        for _ in 0..=pick(3) {
            let moved = order.remove(pick(order.len()));
            order.insert(pick(order.len() + 1), moved);
        }
        let (offsets, len) = first_fit(blocks, &neighbours, &order);
        if len <= best.len {
            (best.offsets, best.len, best_order) = (offsets, len, order);
        }
    }
    if blocks.is_empty() {
        best.len = 0;
    }
    improve(blocks, overlaps, &neighbours, &mut best);
    best
}

/// Replaces `best` with smaller packings as long as branch and bound finds them.
fn improve(blocks: &[Block], overlaps: &[Overlap], neighbours: &[Vec<Neighbour>], best: &mut Packing) {
    let mut nodes = EXACT_EFFORT / blocks.len().max(1);
    best.is_optimal = loop {
        if best.len == best.lower_bound {
            break true;
        }
        match exact::search(blocks, overlaps, neighbours, best.len - 1, &mut nodes) {
            Outcome::Found(offsets) => {
                best.len = offsets.iter().zip(blocks).map(|(at, b)| at + b.len).max().unwrap_or(0);
                best.offsets = offsets;
            }
            Outcome::Impossible => break true,
            Outcome::GaveUp => break false,
        }
    };
}

pub(super) fn live_at(blocks: &[Block], overlaps: &[Overlap], step: usize) -> usize {
    let sum: usize = blocks.iter().filter(|b| (b.first..=b.last).contains(&step)).map(|b| b.len).sum();
    let here = overlaps.iter().filter(|o| blocks[o.y].first == step);
    sum - here.map(|o| o.shareable(blocks)).sum::<usize>()
}

fn lower_bound(blocks: &[Block], overlaps: &[Overlap]) -> usize {
    // The sum can only grow where a block begins.
    blocks.iter().map(|b| live_at(blocks, overlaps, b.first)).max().unwrap_or(0)
}

/// A block that lives with another: where that lies forbids the other to begin between two offsets, both excluded.
pub(super) struct Neighbour {
    pub(super) block: usize,
    /// From its start back to the lower of them.
    pub(super) below: usize,
    /// From its start to the upper.
    pub(super) above: usize,
}

/// For each block those that live with it.
fn neighbours(blocks: &[Block], overlaps: &[Overlap]) -> Vec<Vec<Neighbour>> {
    let of = |i: usize| {
        let others = (0..blocks.len()).filter(|&j| j != i && blocks[j].len > 0 && blocks[i].lives_with(&blocks[j]));
        let neighbour = |j: usize| {
            let (mut below, mut above) = (blocks[i].len, blocks[j].len);
            for o in overlaps {
                if (o.x, o.y) == (j, i) {
                    below = below.min(o.distance);
                } else if (o.x, o.y) == (i, j) {
                    above = above.min(o.distance);
                }
            }
            Neighbour { block: j, below, above }
        };
        others.map(neighbour).collect()
    };
    (0..blocks.len()).map(of).collect()
}

/// Places the blocks in this order, each at the lowest offset that those before it leave to it.
fn first_fit(blocks: &[Block], neighbours: &[Vec<Neighbour>], order: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = vec![None; blocks.len()];
    let mut len = 0;
    let mut forbidden: Vec<(i64, i64)> = Vec::new();
    for &i in order.iter().filter(|&&i| blocks[i].len > 0) {
        forbidden.clear();
        forbidden.extend(neighbours[i].iter().filter_map(|n| {
            let start: i64 = offsets[n.block]?;
            Some((start - n.below as i64, start + n.above as i64))
        }));
        forbidden.sort_unstable();
        // In the order of their lower ends, an interval that has been passed is not entered again.
        let start = forbidden.iter().fold(0, |at, &(low, high)| if low < at && at < high { high } else { at });
        offsets[i] = Some(start);
        len = len.max(start as usize + blocks[i].len);
    }
    (offsets.into_iter().map(|at| at.unwrap_or(0) as usize).collect(), len)
}

#[cfg(test)]
mod tests;
