//! Every variant against the reference, bit for bit; the reference against float.

#![allow(clippy::manual_is_multiple_of, clippy::manual_checked_ops, clippy::needless_range_loop)]

use std::{vec, vec::Vec};

use super::*;
use crate::kernels::rows::{HEADER, split};
use crate::kernels::testing::Random;

struct Case {
    p: Attention,
    turns: Vec<i16>,
    centre: Vec<i32>,
    keys: Vec<i8>,
    values: Vec<i8>,
    scales: Vec<u8>,
    words: Vec<i32>,
    halves: Vec<i16>,
}

#[allow(clippy::float_arithmetic)]
fn case(seed: u64) -> Case {
    let random = &mut Random(seed);
    let kv_heads = random.range(1..4) as usize;
    let head_dim = [2, 4, 8, 16, 64][random.range(0..5) as usize];
    let rope = [Rope::Half, Rope::Interleaved, Rope::None][random.range(0..3) as usize];
    let context = if seed % 20 == 0 { 1_040 } else { 4 * random.range(2..10) as usize };
    let p = Attention {
        heads: kv_heads * random.range(1..3) as usize,
        kv_heads,
        head_dim,
        context,
        rope,
        rotary: if random.range(0..2) == 0 { head_dim } else { (head_dim / 2).max(2) },
        sinks: (seed % 2 == 1).then(|| random.range(0..4) as usize),
        key_groups: if kv_heads == 2 || random.range(0..2) == 0 { kv_heads } else { 1 },
        value_groups: if random.range(0..2) == 0 { kv_heads } else { 1 },
        bits: random.range(8..17) as u32,
    };
    let angle = |i: usize| (i / p.rotary) as f64 * 100_f64.powf(-(((i % p.rotary) / 2 * 2) as f64) / p.rotary as f64);
    let turn = |i: usize| if i % 2 == 0 { angle(i).cos() } else { angle(i).sin() };
    let turns = (0..context * p.rotary).map(|i| (turn(i) * 32_767.0).round() as i16).collect();
    let kv = context * kv_heads * head_dim;
    let (words, halves) = (vec![0; p.words()], vec![0; p.halves()]);
    let centre = match random.range(0..3) {
        0 => Vec::new(),
        _ => (0..p.kv_len()).map(|_| (random.next() as i32) >> (12 + random.range(0..6))).collect(),
    };
    Case {
        p,
        turns,
        centre,
        keys: vec![0; kv],
        values: vec![0; kv],
        scales: vec![0; p.scales() * context],
        words,
        halves,
    }
}

impl Case {
    fn run(
        &mut self,
        f: impl Fn(&Attention, i32, &Operands, &mut Cache, &mut [i16], &mut Scratch) -> Option<()>,
        position: i32,
        x: &[i32],
    ) -> Option<Vec<i16>> {
        let mut out = vec![0; x.len() / self.p.row_len() * (HEADER + self.p.out_len())];
        let mut cache = Cache { keys: &mut self.keys, values: &mut self.values, scales: &mut self.scales };
        let mut scratch = Scratch { words: &mut self.words, halves: &mut self.halves };
        let operands = Operands { x, turns: &self.turns, centre: &self.centre };
        f(&self.p, position, &operands, &mut cache, &mut out, &mut scratch)?;
        Some(out)
    }
}

/// Wide rows around 1, a few of them far larger or smaller.
fn rows(random: &mut Random, len: usize) -> Vec<i32> {
    let magnitude = 12 + random.range(0..8) as u32;
    (0..len).map(|_| (random.next() as i32) >> (32 - magnitude)).collect()
}

/// What the policy means, in float: all rows since the start are kept unturned; the row's neighbours are the sinks and
/// the newest of the others, at positions by their place among them.
#[allow(clippy::float_arithmetic)]
fn float_attention(p: &Attention, history: &[Vec<f64>]) -> Vec<f64> {
    let at = history.len() - 1;
    let kept: Vec<usize> = match p.sinks {
        Some(sinks) if at >= p.context => (0..sinks).chain(at + 1 - (p.context - sinks)..at + 1).collect(),
        _ => (0..=at).collect(),
    };
    let turn = |head: &[f64], place: usize| {
        let mut head = head.to_vec();
        for i in 0..p.rotary / 2 {
            let angle = place as f64 * 100_f64.powf(-((2 * i) as f64) / p.rotary as f64);
            let (a, b) = match p.rope {
                Rope::None => continue,
                Rope::Half => (i, i + p.rotary / 2),
                Rope::Interleaved => (2 * i, 2 * i + 1),
            };
            let (x, y) = (head[a], head[b]);
            (head[a], head[b]) = (x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos());
        }
        head
    };
    let head_of = |row: usize, h: usize| &history[row][h * p.head_dim..(h + 1) * p.head_dim];
    let mut out = Vec::new();
    for h in 0..p.heads {
        let kv_head = h / (p.heads / p.kv_heads);
        let query = turn(head_of(at, h), kept.len() - 1);
        let scores: Vec<f64> = kept
            .iter()
            .enumerate()
            .map(|(place, &row)| {
                let key = turn(head_of(row, p.heads + kv_head), place);
                query.iter().zip(&key).map(|(q, k)| q * k).sum()
            })
            .collect();
        let max = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp2()).collect();
        let total: f64 = weights.iter().sum();
        for d in 0..p.head_dim {
            let value = |row: usize| head_of(row, p.heads + p.kv_heads + kv_head)[d];
            out.push(kept.iter().zip(&weights).map(|(&row, w)| w * value(row)).sum::<f64>() / total);
        }
    }
    out
}

