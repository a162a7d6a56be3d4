//! The specification of attention. Never optimised.
#![allow(clippy::indexing_slicing, clippy::needless_range_loop, reason = "the specification reads like its formula")]

use super::{Attention, CHUNK_BITS, Cache, Operands, Rope, Scratch, decode_scale, encode_scale};
use crate::fixed::{Factor, RowScale, divide_scaled, exp2_neg, requantize_scaled, rounding_shift_64};
use crate::kernels::rows::{WIDE_UNIT, quantize};

/// Turns a wide head by the angles of a position: of each pair `(a, b)`, `a' = ⌊(a·cos − b·sin)/2^15 + ½⌋` and
/// `b' = ⌊(a·sin + b·cos)/2^15 + ½⌋`, saturating.
///
/// * `turns`: `(rotary/2, 2)` cos and sin in Q15
/// * source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021
pub fn rope(p: &Attention, turns: &[i16], head: &mut [i32]) {
    for i in 0..p.rotary / 2 {
        let Some((a, b)) = pair(p, i) else { return };
        let (cos, sin) = (i64::from(turns[2 * i]), i64::from(turns[2 * i + 1]));
        let (x, y) = (i64::from(head[a]), i64::from(head[b]));
        head[a] = rounding_shift_64(x * cos - y * sin, 15);
        head[b] = rounding_shift_64(x * sin + y * cos, 15);
    }
}

/// The elements of pair i.
fn pair(p: &Attention, i: usize) -> Option<(usize, usize)> {
    match p.rope {
        Rope::None => None,
        Rope::Half => Some((i, i + p.rotary / 2)),
        Rope::Interleaved => Some((2 * i, 2 * i + 1)),
    }
}

/// Turns a cached int8 key, with three more fraction bits: `⌊(a·cos − b·sin)/2^12 + ½⌋` and so on; what no position
/// turns is multiplied by 8.
fn turned_key(p: &Attention, turns: &[i16], key: &[i8], to: &mut [i16]) {
    for (to, &key) in to.iter_mut().zip(key) {
        *to = i16::from(key) << 3;
    }
    for i in 0..p.rotary / 2 {
        let Some((a, b)) = pair(p, i) else { return };
        let (cos, sin) = (i32::from(turns[2 * i]), i32::from(turns[2 * i + 1]));
        let (x, y) = (i32::from(key[a]), i32::from(key[b]));
        to[a] = ((x * cos - y * sin + (1 << 11)) >> 12) as i16;
        to[b] = ((x * sin + y * cos + (1 << 11)) >> 12) as i16;
    }
}

/// What a centre c adds to the scores of a head whose turned query is q: with the cos and sin of a place, `Σ part·turns`
/// is `Σ q·turned(c)`. Of each pair `u = (q_a·c_a + q_b·c_b, q_b·c_a − q_a·c_b)`, rounded to a wide value, and then
/// `⌊u/2^down + ½⌋` with the smallest `down` at which `Σ |u| < 2^(15 + down)`. Gives `down`.
///
/// * what no position turns adds the same to all scores, and is left out
fn centre_part(p: &Attention, query: &[i32], centre: &[i32], part: &mut [i16]) -> i32 {
    let product = |a: usize, b: usize| i64::from(query[a]) * i64::from(centre[b]);
    let wide = |i: usize| {
        let (a, b) = pair(p, i)?;
        let (cos, sin) = (product(a, a) + product(b, b), product(b, a) - product(a, b));
        Some([cos, sin].map(|v| rounding_shift_64(v, 16)))
    };
    let wide = (0..p.rotary / 2).filter_map(wide).flatten();
    let sum: u64 = wide.clone().map(|v| u64::from(v.unsigned_abs())).sum();
    let down = (64 - sum.leading_zeros() as i32 - 15).max(0);
    part.fill(0);
    for (part, v) in part.iter_mut().zip(wide) {
        *part = rounding_shift_64(v.into(), down).clamp(-32_767, 32_767) as i16;
    }
    down
}

