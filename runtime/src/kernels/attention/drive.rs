//! Attention over the products of any variant.

use super::{Attention, CHUNK_BITS, Cache, Operands, Rope, Scratch, decode_scale, encode_scale};
use crate::fixed::{CommonShift, Factor, RowScale, exp2_neg, reciprocal, rounding_shift_64, sat32};
use crate::kernels::rows::{HEADER, WIDE_UNIT, quantize, side_by_side};

/// What a variant supplies.
pub trait Dots {
    /// Puts values in the order that [`Dots::dot8`] and [`Dots::rows`] want.
    fn ordered(values: &mut [i16]);
    /// `Σ a·b` over the shorter length; `a` has been ordered.
    fn dot8(a: &[i16], b: &[i8]) -> i32;
    /// `Σ a·b` of each row of `b`, `stride` apart, for as many as `out` holds; `a` has been ordered.
    fn rows(a: &[i16], b: &[i8], stride: usize, out: &mut [i32]) -> Option<()>;
    /// `Σ a·b` over the shorter length.
    fn dot16(a: &[i16], b: &[i16]) -> i32;

    /// The score of each cached key, before its centre's part: see `score_of`.
    ///
    /// * `query`: ordered; `keys`: from the head's first on, `stride` apart; `codes`: a scale's byte for each score
    #[inline(always)]
    fn scores(
        query: &[i16],
        (keys, stride): (&[i8], usize),
        codes: &[u8],
        down: i32,
        scores: &mut [i32],
    ) -> Option<()> {
        any_scores::<Self>(query, (keys, stride), codes, down, scores)
    }

    /// Adds the centre's part to scores in the order of their places: `shift_down(part · angles, down)`, saturating. Gives
    /// the largest sum.
    ///
    /// * `angles`: `(places, part.len())`
    #[inline(always)]
    fn add_part(part: &[i16], angles: &[i16], down: i32, scores: &mut [i32]) -> Option<i32> {
        add_any_part::<Self>(part, angles, down, scores)
    }

    /// The weight of each score, `⌊e·mant / 2^(4 + shift − finest) + ½⌋` with `e = exp2_neg(max − score)` and the scale of its
    /// values, whose shift is at least `finest`; and `Σ e`.
    #[inline(always)]
    fn powers(scores: &[i32], codes: &[u8], (max, finest): (i32, i32), weights: &mut [i16]) -> u32 {
        any_powers(scores, codes, (max, finest), weights)
    }
}

/// [`Dots::scores`] of any head.
#[inline(always)]
pub(super) fn any_scores<D: Dots + ?Sized>(
    query: &[i16],
    (keys, stride): (&[i8], usize),
    codes: &[u8],
    down: i32,
    scores: &mut [i32],
) -> Option<()> {
    let mut rest = keys;
    for (score, &code) in scores.iter_mut().zip(codes) {
        *score = score_of(D::dot8(query, rest.get(..query.len())?), code, down);
        rest = rest.get(stride..).unwrap_or_default();
    }
    Some(())
}

/// [`Dots::add_part`] of any head.
#[inline(always)]
pub(super) fn add_any_part<D: Dots + ?Sized>(
    part: &[i16],
    angles: &[i16],
    down: i32,
    scores: &mut [i32],
) -> Option<i32> {
    let (mut rest, mut max) = (angles, None);
    for score in scores {
        let (angles, tail) = rest.split_at_checked(part.len())?;
        *score = score.saturating_add(shift_down(D::dot16(part, angles), down));
        max = max.max(Some(*score));
        rest = tail;
    }
    max
}

/// [`Dots::powers`] in plain Rust.
#[inline(always)]
pub(crate) fn any_powers(scores: &[i32], codes: &[u8], (max, finest): (i32, i32), weights: &mut [i16]) -> u32 {
    let mut total = 0_u32;
    for ((weight, &score), &code) in weights.iter_mut().zip(scores).zip(codes) {
        let e = exp2_neg(score.abs_diff(max));
        let scale = decode_scale(code);
        total = total.wrapping_add(e);
        *weight = shift_down((e as i32).wrapping_mul(scale.mant), 4 + scale.shift - finest) as i16;
    }
    total
}

/// `⌊dot·mant / 2^(shift − down) + ½⌋` with the key's scale.
#[inline(always)]
pub(crate) fn score_of(dot: i32, code: u8, down: i32) -> i32 {
    let scale = decode_scale(code);
    shift_down(dot.wrapping_mul(scale.mant), scale.shift - down)
}

