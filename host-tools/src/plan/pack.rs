//! Dynamic storage allocation: offsets for blocks of known lifetimes, such that blocks that live at once do not
//! overlap and the whole is small.
//!
//! The problem is NP-hard. Greedy best-fit (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
//! Inference", 2020) is run over several orders of the blocks; where that does not meet the lower bound, a
//! deterministic local search swaps blocks in the best order found.

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

/// Offsets of all blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// For each block.
    pub offsets: Vec<usize>,
    /// Bytes of the whole.
    pub len: usize,
    /// The largest sum of the blocks that live at one step.
    pub lower_bound: usize,
}

/// Rounds of the local search, divided by the number of blocks: its cost is quadratic in them.
const SEARCH_EFFORT: usize = 200_000;

impl Block {
    fn lives_with(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Packs `blocks`.
pub fn pack(blocks: &[Block]) -> Packing {
    let lower_bound = lower_bound(blocks);
    let steps = |b: &Block| b.last - b.first + 1;
    let breadth = |b: &Block| (b.first..=b.last).map(|s| live_at(blocks, s)).max().unwrap_or(0);
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

    let mut best = Packing { offsets: Vec::new(), len: usize::MAX, lower_bound };
    let mut best_order = Vec::new();
    for order in orders {
        let (offsets, len) = best_fit(blocks, &order);
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
        let (offsets, len) = best_fit(blocks, &order);
        if len <= best.len {
            (best.offsets, best.len, best_order) = (offsets, len, order);
        }
    }
    if blocks.is_empty() {
        best.len = 0;
    }
    best
}

fn live_at(blocks: &[Block], step: usize) -> usize {
    blocks.iter().filter(|b| (b.first..=b.last).contains(&step)).map(|b| b.len).sum()
}

fn lower_bound(blocks: &[Block]) -> usize {
    // The sum can only grow where a block begins.
    blocks.iter().map(|b| live_at(blocks, b.first)).max().unwrap_or(0)
}

/// Places the blocks in this order, each at the smallest gap that holds it, or else at the lowest offset above.
fn best_fit(blocks: &[Block], order: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; blocks.len()];
    // (start, end, block) of what is placed, by start.
    let mut placed: Vec<(usize, usize, usize)> = Vec::with_capacity(blocks.len());
    let mut len = 0;
    for &i in order {
        if blocks[i].len == 0 {
            continue;
        }
        let mut end_of_last = 0;
        let mut best: Option<(usize, usize)> = None;
        for &(start, end, _) in placed.iter().filter(|p| blocks[p.2].lives_with(&blocks[i])) {
            if start >= end_of_last + blocks[i].len {
                let gap = start - end_of_last;
                if best.is_none_or(|(smallest, _)| gap < smallest) {
                    best = Some((gap, end_of_last));
                }
            }
            end_of_last = end_of_last.max(end);
        }
        let start = best.map_or(end_of_last, |(_, at)| at);
        offsets[i] = start;
        len = len.max(start + blocks[i].len);
        let at = placed.partition_point(|p| p.0 < start);
        placed.insert(at, (start, start + blocks[i].len, i));
    }
    (offsets, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_sound(blocks: &[Block], packing: &Packing) {
        for (i, a) in blocks.iter().enumerate() {
            assert!(packing.offsets[i] + a.len <= packing.len);
            for (j, b) in blocks.iter().enumerate().take(i) {
                let (x, y) = (packing.offsets[i], packing.offsets[j]);
                assert!(!a.lives_with(b) || x + a.len <= y || y + b.len <= x, "{i} {j}");
            }
        }
        assert!(packing.len >= packing.lower_bound);
    }

    #[test]
    fn chains_meet_the_lower_bound() {
        let blocks: Vec<Block> = (0..50).map(|i| Block { len: 16 * (1 + i * 7 % 13), first: i, last: i + 1 }).collect();
        let packing = pack(&blocks);
        assert_sound(&blocks, &packing);
        assert_eq!(packing.len, packing.lower_bound);
    }

    #[test]
    fn random_graphs_are_sound_and_near_the_bound() {
        let mut seed = 1_u64;
        let mut next = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((seed >> 33) % n) as usize
        };
        for _ in 0..50 {
            let blocks: Vec<Block> = (0..40)
                .map(|_| {
                    let first = next(30);
                    Block { len: 16 * (1 + next(100)), first, last: first + next(6) }
                })
                .collect();
            let packing = pack(&blocks);
            assert_sound(&blocks, &packing);
            assert!(packing.len as f64 <= 1.10 * packing.lower_bound as f64, "{packing:?}");
        }
    }

    #[test]
    fn nothing_needs_nothing() {
        assert_eq!(pack(&[]).len, 0);
        assert_eq!(pack(&[Block { len: 0, first: 0, last: 0 }]).len, 0);
    }
}
