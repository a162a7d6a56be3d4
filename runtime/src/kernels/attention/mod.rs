//! Attention of a few new rows over a cache of int8 keys and values, with rotary positions.
//!
//! Each cached row has scales for its keys and for its values, one for each group of heads, in a byte ([`encode_scale`]).
//!
//! Keys of a trained model lie close to a point that is not 0: most of their energy is their mean. With a *centre* for each
//! head, what is cached is a key's distance to it, several times finer at 8 bits; the centre's part of a score follows
//! from the query and the position alone.

pub mod drive;
pub mod dsp;
pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
use crate::arch::attention as native;

use crate::fixed::RowScale;

/// How positions turn queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rope {
    /// Not at all.
    None,
    /// Elements `i` and `i + rotary/2` of a head form a pair (Hugging Face's LLaMA, GPT-NeoX).
    Half,
    /// Elements `2i` and `2i + 1` of a head form a pair (the original LLaMA, GPT-J).
    Interleaved,
}

/// Parameters of [`reference::attention`].
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head, even, at most 256.
    pub head_dim: usize,
    /// Slots of the cache, a multiple of 4, at most 2^15.
    pub context: usize,
    /// How positions turn the first `rotary` elements of a head.
    pub rope: Rope,
    /// Elements that positions turn: even, at most `head_dim`.
    pub rotary: usize,
    /// `None`: the cache ends when it is full. `Some(n)`: a sliding window; the first n rows stay (attention sinks), the
    /// oldest of the others gives way, keys are cached before they are turned, and a row's position is its place
    /// among those cached.
    pub sinks: Option<usize>,
    /// Groups of heads whose keys share a scale in the cache, a divisor of `kv_heads`.
    pub key_groups: usize,
    /// The same of values.
    pub value_groups: usize,
    /// Bits of the narrow output row.
    pub bits: u32,
}

/// What attention reads.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// `(rows, (heads + 2·kv_heads)·head_dim)` wide: queries **already multiplied by log2(e)/√head_dim**, keys, values.
    pub x: &'a [i32],
    /// `(context, rotary/2, 2)` cos and sin in Q15; empty without rotary positions.
    pub turns: &'a [i16],
    /// `(kv_heads, head_dim)` wide, below 2^30: what is taken from keys before they are turned; or empty.
    pub centre: &'a [i32],
}

/// The memory that lasts from run to run.
#[derive(Debug)]
pub struct Cache<'a> {
    /// `(context, kv_heads, head_dim)`
    pub keys: &'a mut [i8],
    /// `(kv_heads, head_dim, context)`: a dimension of the values is contiguous over the slots.
    pub values: &'a mut [i8],
    /// `(key_groups + value_groups, context)`: scales of keys, then of values.
    pub scales: &'a mut [u8],
}

/// Scratch memory.
#[derive(Debug)]
pub struct Scratch<'a> {
    /// [`Attention::words`]
    pub words: &'a mut [i32],
    /// [`Attention::halves`]
    pub halves: &'a mut [i16],
}

impl Attention {
    /// Elements of a wide input row: queries, keys, values.
    pub fn row_len(&self) -> usize {
        self.heads.saturating_add(self.kv_heads.saturating_mul(2)).saturating_mul(self.head_dim)
    }

    /// Elements of all keys, or values, of a row.
    pub fn kv_len(&self) -> usize {
        self.kv_heads.saturating_mul(self.head_dim)
    }

    /// Elements of a row's keys, or values, that share a scale if there are so many groups.
    pub fn group_len(&self, groups: usize) -> usize {
        self.kv_len().checked_div(groups).unwrap_or(0)
    }

    /// Scales of a cached row.
    pub fn scales(&self) -> usize {
        self.key_groups.saturating_add(self.value_groups)
    }

    /// Elements of the output before its header.
    pub fn out_len(&self) -> usize {
        self.heads.saturating_mul(self.head_dim)
    }

    /// Words of scratch memory: turned queries and keys, results, scores.
    pub fn words(&self) -> usize {
        let turned = self.heads.saturating_add(self.kv_heads).saturating_mul(self.head_dim);
        turned.saturating_add(self.out_len()).saturating_add(self.context)
    }

    /// 16-bit values of scratch memory: a quantized query, a turned key, the centre's part, the weights of the values.
    pub fn halves(&self) -> usize {
        self.context.saturating_add(self.head_dim.saturating_mul(3))
    }

    /// Bits of a quantized query: so many that a score, times the four bits of a key's scale, stays in 32 bits.
    pub fn query_bits(&self) -> u32 {
        // Turned keys have three more fraction bits and are up to √2 larger.
        let key_bits = if self.turns_on_read() { 11 } else { 7 };
        let log_dim = usize::BITS - self.head_dim.saturating_sub(1).leading_zeros();
        (32_u32 - 4).saturating_sub(key_bits + log_dim).clamp(2, 16)
    }

    /// Bits that sums over 2^9 values are shifted down by, so that the sum over all slots stays in 32 bits.
    pub fn sum_shift(&self) -> i32 {
        let bits = usize::BITS - self.context.saturating_sub(1).leading_zeros();
        bits.saturating_sub(CHUNK_BITS) as i32
    }

    /// Whether keys are cached before they are turned.
    pub fn turns_on_read(&self) -> bool {
        self.sinks.is_some() && self.rope != Rope::None
    }

    /// The slot that the row number `position` since the start takes.
    #[inline(always)]
    pub fn slot(&self, position: usize) -> usize {
        match self.sinks {
            Some(sinks) if position >= self.context => {
                sinks + (position - sinks).checked_rem(self.context - sinks).unwrap_or(0)
            }
            _ => position,
        }
    }

    /// The place of `slot` among the cached rows, oldest first, once row `position` has been cached.
    #[inline(always)]
    pub fn place(&self, slot: usize, position: usize) -> usize {
        match self.sinks {
            Some(sinks) if position >= self.context && slot >= sinks => {
                let newest = self.slot(position);
                let window = self.context - sinks;
                let after = if slot > newest { slot - newest } else { slot + window - newest };
                sinks + after - 1
            }
            _ => slot,
        }
    }
}

/// Largest shift of a scale in a byte.
const MAX_CACHE_SHIFT: i32 = 24;
/// Bits that positions of values are summed in at once: 2^9 products of 15 and 8 bits stay in 32.
pub(super) const CHUNK_BITS: u32 = 9;

/// A row's scale as a byte: three bits of `mant − 8`, five of `24 − shift`. Scales finer than `shift = 24` become that.
#[inline(always)]
pub fn encode_scale(scale: RowScale) -> u8 {
    if scale.shift > MAX_CACHE_SHIFT {
        return 0;
    }
    let exponent = (MAX_CACHE_SHIFT - scale.shift).clamp(0, 31);
    ((scale.mant & 7) | (exponent << 3)) as u8
}

/// The scale that a byte stands for.
#[inline(always)]
pub fn decode_scale(code: u8) -> RowScale {
    RowScale { mant: 8 | i32::from(code & 7), shift: MAX_CACHE_SHIFT - i32::from(code >> 3) }
}