/// [`super::reference::attention`].
#[inline(always)]
pub fn attention<D: Dots>(
    p: &Attention,
    position: i32,
    operands: &Operands,
    cache: &mut Cache,
    out: &mut [i16],
    scratch: &mut Scratch,
) -> Option<()> {
    let Operands { x, turns, centre } = *operands;
    let kv = p.kv_len();
    let (turned, rest) = scratch.words.split_at_mut_checked(p.out_len().checked_add(kv)?)?;
    let (results, scores) = rest.split_at_mut_checked(p.out_len())?;
    let (query, rest) = scratch.halves.split_at_mut_checked(p.head_dim)?;
    let (key, rest) = rest.split_at_mut_checked(p.head_dim)?;
    let (part, weights) = rest.split_at_mut_checked(p.head_dim)?;
    let first = usize::try_from(position).ok()?;
    let rows = side_by_side((x, p.row_len()), (out, p.out_len().checked_add(HEADER)?));
    for (at, (x, out)) in (first..).zip(rows) {
        if p.sinks.is_none() && at >= p.context {
            return None;
        }
        turned.copy_from_slice(x.get(..turned.len())?);
        let keys = turned.get_mut(p.out_len()..)?;
        keys.iter_mut().zip(centre).for_each(|(key, &centre)| *key = key.saturating_sub(centre));
        let slot = p.slot(at);
        let turned_heads = if p.turns_on_read() { p.heads } else { p.heads.checked_add(p.kv_heads)? };
        if let Some(angles) = angles(p, turns, p.place(slot, at)) {
            for head in turned.chunks_exact_mut(p.head_dim.max(1)).take(turned_heads) {
                rope(p, angles, head);
            }
        }
        store(p, cache, slot, turned.get(p.out_len()..)?, x.get(turned.len()..)?)?;
        let cached = p.context.min(at.checked_add(1)?);
        let mut attend = Attend { p, at, operands, cache, cached, query, key, part, scores: scores.get_mut(..cached)? };
        // Whole words of the values are read: zeros weigh what lies behind the rows.
        let weights = weights.get_mut(..cached.next_multiple_of(4))?;
        let heads = side_by_side((turned, p.head_dim), (results, p.head_dim));
        // The start of the values' scales, and their smallest shift: the same for all heads of a group.
        let mut group = (core::ptr::null(), 0);
        for (h, (head, results)) in heads.enumerate() {
            let kv_head = h.checked_div(p.heads.checked_div(p.kv_heads)?)?;
            let (k_scales, v_scales) = attend.scales(kv_head)?;
            if group.0 != v_scales.as_ptr() {
                let largest = v_scales.iter().fold(0, |max: u8, &code| max.max(code));
                group = (v_scales.as_ptr(), decode_scale(largest).shift);
            }
            let finest = group.1;
            let max = attend.score::<D>(kv_head, head, k_scales, results)?;
            let total = attend.weigh::<D>(max, finest, v_scales, weights)?;
            attend.sum::<D>(kv_head, weights, (total, finest), results)?;
        }
        quantize(results, WIDE_UNIT, p.bits, out)?;
    }
    Some(())
}

/// cos and sin of a position, if positions turn anything.
fn angles<'t>(p: &Attention, turns: &'t [i16], place: usize) -> Option<&'t [i16]> {
    if p.rope == Rope::None { None } else { turns.chunks_exact(p.rotary.max(1)).nth(place) }
}

/// See [`super::reference::rope`].
pub fn rope(p: &Attention, angles: &[i16], head: &mut [i32]) {
    let turn = |a: &mut i32, b: &mut i32, angle: &[i16]| {
        let &[cos, sin] = angle else { return };
        let (x, y) = (i64::from(*a), i64::from(*b));
        let (cos, sin) = (i64::from(cos), i64::from(sin));
        *a = rounding_shift_64(x * cos - y * sin, 15);
        *b = rounding_shift_64(x * sin + y * cos, 15);
    };
    let Some(head) = head.get_mut(..p.rotary) else { return };
    match p.rope {
        Rope::None => {}
        Rope::Half => {
            let (low, high) = head.split_at_mut(p.rotary / 2);
            low.iter_mut().zip(high).zip(angles.chunks_exact(2)).for_each(|((a, b), angle)| turn(a, b, angle));
        }
        Rope::Interleaved => {
            for (pair, angle) in head.chunks_exact_mut(2).zip(angles.chunks_exact(2)) {
                if let [a, b] = pair {
                    turn(a, b, angle);
                }
            }
        }
    }
}

