//! Every variant against the reference, bit for bit, faults of the data among the results.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::nest::elements;
use crate::kernels::testing::Random;

fn len(shape: &[u32]) -> usize {
    elements(shape).unwrap()
}

fn shape(random: &mut Random, ranks: std::ops::Range<i64>) -> Vec<u32> {
    (0..random.range(ranks)).map(|_| random.range(1..5) as u32).collect()
}

/// Indices along axes of these lengths in turn; in one case of eight one of them is out of range.
fn indices(random: &mut Random, count: usize, lens: &[u32]) -> Vec<i32> {
    let mut indices: Vec<i32> = (0..count)
        .map(|i| random.range(-i64::from(lens[i % lens.len()])..lens[i % lens.len()].into()) as i32)
        .collect();
    if random.range(0..8) == 0 && count > 0 {
        let at = random.range(0..count as i64) as usize;
        indices[at] = [i32::MAX, i32::MIN, lens[at % lens.len()] as i32][random.range(0..3) as usize];
    }
    indices
}

/// Both results and both outputs are the same; where there is a fault, the outputs may differ.
fn same<T: PartialEq + core::fmt::Debug>(seed: u64, a: (Result<(), Fault>, Vec<T>), b: (Result<(), Fault>, Vec<T>)) {
    assert_eq!(a.0, b.0, "seed {seed}");
    if a.0.is_ok() {
        assert_eq!(a.1, b.1, "seed {seed}");
    }
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn gathers_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let [outer, n, inner, count] = [0; 4].map(|_| random.range(1..6) as usize);
                    let p = Gather { outer, len: n, inner };
                    let (data, at) = (random.i8s(outer * n * inner), indices(random, count, &[n as u32]));
                    let run = |kernel: &dyn Fn(&mut [i8]) -> Result<(), Fault>| {
                        let mut out = vec![0; outer * count * inner];
                        (kernel(&mut out), out)
                    };
                    let expected = run(&|out| reference::gather(&p, &data, &at, out));
                    same(seed, expected, run(&|out| variant::gather(&p, &data, &at, out)));
                    assert_eq!(run(&|out| variant::gather(&p, &data[1..], &at, out)).0, Err(Fault::Size));
                    assert_eq!(run(&|out| variant::gather(&p, &data, &at, &mut out[1..])).0, Err(Fault::Size));
                }
            }

            #[test]
            fn gathered_elements_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let data_shape = shape(random, 1..6);
                    let axis = random.range(0..data_shape.len() as i64) as usize;
                    let mut out_shape: Vec<u32> =
                        data_shape.iter().map(|&d| random.range(1..i64::from(d) + 1) as u32).collect();
                    out_shape[axis] = random.range(1..7) as u32;
                    let p = GatherElements { data_shape: &data_shape, shape: &out_shape, axis };
                    let data: Vec<i32> = (0..len(&data_shape) as i32).collect();
                    let at = indices(random, len(&out_shape), &[data_shape[axis]]);
                    let (mut expected, mut found) = (vec![0; at.len()], vec![0; at.len()]);
                    let results = (
                        reference::gather_elements(&p, &data, &at, &mut expected),
                        variant::gather_elements(&p, &data, &at, &mut found),
                    );
                    same(seed, (results.0, expected), (results.1, found));
                }
            }

            #[test]
            fn gathered_blocks_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let dims = shape(random, 1..4);
                    let [batches, tuples, inner] = [0; 3].map(|_| random.range(1..4) as usize);
                    let p = GatherNd { batches, dims: &dims, inner };
                    let data: Vec<i16> = (0..(batches * len(&dims) * inner) as i16).collect();
                    let at = indices(random, batches * tuples * dims.len(), &dims);
                    let (mut expected, mut found) =
                        (vec![0; batches * tuples * inner], vec![0; batches * tuples * inner]);
                    let results = (
                        reference::gather_nd(&p, &data, &at, &mut expected),
                        variant::gather_nd(&p, &data, &at, &mut found),
                    );
                    same(seed, (results.0, expected), (results.1, found));
                }
            }

            #[test]
            fn scatters_give_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let data_shape = shape(random, 1..5);
                    let axis = random.range(0..data_shape.len() as i64) as usize;
                    let mut update_shape: Vec<u32> =
                        data_shape.iter().map(|&d| random.range(1..i64::from(d) + 1) as u32).collect();
                    update_shape[axis] = random.range(1..7) as u32;
                    let depth = random.range(1..data_shape.len() as i64 + 1) as usize;
                    let tuples = random.range(1..6) as usize;
                    let (places, at, updates) = if random.range(0..2) == 0 {
                        let at = indices(random, len(&update_shape), &[data_shape[axis]]);
                        (Places::Elements { shape: &update_shape, axis }, at, len(&update_shape))
                    } else {
                        let at = indices(random, tuples * depth, &data_shape[..depth]);
                        (Places::Nd { depth }, at, tuples * len(&data_shape[depth..]))
                    };
                    let p = Scatter { data_shape: &data_shape, places };
                    let (data, updates) = (random.i8s(len(&data_shape)), random.i8s(updates));
                    let (mut expected, mut found) = (vec![0; data.len()], vec![0; data.len()]);
                    let results = (
                        reference::scatter(&p, &data, &at, &updates, &mut expected),
                        variant::scatter(&p, &data, &at, &updates, &mut found),
                    );
                    same(seed, (results.0, expected.clone()), (results.1, found.clone()));
                    let zero = random.range(-128..128) as i32;
                    let mut sums = vec![7; data.len()];
                    let results = (
                        reference::scatter_add(&p, zero, &data, &at, &updates, &mut expected),
                        variant::scatter_add(&p, zero, [&data, &updates], &at, &mut found, &mut sums),
                    );
                    same(seed, (results.0, expected), (results.1, found));
                }
            }
        }
    };
}

