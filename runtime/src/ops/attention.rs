//! Attention of new rows over a cache in state tensors, rotary positions included.
//!
//! Inputs: `x` (R, (heads + 2·kv_heads)·head_dim) wide: queries multiplied by log2(e)/√head_dim, keys, values; `position` (1) i32: how
//! many rows came before; if rotary `turns` (context, rotary) i16 constant: cos and sin of each pair in Q15; if centred `centre`
//! (kv_heads, head_dim) i32 constant, wide; then the state: `keys` (context, kv_heads, head_dim) i8, `values` (kv_heads, head_dim,
//! context) i8, `scales` (groups + value_groups, context) u8. Output: (R, 2 + heads·head_dim) narrow. The state is read and written; the step lists it as inputs. A position beyond the context
//! is an error of the run, unless the window slides.
//! Arithmetic: [`crate::kernels::attention::reference::attention`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Operator;
use super::check::{self, ensure};
use super::rows::{self, scratch_bytes, split_scratch, typed, typed_mut};
use crate::arch;
use crate::exec::{Frame, RunError, Span};
use crate::format::{DataType, OpIssue, StepView, Storage};
use crate::kernels::attention::{self as kernels, Cache, Rope, Scratch};

/// [`Params::sinks`]: no window; the cache ends when it is full.
pub const FULL: u16 = u16::MAX;

/// Parameters in the file.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Params {
    /// Query heads.
    pub heads: u16,
    /// Key and value heads.
    pub kv_heads: u16,
    /// Elements of a head.
    pub head_dim: u16,
    /// Elements of a head that positions turn.
    pub rotary: u16,
    /// Slots of the cache.
    pub context: u16,
    /// Rows that stay when the window slides, or [`FULL`].
    pub sinks: u16,
    /// 0: none; 1: halves; 2: interleaved. See [`Rope`].
    pub rope: u8,
    /// Groups of heads whose keys share a scale in the cache.
    pub groups: u8,
    /// The same of values.
    pub value_groups: u8,
    /// 1 if keys have a centre, or 0.
    pub centred: u8,
}

/// The operator.
pub struct Attention;

fn kernel(params: &Params, bits: u32) -> kernels::Attention {
    kernels::Attention {
        heads: params.heads.into(),
        kv_heads: params.kv_heads.into(),
        head_dim: params.head_dim.into(),
        context: params.context.into(),
        rope: match params.rope {
            0 => Rope::None,
            1 => Rope::Half,
            _ => Rope::Interleaved,
        },
        rotary: params.rotary.into(),
        sinks: (params.sinks != FULL).then_some(params.sinks.into()),
        key_groups: params.groups.into(),
        value_groups: params.value_groups.into(),
        bits,
    }
}

/// Input slot of the centre, if there is one.
fn centre_slot(params: &Params) -> usize {
    if params.rope == 0 { 2 } else { 3 }
}

/// Input slot of the keys; values and scales follow.
fn keys_slot(params: &Params) -> usize {
    centre_slot(params).saturating_add(params.centred.into())
}

impl Operator for Attention {
    type Params = Params;

    fn check(step: &StepView<'_>, params: &Params) -> Result<usize, OpIssue> {
        let state = keys_slot(params);
        check::operands(step, state + 3, 1)?;
        let ([row_count, len], bits) = rows::narrow(&step.output(0).ok_or(OpIssue::Operands)?)?;
        let p = kernel(params, bits);
        ensure(params.rope <= 2 && params.centred <= 1, OpIssue::Params)?;
        let divides = |groups: usize| groups > 0 && p.kv_heads.is_multiple_of(groups);
        ensure(divides(p.key_groups) && divides(p.value_groups), OpIssue::Params)?;
        ensure(p.kv_heads > 0 && p.heads > 0 && p.heads.is_multiple_of(p.kv_heads), OpIssue::Params)?;
        ensure((2..=256).contains(&p.head_dim) && p.head_dim.is_multiple_of(2), OpIssue::Params)?;
        ensure((4..=1 << 15).contains(&p.context) && p.context.is_multiple_of(4), OpIssue::Params)?;
        ensure(p.rotary <= p.head_dim && p.rotary.is_multiple_of(2), OpIssue::Params)?;
        ensure((params.rope == 0) == (p.rotary == 0), OpIssue::Params)?;
        ensure(p.sinks.is_none_or(|sinks| sinks < p.context), OpIssue::Params)?;
        let x = rows::wide(&step.input(0).ok_or(OpIssue::Operands)?)?;
        ensure(p.row_len() <= rows::MAX_LEN, OpIssue::Shape)?;
        ensure(x == [row_count, p.row_len()] && len == p.out_len(), OpIssue::Shape)?;
        ensure(check::input(step, 1, DataType::I32)?.len == 1, OpIssue::Shape)?;
        if params.rope > 0 {
            let turns = check::constant(step, 2, DataType::I16)?;
            ensure(turns.len == p.context.saturating_mul(p.rotary), OpIssue::Shape)?;
        }
        if params.centred > 0 {
            let centre = check::constant(step, centre_slot(params), DataType::I32)?;
            ensure(centre.len == p.kv_len(), OpIssue::Shape)?;
            let centre: &[i32] = step.constant(centre_slot(params)).ok_or(OpIssue::Storage)?;
            ensure(centre.iter().all(|c| c.unsigned_abs() < 1 << 30), OpIssue::Params)?;
        }
        let cache = p.context.saturating_mul(p.kv_heads).saturating_mul(p.head_dim);
        let types = [DataType::I8, DataType::I8, DataType::U8];
        let lens = [cache, cache, p.context.saturating_mul(p.scales())];
        for ((slot, data_type), len) in (state..).zip(types).zip(lens) {
            let tensor = check::input(step, slot, data_type)?;
            let Storage::Pool(pool) = tensor.storage else { return Err(OpIssue::Storage) };
            ensure(step.model.pool_kind(pool) == Some(1), OpIssue::Storage)?;
            ensure(tensor.len == len, OpIssue::Shape)?;
        }
        scratch_bytes(p.words(), p.halves())
    }

    fn run(frame: &mut Frame<'_, '_>, params: &Params) -> Result<(), RunError> {
        let (error, range) = (frame.inconsistent(), frame.index_out_of_range());
        let (_, bits) = rows::narrow(&frame.output(0)?).map_err(|_| error)?;
        let p = kernel(params, bits);
        let turns: &[i16] = if params.rope == 0 { &[] } else { frame.constant(2)? };
        let centre: &[i32] = if params.centred == 0 { &[] } else { frame.constant(centre_slot(params))? };
        let state = keys_slot(params);
        let spans = [
            Span::Input(0),
            Span::Input(1),
            Span::Input(state),
            Span::Input(state + 1),
            Span::Input(state + 2),
            Span::Output(0),
            Span::Scratch,
        ];
        let [x, position, keys, values, scales, out, scratch] = frame.spans(spans)?;
        let position = *typed::<i32>(error, position)?.first().ok_or(error)?;
        let mut cache = Cache { keys: typed_mut(error, keys)?, values: typed_mut(error, values)?, scales };
        let (words, halves) = split_scratch(scratch, p.words(), p.halves()).ok_or(error)?;
        let mut scratch = Scratch { words, halves };
        let operands = kernels::Operands { x: typed(error, x)?, turns, centre };
        arch::attention::attention(&p, position, &operands, &mut cache, typed_mut(error, out)?, &mut scratch).ok_or(range)
    }
}