/// Caches a row's keys and values.
fn store(p: &Attention, cache: &mut Cache, slot: usize, keys: &[i32], values: &[i32]) -> Option<()> {
    let mut scales = cache.scales.chunks_exact_mut(p.context.max(1));
    let mut row = cache.keys.chunks_exact_mut(keys.len().max(1)).nth(slot)?.iter_mut();
    for keys in keys.chunks_exact(p.group_len(p.key_groups).max(1)) {
        let (code, factor, common) = cache_factor(keys);
        *scales.next()?.get_mut(slot)? = code;
        for (&key, to) in keys.iter().zip(&mut row) {
            *to = common.requantize(key, factor.mult).clamp(-127, 127) as i8;
        }
    }
    let mut rows = cache.values.chunks_exact_mut(p.context.max(1));
    for values in values.chunks_exact(p.group_len(p.value_groups).max(1)) {
        let (code, factor, common) = cache_factor(values);
        *scales.next()?.get_mut(slot)? = code;
        for (&value, row) in values.iter().zip(&mut rows) {
            *row.get_mut(slot)? = common.requantize(value, factor.mult).clamp(-127, 127) as i8;
        }
    }
    Some(())
}

fn cache_factor(row: &[i32]) -> (u8, Factor, CommonShift) {
    let max = row.iter().fold(0, |max: u32, x| max.max(x.unsigned_abs()));
    let code = encode_scale(RowScale::holding(max, WIDE_UNIT, 8));
    let factor = decode_scale(code).quantizer(WIDE_UNIT);
    (code, factor, CommonShift::of(factor.shift, max))
}

/// `⌊x / 2^shift + ½⌋` of a sum that leaves room for the rounding; far shifts leave nothing.
#[inline(always)]
pub(crate) fn shift_down(x: i32, shift: i32) -> i32 {
    if shift < 1 {
        return shift_up(x, shift);
    }
    // |x| < 2^31: half of 2^32 is not reached from below, and rounding is up.
    ((x >> (shift - 1).min(31)) + 1) >> 1
}

/// [`shift_down`] where it is rare.
#[cold]
#[inline(never)]
fn shift_up(x: i32, shift: i32) -> i32 {
    rounding_shift_64(x.into(), shift)
}

/// One row's view of the cache.
struct Attend<'a, 'c> {
    p: &'a Attention,
    at: usize,
    operands: &'a Operands<'a>,
    cache: &'a Cache<'c>,
    /// Slots that hold rows.
    cached: usize,
    query: &'a mut [i16],
    key: &'a mut [i16],
    part: &'a mut [i16],
    scores: &'a mut [i32],
}

impl<'a> Attend<'a, '_> {
    /// The scales of a head's cached keys and values.
    fn scales(&self, kv_head: usize) -> Option<(&'a [u8], &'a [u8])> {
        let p = self.p;
        let of = |group: usize| self.cache.scales.chunks_exact(p.context.max(1)).nth(group)?.get(..self.cached);
        let group = |groups: usize| kv_head.checked_mul(p.head_dim)?.checked_div(p.group_len(groups));
        Some((of(group(p.key_groups)?)?, of(p.key_groups.checked_add(group(p.value_groups)?)?)?))
    }

    /// Scores of a head, and the largest; overwrites the head's results.
    #[inline(always)]
    fn score<D: Dots>(&mut self, kv_head: usize, head: &[i32], scales: &[u8], results: &mut [i32]) -> Option<i32> {
        let p = self.p;
        let max = head.iter().fold(0, |max: u32, q| max.max(q.unsigned_abs()));
        let bits = p.query_bits() - 1;
        let limit = (1 << bits) - 1;
        let down = (32 - max.leading_zeros()).saturating_sub(bits) as i32;
        for (q, &x) in self.query.iter_mut().zip(head) {
            *q = shift_down(x, down).max(-limit).min(limit) as i16;
        }
        if !p.turns_on_read() {
            D::ordered(self.query);
        }
        let turns = self.operands.turns;
        let keys = self.cache.keys.get(kv_head.checked_mul(p.head_dim)?..)?;
        if p.turns_on_read() {
            let mut rest = keys;
            for (slot, (score, &code)) in self.scores.iter_mut().zip(scales).enumerate() {
                turned_key(p, angles(p, turns, p.place(slot, self.at))?, rest, self.key)?;
                rest = rest.get(p.kv_len()..).unwrap_or_default();
                let scale = decode_scale(code);
                *score = shift_down(D::dot16(self.query, self.key).wrapping_mul(scale.mant), scale.shift + 3 - down);
            }
        } else {
            D::scores(self.query, (keys, p.kv_len()), scales, down, self.scores)?;
        }
        if p.rope != Rope::None
            && let Some(centre) = self.operands.centre.chunks_exact(p.head_dim.max(1)).nth(kv_head)
        {
            let down = centre_part(p, head, centre, self.part, results)?;
            let part = self.part.get(..p.rotary)?;
            if self.at < p.context {
                return D::add_part(part, turns, 15 - down, self.scores);
            }
            let places = turns.chunks_exact(p.rotary.max(1));
            for (slot, score) in self.scores.iter_mut().enumerate() {
                let angles = places.clone().nth(p.place(slot, self.at))?;
                *score = score.saturating_add(shift_down(D::dot16(part, angles), 15 - down));
            }
        }
        self.scores.iter().copied().max()
    }

    /// The weights of the values, and the sum of the exponentials.
    #[inline(always)]
    fn weigh<D: Dots>(&self, max: i32, finest: i32, scales: &[u8], weights: &mut [i16]) -> Option<u32> {
        weights.get_mut(self.cached..)?.fill(0);
        let total = D::powers(self.scores, scales, (max, finest), weights);
        D::ordered(weights);
        Some(total)
    }

    /// The weighted mean of a head's values.
    #[inline(always)]
    fn sum<D: Dots>(
        &self,
        kv_head: usize,
        weights: &[i16],
        (total, finest): (u32, i32),
        out: &mut [i32],
    ) -> Option<()> {
        let p = self.p;
        let shift = p.sum_shift();
        let start = kv_head.checked_mul(p.head_dim)?.checked_mul(p.context)?;
        let values: &[i8] = self.cache.values.get(start..)?;
        if shift == 0 {
            D::rows(weights, values, p.context, out)?;
        } else {
            for (out, row) in out.iter_mut().zip(values.chunks_exact(p.context.max(1))) {
                let chunks = weights.chunks(1 << CHUNK_BITS).zip(row.chunks(1 << CHUNK_BITS));
                *out = chunks.fold(0, |sum: i32, (w, v)| sum.wrapping_add(shift_down(D::dot8(w, v), shift)));
            }
        }
        let Factor { mult, shift: down } = reciprocal(total);
        let common = CommonShift::of(down - (16 + 4 - finest + shift), 1 << 31);
        out.iter_mut().for_each(|out| *out = common.requantize(*out, mult));
        Some(())
    }
}

