//! Random graphs keep their meaning through all passes.

use crate::ir::ValueId;
use crate::ops::{
    Op, add::Add, avg_pool2d::AvgPool2d, clamp::Clamp, concat::Concat, conv2d::Conv2d, fully_connected::FullyConnected,
    function::Function, max_pool2d::MaxPool2d, mul::Mul, pad::Pad, reduce_mean::ReduceMean, reduce_sum::ReduceSum,
    reshape::Reshape, slice::Slice, softmax::Softmax, sub::Sub, table::Table, transpose::Transpose,
};
use crate::passes::testing::Harness;

/// A small linear congruential generator: the same graphs on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn permutation(&mut self, rank: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..rank).collect();
        (0..rank).map(|_| left.remove(self.below(left.len()))).collect()
    }

    /// Another shape of as many elements: an axis split, two merged, or one of length 1 added or removed.
    fn reshaped(&mut self, shape: &[usize]) -> Vec<usize> {
        let mut to = shape.to_vec();
        let at = self.below(to.len());
        match self.below(4) {
            0 if to[at].is_multiple_of(2) => drop(to.splice(at..=at, [2, shape[at] / 2])),
            1 if at + 1 < to.len() => drop(to.splice(at..at + 2, [shape[at] * shape[at + 1]])),
            2 if to[at] == 1 && to.len() > 1 => drop(to.remove(at)),
            _ if to.len() < 6 => to.insert(at, 1),
            _ => {}
        }
        to
    }
}

/// Appends a random operator that reads `x`, and perhaps another of the `values`.
fn grow(h: &mut Harness, r: &mut Random, values: &[ValueId], x: ValueId) -> ValueId {
    let shape = h.graph.value(x).shape.clone();
    let (rank, last, axis) = (shape.len(), shape[shape.len() - 1], r.below(shape.len()));
    let binary: [Op; 3] = [Add { clamp: None }.into(), Sub { clamp: None }.into(), Mul { clamp: None }.into()];
    let binary = binary[r.below(3)].clone();
    match r.below(16) {
        0..=2 => h.push(Transpose { perm: r.permutation(rank) }, &[x]),
        3 | 4 => h.push(Reshape { shape: r.reshaped(&shape) }, &[x]),
        5 => h.push(Clamp { min: -0.5, max: 0.75 }, &[x]),
        6 => {
            let function = if r.below(2) == 0 { Function::Tanh } else { Function::Square };
            h.push(Table { function }, &[x])
        }
        7 => {
            let rank = r.below(rank + 1);
            let c: Vec<usize> = shape[shape.len() - rank..].iter().map(|&d| r.one_of(&[1, d])).collect();
            let c = h.weight(&c);
            let operands = if r.below(2) == 0 { [x, c] } else { [c, x] };
            h.push(binary, &operands)
        }
        8 => {
            let same = |v: &&ValueId| h.graph.value(**v).shape == shape;
            let other = values.iter().rev().skip(1).find(same).copied().unwrap_or(x);
            h.push(binary, &[x, other])
        }
        9 => {
            let mut pads = vec![(0, 0); rank];
            pads[axis] = (r.below(2), r.below(2));
            h.push(Pad { pads, value: 0.0 }, &[x])
        }
        10 if shape[axis] > 1 => {
            h.push(Slice { axis, start: r.below(2), end: shape[axis], step: 1 + r.below(2) }, &[x])
        }
        11 if shape.iter().product::<usize>() < 200 => h.push(Concat { axis }, &[x, x]),
        12 => match r.below(3) {
            0 => h.push(ReduceMean { axes: vec![axis] }, &[x]),
            1 => h.push(ReduceSum { axes: vec![axis] }, &[x]),
            _ => h.push(Softmax, &[x]),
        },
        13 => {
            let (o, bias) = (1 + r.below(4), r.below(2));
            let mut operands = vec![x, h.weight(&[o, last])];
            if bias == 1 {
                operands.push(h.weight(&[o]));
            }
            h.push(FullyConnected { clamp: None }, &operands)
        }
        14 if rank == 4 => {
            let groups = if last % 2 == 0 { 2 } else { 1 };
            let w = h.weight(&[2 * groups, 2, 1, last / groups]);
            let pad = [r.below(2), r.below(2), 1, 0];
            h.push(Conv2d { kernel: [2, 1], stride: [1, 1], pad, dilation: [1, 1], groups, clamp: None }, &[x, w])
        }
        15 if rank == 4 && shape[1] > 1 && r.below(2) == 0 => {
            h.push(MaxPool2d { kernel: [2, 1], stride: [1, 1], pad: [0; 4] }, &[x])
        }
        15 if rank == 4 && shape[1] > 1 => {
            let pool = AvgPool2d { kernel: [2, 1], stride: [2, 1], pad: [0; 4], count_include_pad: true };
            h.push(pool, &[x])
        }
        _ => x,
    }
}

#[test]
fn random_graphs_keep_their_meaning() {
    for seed in 0..3000 {
        let mut r = Random(seed);
        let mut h = Harness::new(&[1, 3, 4, 2]);
        let mut values = vec![h.x];
        for _ in 0..3 + r.below(12) {
            // Mostly chains, now and then a branch.
            let x = if r.below(5) == 0 { r.one_of(&values) } else { values[values.len() - 1] };
            let y = grow(&mut h, &mut r, &values, x);
            if y != x {
                values.push(y);
            }
        }
        let y = values[values.len() - 1];
        if y != h.x {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| h.check(y)));
            assert!(result.is_ok(), "seed {seed}");
        }
    }
}