/// Attention of new rows, each over those cached before it and itself.
///
/// The row at `position + r` caches its keys, less their centre, and its values at 8 bits, a scale for each group of
/// heads, and then, for each head, with q its turned query quantized to `query_bits`:
/// `s[j] = ⌊mant_k[j]·Σ q·k[j] / 2^…+ ½⌋ + ⌊Σ part·turns[j] / 2^…+ ½⌋` in Q16 (the second with a centre and positions:
/// `centre_part`), `e[j] = exp2_neg(max s − s[j])`,
/// `w[j] = ⌊e[j]·mant_v[j] / 2^(4 + shift_v[j] − min shift_v) + ½⌋`, `o = Σ w·v / Σ e`, and the narrow row `quantize(o)`.
///
/// * `out`: `(rows, 2 + heads·head_dim)` narrow
/// * `None` if a position is out of range; without a window that is one beyond the context
/// * error: that of int8 keys and values; the rest adds at most 2^-12 of the largest value
/// * source: Shazeer, "Fast Transformer Decoding", 2019, and Ainslie et al., "GQA", 2023; with sinks Xiao et al.,
///   "Efficient Streaming Language Models with Attention Sinks", 2023
pub fn attention(
    p: &Attention,
    position: i32,
    operands: &Operands,
    cache: &mut Cache,
    out: &mut [i16],
    scratch: &mut Scratch,
) -> Option<()> {
    let (dim, kv) = (p.head_dim, p.kv_len());
    let Operands { x, turns, centre } = *operands;
    let turns_of = |place: usize| turns.get(place * p.rotary..(place + 1) * p.rotary).unwrap_or(&[]);
    let (turned, rest) = scratch.words.split_at_mut(p.out_len() + kv);
    let (results, scores) = rest.split_at_mut(p.out_len());
    let (query, rest) = scratch.halves.split_at_mut(dim);
    let (key, rest) = rest.split_at_mut(dim);
    let (part, weights) = rest.split_at_mut(dim);
    for (r, (x, out)) in x.chunks_exact(p.row_len()).zip(out.chunks_exact_mut(2 + p.out_len())).enumerate() {
        let at = usize::try_from(position).ok()?.checked_add(r)?;
        if p.sinks.is_none() && at >= p.context {
            return None;
        }
        let (slot, cached) = (p.slot(at), p.context.min(at + 1));
        let place = p.place(slot, at);
        turned.copy_from_slice(&x[..p.out_len() + kv]);
        for (key, &centre) in turned[p.out_len()..].iter_mut().zip(centre) {
            *key = key.saturating_sub(centre);
        }
        for (h, head) in turned.chunks_exact_mut(dim).enumerate() {
            if h < p.heads || !p.turns_on_read() {
                rope(p, turns_of(place), head);
            }
        }
        let keys = &turned[p.out_len()..];
        let values = &x[p.out_len() + kv..];
        for i in 0..kv {
            let group_of = |x: &[i32], groups: usize| {
                let len = p.group_len(groups);
                (i / len, cache_factor(&x[i / len * len..][..len]))
            };
            let (group, (code, factor)) = group_of(keys, p.key_groups);
            cache.scales[group * p.context + slot] = code;
            cache.keys[slot * kv + i] = requantize_scaled(keys[i], factor).clamp(-127, 127) as i8;
            let (group, (code, factor)) = group_of(values, p.value_groups);
            cache.scales[(p.key_groups + group) * p.context + slot] = code;
            cache.values[i * p.context + slot] = requantize_scaled(values[i], factor).clamp(-127, 127) as i8;
        }
        for h in 0..p.heads {
            let kv_head = h / (p.heads / p.kv_heads);
            let group = |groups: usize| kv_head * dim / p.group_len(groups);
            let scale = |group: usize, j: usize| decode_scale(cache.scales[group * p.context + j]);
            let k_scale = |j: usize| scale(group(p.key_groups), j);
            let v_scale = |j: usize| scale(p.key_groups + group(p.value_groups), j);
            let finest = (0..cached).map(|j| v_scale(j).shift).min()?;
            let head = &turned[h * dim..(h + 1) * dim];
            let max = head.iter().map(|q| q.unsigned_abs()).max()?;
            let limit = (1 << (p.query_bits() - 1)) - 1;
            let down = (32 - max.leading_zeros()).saturating_sub(p.query_bits() - 1) as i32;
            for i in 0..dim {
                query[i] = rounding_shift_64(head[i].into(), down).clamp(-limit, limit) as i16;
            }
            let centred = !centre.is_empty() && p.rope != Rope::None;
            let part_down = if centred { centre_part(p, head, &centre[kv_head * dim..][..dim], part) } else { 0 };
            for j in 0..cached {
                let scale = k_scale(j);
                let row = &cache.keys[(j * p.kv_heads + kv_head) * dim..][..dim];
                match p.turns_on_read() {
                    true => turned_key(p, turns_of(p.place(j, at)), row, key),
                    false => (0..dim).for_each(|i| key[i] = row[i].into()),
                }
                let dot: i32 = (0..dim).map(|i| i32::from(query[i]) * i32::from(key[i])).sum();
                let fraction = if p.turns_on_read() { 3 } else { 0 };
                scores[j] = rounding_shift_64((dot * scale.mant).into(), scale.shift + fraction - down);
                if centred {
                    let products = part.iter().zip(turns_of(p.place(j, at)));
                    let sum: i32 = products.map(|(&part, &turn)| i32::from(part) * i32::from(turn)).sum();
                    scores[j] = scores[j].saturating_add(rounding_shift_64(sum.into(), 15 - part_down));
                }
            }
            let max = scores[..cached].iter().copied().max()?;
            let mut total = 0;
            for j in 0..cached {
                let e = exp2_neg(scores[j].abs_diff(max));
                let scale = v_scale(j);
                total += e;
                weights[j] = rounding_shift_64((e as i32 * scale.mant).into(), 4 + scale.shift - finest) as i16;
            }
            for d in 0..dim {
                let row = &cache.values[(kv_head * dim + d) * p.context..][..cached];
                let chunk = |c: usize| {
                    let end = cached.min((c + 1) << CHUNK_BITS);
                    let products = (c << CHUNK_BITS..end).map(|j| i32::from(weights[j]) * i32::from(row[j]));
                    rounding_shift_64(products.sum::<i32>().into(), p.sum_shift())
                };
                let sum: i32 = (0..cached.div_ceil(1 << CHUNK_BITS)).map(chunk).sum();
                results[h * dim + d] = divide_scaled(sum, total, 16 + 4 - finest + p.sum_shift());
            }
        }
        quantize(results, WIDE_UNIT, p.bits, out)?;
    }
    Some(())
}

/// The scale's byte for a row that is cached, and the factor that quantizes it.
fn cache_factor(row: &[i32]) -> (u8, Factor) {
    let max = row.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0);
    let code = encode_scale(RowScale::holding(max, WIDE_UNIT, 8));
    (code, decode_scale(code).quantizer(WIDE_UNIT))
}
