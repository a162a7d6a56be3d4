use super::*;

fn assert_sound(blocks: &[Block], packing: &Packing) {
    assert_sound_with(blocks, &[], packing);
}

fn assert_sound_with(blocks: &[Block], overlaps: &[Overlap], packing: &Packing) {
    for (i, a) in blocks.iter().enumerate() {
        assert!(packing.offsets[i] + a.len <= packing.len);
        for (j, b) in blocks.iter().enumerate().take(i) {
            let (x, y) = (packing.offsets[i], packing.offsets[j]);
            let grows = |read: usize, written: usize, from: usize, to: usize| {
                overlaps.iter().any(|o| (o.x, o.y) == (read, written) && to + o.distance <= from)
            };
            let apart = x + a.len <= y || y + b.len <= x;
            assert!(!a.lives_with(b) || apart || grows(i, j, x, y) || grows(j, i, y, x), "{i} {j}");
        }
    }
    assert!(packing.len >= packing.lower_bound);
}

#[test]
fn chains_meet_the_lower_bound() {
    let blocks: Vec<Block> = (0..50).map(|i| Block { len: 16 * (1 + i * 7 % 13), first: i, last: i + 1 }).collect();
    let packing = pack(&blocks, &[]);
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
        let packing = pack(&blocks, &[]);
        assert_sound(&blocks, &packing);
        assert!(packing.len as f64 <= 1.10 * packing.lower_bound as f64, "{packing:?}");
    }
}

#[test]
fn an_output_grows_over_its_input() {
    let block = |len, first| Block { len, first, last: first + 1 };
    // Widening, of one size, narrowing.
    for (x, y, distance, len) in [(64, 128, 64, 128), (64, 64, 0, 64), (64, 64, 32, 96), (128, 64, 16, 144)] {
        let blocks = [block(x, 0), block(y, 1)];
        let packing = pack(&blocks, &[Overlap { x: 0, y: 1, distance }]);
        assert_eq!((packing.len, packing.lower_bound), (len, len), "{x} {y} {distance}");
        assert!(packing.offsets[1] + distance <= packing.offsets[0]);
    }
}

#[test]
fn nothing_needs_nothing() {
    assert_eq!(pack(&[], &[]).len, 0);
    assert_eq!(pack(&[Block { len: 0, first: 0, last: 0 }], &[]).len, 0);
}

/// The smallest packing of few blocks, by placing them in every order.
fn smallest(blocks: &[Block], overlaps: &[Overlap]) -> usize {
    fn permute(order: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
        if from == order.len() {
            return visit(order);
        }
        for i in from..order.len() {
            order.swap(from, i);
            permute(order, from + 1, visit);
            order.swap(from, i);
        }
    }
    let neighbours = neighbours(blocks, overlaps);
    let mut best = usize::MAX;
    permute(&mut (0..blocks.len()).collect(), 0, &mut |order| {
        best = best.min(first_fit(blocks, &neighbours, order).1);
    });
    best
}

/// A random number below `n`.
fn random(seed: &mut u64, n: u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    ((*seed >> 33) % n) as usize
}

#[test]
fn branch_and_bound_agrees_with_every_order_tried() {
    let mut seed = 7;
    let (mut above_bound, mut with_overlap) = (0, 0);
    for case in 0..2000 {
        let blocks: Vec<Block> = (0..3 + case % 5)
            .map(|_| {
                let first = random(&mut seed, 6);
                Block { len: 16 * (1 + random(&mut seed, 9)), first, last: first + random(&mut seed, 4) }
            })
            .collect();
        let mut overlaps: Vec<Overlap> = Vec::new();
        for (x, a) in blocks.iter().enumerate() {
            let y = blocks.iter().position(|b| b.first == a.last && b.last > a.last && a.first < a.last);
            // A step reads one block and writes one.
            if let Some(y) = y.filter(|&y| overlaps.iter().all(|o| blocks[o.y].first != blocks[y].first)) {
                overlaps.push(Overlap { x, y, distance: 16 * random(&mut seed, 5) });
            }
        }
        let neighbours = neighbours(&blocks, &overlaps);
        let least = smallest(&blocks, &overlaps);
        let mut nodes = usize::MAX;
        match exact::search(&blocks, &overlaps, &neighbours, least, &mut nodes) {
            Outcome::Found(offsets) => {
                let packing = Packing { offsets, len: least, lower_bound: 0, is_optimal: true };
                assert_sound_with(&blocks, &overlaps, &packing);
            }
            other => panic!("{other:?} within {least}: {blocks:?} {overlaps:?}"),
        }
        let less = exact::search(&blocks, &overlaps, &neighbours, least - 1, &mut nodes);
        assert_eq!(less, Outcome::Impossible, "within {}: {blocks:?} {overlaps:?}", least - 1);
        let packing = pack(&blocks, &overlaps);
        assert!(packing.is_optimal && packing.len == least, "{packing:?}");
        above_bound += usize::from(least > packing.lower_bound);
        with_overlap += usize::from(!overlaps.is_empty());
    }
    assert!(above_bound > 10 && with_overlap > 50, "{above_bound} {with_overlap}");
}

#[test]
fn what_is_called_optimal_is_and_little_else_remains() {
    let mut seed = 3;
    let mut proven = 0;
    for _ in 0..40 {
        let blocks: Vec<Block> = (0..24)
            .map(|_| {
                let first = random(&mut seed, 20);
                Block { len: 16 * (1 + random(&mut seed, 100)), first, last: first + random(&mut seed, 5) }
            })
            .collect();
        let packing = pack(&blocks, &[]);
        assert_sound(&blocks, &packing);
        assert!(packing.is_optimal || packing.len > packing.lower_bound);
        proven += usize::from(packing.is_optimal);
    }
    assert!(proven >= 38, "{proven} of 40");
}