/// See [`super::reference`].
fn centre_part(p: &Attention, query: &[i32], centre: &[i32], part: &mut [i16], wide: &mut [i32]) -> Option<i32> {
    let (query, centre) = (query.get(..p.rotary)?, centre.get(..p.rotary)?);
    let (part, wide) = (part.get_mut(..p.rotary)?, wide.get_mut(..p.rotary)?);
    let half = p.rotary / 2;
    let pairs = wide.chunks_exact_mut(2);
    let mut sum = 0_u64;
    for (i, wide) in pairs.enumerate() {
        let (a, b) = if p.rope == Rope::Half { (i, i.checked_add(half)?) } else { (2 * i, 2 * i + 1) };
        let (qa, qb) = (i64::from(*query.get(a)?), i64::from(*query.get(b)?));
        let (ca, cb) = (i64::from(*centre.get(a)?), i64::from(*centre.get(b)?));
        // |products| ≤ 2^61: their sums leave room for the rounding.
        let down = |x: i64| sat32((x + (1 << 15)) >> 16);
        let turned = [down(qa * ca + qb * cb), down(qb * ca - qa * cb)];
        turned.iter().for_each(|v| sum += u64::from(v.unsigned_abs()));
        wide.iter_mut().zip(turned).for_each(|(wide, v)| *wide = v);
    }
    let down = (64 - sum.leading_zeros()).saturating_sub(15) as i32;
    for (part, &v) in part.iter_mut().zip(wide.iter()) {
        *part = shift_down(v, down).clamp(-32_767, 32_767) as i16;
    }
    Some(down)
}

/// See [`super::reference`]: a cached key, turned, with three more fraction bits.
#[inline(always)]
fn turned_key(p: &Attention, angles: &[i16], key: &[i8], to: &mut [i16]) -> Option<()> {
    for (to, &key) in to.iter_mut().zip(key) {
        *to = i16::from(key) << 3;
    }
    let (key, to) = (key.get(..p.rotary)?, to.get_mut(..p.rotary)?);
    let turn = |x: i8, y: i8, angle: &[i16]| {
        let &[cos, sin] = angle else { return (0, 0) };
        let (x, y, cos, sin) = (i32::from(x), i32::from(y), i32::from(cos), i32::from(sin));
        let round = |v: i32| ((v + (1 << 11)) >> 12) as i16;
        (round(x * cos - y * sin), round(x * sin + y * cos))
    };
    if p.rope == Rope::Half {
        let ((x, y), (a, b)) = (key.split_at(p.rotary / 2), to.split_at_mut(p.rotary / 2));
        for ((((a, b), &x), &y), angle) in a.iter_mut().zip(b).zip(x).zip(y).zip(angles.chunks_exact(2)) {
            (*a, *b) = turn(x, y, angle);
        }
    } else {
        for ((to, key), angle) in to.chunks_exact_mut(2).zip(key.chunks_exact(2)).zip(angles.chunks_exact(2)) {
            if let ([a, b], &[x, y]) = (to, key) {
                (*a, *b) = turn(x, y, angle);
            }
        }
    }
    Some(())
}