kernel_tests!(portable);

#[test]
fn integers_are_computed_exactly_or_refused() {
    use crate::kernels::elementwise::Broadcast;
    use Arithmetic::{Add, Div, Mod, Mul, Rem, Sub};
    let all = (0..9).filter_map(Arithmetic::from_code).collect::<Vec<_>>();
    assert!(all.len() == 8 && all.iter().all(|op| Arithmetic::from_code(op.code()) == Some(*op)));
    assert_eq!([Div, Mod, Rem].map(|op| op.of(-7, 3)), [Some(-2), Some(2), Some(-1)]);
    assert_eq!([Div, Mod, Rem].map(|op| op.of(7, 0)), [None; 3]);
    assert_eq!([Add, Mul].map(|op| op.of(i32::MAX, 2)), [None; 2]);
    let shape = Broadcast { a: &[2, 1], b: &[3], out: &[2, 3] };
    let (a, b) = ([7, -7], [1, 2, -3]);
    for op in all {
        let (mut expected, mut found) = ([9; 6], [9; 6]);
        reference::arithmetic(op, &shape, &a, &b, &mut expected).unwrap();
        super::portable::arithmetic(op, &shape, &a, &b, &mut found).unwrap();
        assert_eq!(expected, found, "{op:?}");
    }
    let mut out = [0; 6];
    assert_eq!(super::portable::arithmetic(Sub, &shape, &[i32::MIN, 0], &b, &mut out), Err(Fault::Index));
    assert_eq!(super::portable::arithmetic(Sub, &shape, &a, &b[1..], &mut out), Err(Fault::Size));
}

#[test]
fn integers_become_real_numbers() {
    use crate::fixed::Multiplier;
    use crate::kernels::Output;
    let m = Multiplier { mult: 1 << 30, shift: 31 };
    let output = Output { zero_point: -1, min: i8::MIN, max: i8::MAX };
    let x = [0, 3, -3, 1000, i32::MIN];
    let (mut expected, mut found) = ([9; 5], [9; 5]);
    reference::from_index(m, &output, &x, &mut expected).unwrap();
    super::portable::from_index(m, &output, &x, &mut found).unwrap();
    assert_eq!((expected, found), ([-1, 1, -2, 127, -128], [-1, 1, -2, 127, -128]));
    assert!(super::portable::from_index(m, &output, &x, &mut found[1..]).is_none());
}

#[test]
fn positions_count_from_both_ends() {
    assert_eq!([0, 2, -1, -3].map(|i| position(i, 3)), [Some(0), Some(2), Some(2), Some(0)]);
    assert_eq!([3, -4, i32::MIN, i32::MAX].map(|i| position(i, 3)), [None; 4]);
}