#[test]
#[allow(clippy::float_arithmetic)]
fn the_reference_follows_float_and_its_policy() {
    for seed in 1..50 {
        let mut case = case(seed);
        let random = &mut Random(seed);
        let mut history = Vec::new();
        let steps = if case.p.sinks.is_some() { case.p.context + 30 } else { case.p.context };
        for t in 0..steps {
            // Scores of a few units: int8 keys make larger ones a matter of their own.
            let mut x: Vec<i32> = (0..case.p.row_len()).map(|_| (random.next() as i32) >> 15).collect();
            x[case.p.out_len()..].iter_mut().zip(&case.centre).for_each(|(key, centre)| *key += centre);
            history.push(x.iter().map(|&x| f64::from(x) / 65_536.0).collect::<Vec<f64>>());
            let found = case.run(reference::attention, t as i32, &x).unwrap();
            let expected = float_attention(&case.p, &history);
            let (scale, q) = split(&found).unwrap();
            let step = f64::from(scale.mant) * f64::from(-scale.shift).exp2();
            for (&q, &real) in q.iter().zip(&expected) {
                let error = (f64::from(q) * step - real).abs();
                // Keys and values of 8 bits: values by half a step of 1/127, weights by the scores' error.
                let bound = 0.02 + 0.012 * (case.p.head_dim as f64).sqrt() + step;
                assert!(error <= bound, "seed {seed}, step {t}: {error} > {bound}, {:?}", case.p);
            }
        }
    }
}

#[test]
fn places_follow_the_window() {
    let p = Attention { sinks: Some(4), ..case(1).p };
    let p = Attention { context: 16, ..p };
    for at in 0..100 {
        let mut places: Vec<usize> = (0..16.min(at + 1)).map(|slot| p.place(slot, at)).collect();
        assert_eq!(p.place(p.slot(at), at), 15.min(at), "the newest is last");
        places.sort_unstable();
        assert_eq!(places, (0..16.min(at + 1)).collect::<Vec<_>>());
    }
}

#[test]
#[allow(clippy::float_arithmetic)]
fn scales_survive_their_byte() {
    for code in 0..=255 {
        assert_eq!(encode_scale(decode_scale(code)), code);
    }
    assert_eq!(decode_scale(encode_scale(RowScale { mant: 15, shift: 40 })), RowScale { mant: 8, shift: 24 });
}

macro_rules! kernel_tests {
    ($variant:ident) => {
        mod $variant {
            use super::*;

            #[test]
            fn attention_gives_the_bits_of_the_reference() {
                for seed in 0..81 {
                    let (mut expected, mut found) = (case(seed), case(seed));
                    let random = &mut Random(seed);
                    let mut t = 0;
                    while t < expected.p.context + 20 {
                        let count = random.range(1..4) as usize;
                        let x = rows(random, count * expected.p.row_len());
                        let a = expected.run(reference::attention, t as i32, &x);
                        let b = found.run(super::super::$variant::attention, t as i32, &x);
                        assert_eq!(a, b, "seed {seed}, position {t}: {:?}", expected.p);
                        if a.is_none() {
                            assert!(expected.p.sinks.is_none() && t + count > expected.p.context);
                            break;
                        }
                        assert_eq!(expected.keys, found.keys, "seed {seed}, position {t}");
                        assert_eq!(expected.values, found.values, "seed {seed}, position {t}");
                        t += count;
                    }
                }
            }

            #[test]
            fn positions_out_of_range_and_short_slices_do_not_panic() {
                for seed in 0..40 {
                    let mut case = case(seed);
                    let x = vec![1 << 16; case.p.row_len()];
                    for position in [-1, i32::MIN, i32::MAX] {
                        case.run(super::super::$variant::attention, position, &x);
                    }
                    case.words.truncate(seed as usize);
                    case.run(super::super::$variant::attention, 0, &x);
                }
            }
        }
    };
}

kernel_tests!(portable);
kernel_tests!(dsp);
kernel_tests!(native);
