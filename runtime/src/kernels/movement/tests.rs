//! Every variant against the reference, bit for bit.

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::nest::elements;
use crate::kernels::testing::Random;

/// A shape of 0 to 8 axes, some of them of length 1.
fn shape(random: &mut Random) -> Vec<u32> {
    let rank = random.range(0..9);
    let longest = if rank > 4 { 4 } else { 10 };
    (0..rank).map(|_| random.range(1..longest) as u32).collect()
}

/// Bytes of an element, one like the other.
fn size(random: &mut Random) -> usize {
    [1, 2, 4][random.range(0..3) as usize]
}

fn bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

/// The results of the reference and of a variant, from the same output before, for elements of `size` bytes.
fn compare(
    random: &mut Random,
    size: usize,
    (x_shape, out_shape): (&[u32], &[u32]),
    reference: impl Fn(&[u8], &mut [u8]) -> Option<()>,
    kernel: impl Fn(&[u8], &mut [u8]) -> Option<()>,
) {
    let x = bytes(random, elements(x_shape).unwrap() * size);
    let mut expected = bytes(random, elements(out_shape).unwrap() * size);
    let mut found = expected.clone();
    reference(&x, &mut expected).unwrap();
    kernel(&x, &mut found).unwrap();
    assert_eq!(expected, found);
    // Slices that are too short or too long are refused.
    assert!(kernel(&x[1..], &mut found).is_none());
    assert!(kernel(&x, &mut found[1..]).is_none());
    assert!(kernel(&[x, vec![0]].concat(), &mut found).is_none());
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::super::$variant as variant;
            use super::*;

            #[test]
            fn pad_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let x_shape = shape(random);
                    let rank = x_shape.len();
                    let mut added = || (0..rank).map(|_| random.range(-2..3).max(0) as u16).collect::<Vec<_>>();
                    let (mut before, after) = (added(), added());
                    let sides = before.iter().zip(&after);
                    let out_shape: Vec<u32> =
                        x_shape.iter().zip(sides).map(|(&n, (&a, &b))| n + u32::from(a) + u32::from(b)).collect();
                    before.resize(8, 0);
                    let size = size(random);
                    let value = &bytes(random, size)[..];
                    let p = Pad { x_shape: &x_shape, out_shape: &out_shape, before: &before, value };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |x: &[u8], y: &mut [u8]| reference::pad(&p, x, y);
                    compare(random, size, (&x_shape, &out_shape), reference, |x, y| variant::pad(&p, x, y));
                }
            }

            #[test]
            fn concat_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let mut x_shape = shape(random);
                    x_shape.truncate(7);
                    x_shape.push(random.range(1..6) as u32);
                    let axis = random.range(0..x_shape.len() as i64) as usize;
                    let (start, rest) = (random.range(0..4) as usize, random.range(0..4) as u32);
                    let mut out_shape = x_shape.clone();
                    out_shape[axis] += start as u32 + rest;
                    let size = size(random);
                    let p = Concat { size, x_shape: &x_shape, out_shape: &out_shape, axis, start };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |x: &[u8], y: &mut [u8]| reference::concat(&p, x, y);
                    compare(random, size, (&x_shape, &out_shape), reference, |x, y| variant::concat(&p, x, y));
                }
            }

            #[test]
            fn slice_gives_the_bits_of_the_reference() {
                for seed in 0..4_000 {
                    let random = &mut Random(seed);
                    let x_shape = shape(random);
                    let (mut out_shape, mut start, mut step) = (vec![], vec![7; 8], vec![-3; 8]);
                    for (axis, &len) in x_shape.iter().enumerate() {
                        let first = random.range(0..len.into());
                        let stride: i64 = [1, 1, 1, 2, 3, -1, -2][random.range(0..7) as usize];
                        let room = if stride > 0 { i64::from(len) - 1 - first } else { first };
                        let count = if random.range(0..2) == 0 { room / stride.abs() } else { 0 } + 1;
                        // A single index may come with any step.
                        let far = count == 1 && random.range(0..4) == 0;
                        out_shape.push(count as u32);
                        start[axis] = first as i32;
                        step[axis] = if far { i32::MIN } else { stride as i32 };
                    }
                    let size = size(random);
                    let p = Slice { size, x_shape: &x_shape, out_shape: &out_shape, start: &start, step: &step };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |x: &[u8], y: &mut [u8]| reference::slice(&p, x, y);
                    compare(random, size, (&x_shape, &out_shape), reference, |x, y| variant::slice(&p, x, y));
                }
            }

            #[test]
            fn transpose_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let x_shape = shape(random);
                    let mut perm: Vec<u8> = (0..x_shape.len() as u8).collect();
                    for i in (1..perm.len()).rev() {
                        perm.swap(i, random.range(0..i as i64 + 1) as usize);
                    }
                    let out_shape: Vec<u32> = perm.iter().map(|&axis| x_shape[usize::from(axis)]).collect();
                    perm.resize(8, 0);
                    let size = size(random);
                    let p = Transpose { size, x_shape: &x_shape, out_shape: &out_shape, perm: &perm };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |x: &[u8], y: &mut [u8]| reference::transpose(&p, x, y);
                    compare(random, size, (&x_shape, &out_shape), reference, |x, y| variant::transpose(&p, x, y));
                }
            }

            #[test]
            fn expand_gives_the_bits_of_the_reference() {
                for seed in 0..2_000 {
                    let random = &mut Random(seed);
                    let out_shape = shape(random);
                    let x_shape: Vec<u32> =
                        out_shape.iter().map(|&n| if random.range(0..3) == 0 { 1 } else { n }).collect();
                    let size = size(random);
                    let p = Expand { size, x_shape: &x_shape, out_shape: &out_shape };
                    std::println!("seed {seed}: {p:?}");
                    let reference = |x: &[u8], y: &mut [u8]| reference::expand(&p, x, y);
                    compare(random, size, (&x_shape, &out_shape), reference, |x, y| variant::expand(&p, x, y));
                }
            }

            #[test]
            fn parameters_out_of_range_do_not_panic() {
                for seed in 0..4_000 {
                    let random = &mut Random(seed);
                    let (x_shape, out_shape) = (shape(random), shape(random));
                    let (x_shape, out_shape) = (&x_shape[..], &out_shape[..]);
                    // Sizes that no type has are refused.
                    let size = random.range(0..6) as usize;
                    let x = bytes(random, elements(x_shape).unwrap() * size);
                    let y = &mut bytes(random, elements(out_shape).unwrap() * size)[..];
                    let len = random.range(0..9) as usize;
                    let wild: Vec<i32> = (0..len).map(|_| (random.next() as i32) >> random.range(0..32)).collect();
                    let before: Vec<u16> = wild.iter().map(|&v| v as u16).collect();
                    let perm: Vec<u8> = wild.iter().map(|&v| v as u8).collect();
                    let (axis, start) = (random.range(0..10) as usize, random.next() as usize);
                    variant::pad(&Pad { x_shape, out_shape, before: &before, value: &[1; 6][..size] }, &x, y);
                    variant::concat(&Concat { size, x_shape, out_shape, axis, start }, &x, y);
                    variant::slice(&Slice { size, x_shape, out_shape, start: &wild, step: &wild }, &x, y);
                    variant::transpose(&Transpose { size, x_shape, out_shape, perm: &perm }, &x, y);
                    variant::expand(&Expand { size, x_shape, out_shape }, &x, y);
                }
            }
        }
    };
}

kernel_tests!(portable);
