//! Branch and bound over packings: finds a smaller one, or proves that there is none.
//!
//! In a packing whose blocks all lie as low as those beneath them allow, each block begins at 0 or where a block that
//! lives with it lets it begin; sorted by offset, the blocks can be placed one after the other, each at the lowest offset
//! above those already placed. Any packing can be slid down to such a one without growing. So the search places blocks
//! in the order of their offsets and never goes back below the last of them, as the bounded depth-first searches for
//! strip packing do (Martello, Monaci and Vigo, "An Exact Approach to the Strip-Packing Problem", 2003).

use super::pack::{Block, Neighbour, Overlap};

/// What a search found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Offsets of a packing within the target.
    Found(Vec<usize>),
    /// No packing is within the target.
    Impossible,
    /// Neither, with the nodes that were to be spent.
    GaveUp,
}

/// Looks for a packing of at most `target` bytes. `nodes` is what may be spent, a node for each block that is placed, and
/// is reduced by what was.
pub(super) fn search(
    blocks: &[Block],
    overlaps: &[Overlap],
    neighbours: &[Vec<Neighbour>],
    target: usize,
    nodes: &mut usize,
) -> Outcome {
    let mut search = Search::new(blocks, overlaps, neighbours, target, nodes);
    if !search.is_hopeful(0) {
        return Outcome::Impossible;
    }
    match search.place_next(0, 0) {
        Some(true) => Outcome::Found(search.at.iter().map(|at| at.unwrap_or(0)).collect()),
        Some(false) => Outcome::Impossible,
        None => Outcome::GaveUp,
    }
}

struct Search<'a> {
    blocks: &'a [Block],
    neighbours: &'a [Vec<Neighbour>],
    /// Blocks of more than no bytes.
    order: Vec<usize>,
    target: usize,
    nodes: &'a mut usize,
    /// Where each block begins, once it is placed.
    at: Vec<Option<usize>>,
    /// The lowest offset that the placed blocks leave to each, above all of them that live with it.
    lowest: Vec<usize>,
    /// For each step that counts: the end of the highest placed block that lives at it.
    skyline: Vec<usize>,
    /// For each step that counts: bytes of the blocks that live at it and are not placed, less what may be shared with
    /// blocks beneath them.
    rest: Vec<usize>,
    /// For each block the steps that count, of those at which it lives.
    spans: Vec<std::ops::Range<usize>>,
    /// For each overlap: the block that is read, which lies above the other, the step at which both live, and the bytes that
    /// they may share.
    shared: Vec<(usize, usize, usize)>,
    /// Blocks of some overlap.
    in_overlap: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(
        blocks: &'a [Block],
        overlaps: &[Overlap],
        neighbours: &'a [Vec<Neighbour>],
        target: usize,
        nodes: &'a mut usize,
    ) -> Self {
        // What lives at a step lives at the last step before it at which a block begins, too.
        let mut steps: Vec<usize> = blocks.iter().filter(|b| b.len > 0).map(|b| b.first).collect();
        steps.sort_unstable();
        steps.dedup();
        let from = |step: usize| steps.partition_point(|&s| s < step);
        let spans: Vec<_> = blocks.iter().map(|b| from(b.first)..from(b.last + 1)).collect();
        let mut rest = vec![0; steps.len()];
        for (block, span) in blocks.iter().zip(&spans) {
            rest[span.clone()].iter_mut().for_each(|bytes| *bytes += block.len);
        }
        let possible = overlaps.iter().filter(|o| blocks[o.x].len > 0 && blocks[o.y].len > 0);
        let shared: Vec<_> = possible.map(|o| (o.x, from(blocks[o.y].first), o.shareable(blocks))).collect();
        let mut in_overlap = vec![false; blocks.len()];
        overlaps.iter().for_each(|o| [o.x, o.y].iter().for_each(|&i| in_overlap[i] = true));
        shared.iter().for_each(|&(_, step, bytes)| rest[step] -= bytes);
        let mut order: Vec<usize> = (0..blocks.len()).filter(|&i| blocks[i].len > 0).collect();
        // Large and long-lived blocks lie low in good packings.
        order.sort_by_key(|&i| std::cmp::Reverse((blocks[i].len * (spans[i].len()), blocks[i].len)));
        Self {
            blocks,
            neighbours,
            order,
            target,
            nodes,
            at: vec![None; blocks.len()],
            lowest: vec![0; blocks.len()],
            skyline: vec![0; steps.len()],
            rest,
            spans,
            shared,
            in_overlap,
        }
    }

    /// Whether the blocks that are left can be placed, none of them below `floor`; `None` if nodes ran out. `placed` blocks
    /// are.
    fn place_next(&mut self, placed: usize, floor: usize) -> Option<bool> {
        if placed == self.order.len() {
            return Some(true);
        }
        // Where one of them would end, and begin no lower than all that follows, it could be slid down to: a packing that
        // lies as low as it can has no block there.
        let left = self.order.iter().copied().filter(|&i| self.at[i].is_none());
        let limit = left.clone().map(|i| self.lowest[i] + self.blocks[i].len).min().unwrap_or(0);
        let mut candidates: Vec<usize> = left.filter(|&i| (floor..limit).contains(&self.lowest[i])).collect();
        candidates.sort_by_key(|&i| self.lowest[i]);
        let mut tried: Vec<usize> = Vec::new();
        for i in candidates {
            if tried.iter().any(|&t| self.alike(t, i)) {
                continue;
            }
            if *self.nodes == 0 {
                return None;
            }
            *self.nodes -= 1;
            let undo = self.place(i);
            let at = self.lowest[i];
            let found = if self.is_hopeful(at) { self.place_next(placed + 1, at) } else { Some(false) };
            if found != Some(false) {
                return found;
            }
            self.take_back(i, undo);
            tried.push(i);
        }
        Some(false)
    }

    /// Whether one block can stand for the other: what follows from one follows from the other.
    fn alike(&self, a: usize, b: usize) -> bool {
        self.blocks[a] == self.blocks[b]
            && self.lowest[a] == self.lowest[b]
            && !self.in_overlap[a]
            && !self.in_overlap[b]
    }

    /// Whether all that is left may still fit if nothing of it begins below `floor`.
    fn is_hopeful(&self, floor: usize) -> bool {
        self.skyline.iter().zip(&self.rest).all(|(&sky, &rest)| rest == 0 || sky.max(floor) + rest <= self.target)
            && self
                .order
                .iter()
                .all(|&i| self.at[i].is_some() || self.lowest[i].max(floor) + self.blocks[i].len <= self.target)
    }

    /// Places block `i` at its lowest offset; returns what [`Search::take_back`] needs.
    fn place(&mut self, i: usize) -> Undo {
        let (at, neighbours) = (self.lowest[i], self.neighbours);
        self.at[i] = Some(at);
        let mut undo = Undo { lowest: Vec::new(), skyline: self.skyline[self.spans[i].clone()].to_vec() };
        // A neighbour's own interval is seen from it; from here it is the other way round.
        for n in neighbours[i].iter().filter(|n| self.at[n.block].is_none()) {
            let after = at + n.below;
            let lowest = &mut self.lowest[n.block];
            if after > *lowest {
                undo.lowest.push((n.block, *lowest));
                *lowest = after;
            }
        }
        self.shared.iter().filter(|(x, ..)| *x == i).for_each(|&(_, step, bytes)| self.rest[step] += bytes);
        let end = at + self.blocks[i].len;
        for step in self.spans[i].clone() {
            self.skyline[step] = self.skyline[step].max(end);
            self.rest[step] -= self.blocks[i].len;
        }
        undo
    }

    fn take_back(&mut self, i: usize, undo: Undo) {
        let span = self.spans[i].clone();
        self.skyline[span.clone()].copy_from_slice(&undo.skyline);
        self.rest[span].iter_mut().for_each(|bytes| *bytes += self.blocks[i].len);
        self.shared.iter().filter(|(x, ..)| *x == i).for_each(|&(_, step, bytes)| self.rest[step] -= bytes);
        undo.lowest.iter().for_each(|&(block, lowest)| self.lowest[block] = lowest);
        self.at[i] = None;
    }
}

struct Undo {
    lowest: Vec<(usize, usize)>,
    skyline: Vec<usize>,
}
