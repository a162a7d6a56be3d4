//! Attention and rotary positions in one node: ONNX Runtime's and those of ONNX's own opset 23.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array4, ArrayD, Axis, Ix4, IxDyn, concatenate, s};

use super::Inputs;
use super::linear::{matmul, softmax};
use crate::lm::onnx::graph::Node;
use crate::lm::onnx::value::{Array, Value, zip};

pub(super) fn eval(node: &Node, inputs: &Inputs<'_>) -> Result<Option<Vec<Value>>> {
    Ok(Some(match node.op.as_str() {
        "RotaryEmbedding" => vec![rotary(node, inputs)?],
        "GroupQueryAttention" => grouped(node, inputs)?,
        "MultiHeadAttention" => multi_head(node, inputs)?,
        "Attention" if node.standard => standard(node, inputs)?,
        _ => return Ok(None),
    }))
}

/// `(batch, heads, tokens, head)` of `(batch, tokens, heads · head)`, or of what has four axes.
fn heads(x: &Value, count: usize) -> Result<Array4<f64>> {
    let four = match *x.shape() {
        [batch, tokens, width] => {
            ensure!(count > 0 && width % count == 0, "{width} elements in {count} heads");
            let mut four = x.reshaped(&[batch, tokens, count, width / count])?.f();
            four.swap_axes(1, 2);
            four
        }
        [_, _, _, _] => x.f(),
        _ => bail!("a tensor of shape {:?}", x.shape()),
    };
    Ok(four.into_owned().into_dimensionality::<Ix4>()?)
}

/// `(batch, tokens, heads · head)` of `(batch, heads, tokens, head)`.
fn merged(x: Array4<f64>) -> Result<Value> {
    let (batch, count, tokens, head) = x.dim();
    let mut x: Array<f64> = x.into_dyn().into();
    x.swap_axes(1, 2);
    Value::F(x).reshaped(&[batch, tokens, count * head])
}

/// Turns `(batch, heads, tokens, head)` by the angles of positions `(batch or 1, tokens)`.
fn turn(x: &mut Array4<f64>, cos: &Array<f64>, sin: &Array<f64>, places: &Array<i64>, interleaved: bool) -> Result<()> {
    let pairs = *cos.shape().last().context("an empty cache of angles")?;
    ensure!(2 * pairs <= x.dim().3, "{pairs} angles for heads of {}", x.dim().3);
    for ((b, h, t), mut row) in ndarray::indices((x.dim().0, x.dim().1, x.dim().2)).into_iter().zip(x.rows_mut()) {
        let _ = h;
        let place = places[[b.min(places.shape()[0] - 1), t].as_slice()] as usize;
        for i in 0..pairs {
            let at = match cos.ndim() {
                2 => IxDyn(&[place, i]),
                _ => IxDyn(&[b.min(cos.shape()[0] - 1), t, i]),
            };
            let (c, s) = (*cos.get(&at).context("a position beyond the angles")?, sin[&at]);
            let (p, q) = if interleaved { (2 * i, 2 * i + 1) } else { (i, i + pairs) };
            let (u, v) = (row[p], row[q]);
            row[p] = u * c - v * s;
            row[q] = u * s + v * c;
        }
    }
    Ok(())
}

/// ONNX Runtime: x, positions, cos, sin; ONNX: x, cos, sin, positions.
fn rotary(node: &Node, inputs: &Inputs<'_>) -> Result<Value> {
    let x = inputs.get(0)?;
    let (cos, sin, positions) = match node.standard {
        true => (inputs.get(1)?.f(), inputs.get(2)?.f(), inputs.optional(3)),
        false => (inputs.get(2)?.f(), inputs.get(3)?.f(), Some(inputs.get(1)?)),
    };
    let head = match node.int("rotary_embedding_dim", 0) {
        0 => 2 * cos.shape().last().copied().unwrap_or(0),
        _ => 0,
    };
    let count = match (node.int("num_heads", 0) as usize, x.shape()) {
        (0, [_, _, width]) => width.checked_div(head).context("no num_heads")?,
        (count, _) => count,
    };
    let mut turned = heads(x, count)?;
    let (batch, _, tokens, _) = turned.dim();
    let places = match positions {
        Some(p) if p.len() == 1 && tokens > 1 => {
            let first = p.scalar()? as i64;
            Value::integers(&[1, tokens], (0..tokens as i64).map(|t| first + t).collect())?.i()
        }
        Some(p) => p.reshaped(&[p.len() / tokens, tokens])?.i(),
        None => Array::zeros(IxDyn(&[batch, tokens])),
    };
    turn(&mut turned, &cos, &sin, &places, node.int("interleaved", 0) != 0)?;
    if x.shape().len() == 3 { merged(turned) } else { Ok(Value::F(turned.into_dyn().into())) }
}

/// How scores become weights.
struct Scores {
    scale: f64,
    causal: bool,
    softcap: f64,
    /// Keys behind a token that it sees; 0: all.
    window: usize,
}

/// Attention of `(batch, heads, tokens, head)` over keys and values with as many or fewer heads; the last key is the
/// last token's.
fn attend(
    q: &Array4<f64>,
    k: &Array4<f64>,
    v: &Array4<f64>,
    bias: Option<&Value>,
    how: &Scores,
) -> Result<Array4<f64>> {
    let (_, count, tokens, _) = q.dim();
    let (_, kv, keys, _) = k.dim();
    ensure!(kv > 0 && count.is_multiple_of(kv), "{count} query heads for {kv} key heads");
    let repeated = |x: &Array4<f64>| {
        let places: Vec<usize> = (0..count).map(|h| h / (count / kv)).collect();
        Array::from(x.select(Axis(1), &places).into_dyn())
    };
    let mut turned = repeated(k);
    turned.swap_axes(2, 3);
    let mut scores = matmul(&q.clone().into_dyn().into(), &turned)?.mapv(|s| s * how.scale);
    if how.softcap > 0.0 {
        scores.mapv_inplace(|s| (s / how.softcap).tanh() * how.softcap);
    }
    let mut scores: Array<f64> = scores.into();
    if let Some(bias) = bias {
        scores = match bias {
            Value::F(bias) => zip(&scores, bias, |s, b| s + b)?,
            Value::I(kept) => zip(&scores, kept, |s, k| if *k != 0 { *s } else { f64::NEG_INFINITY })?,
        };
    }
    let mut scores: ArrayD<f64> = scores.into_owned();
    for (at, score) in scores.indexed_iter_mut() {
        let last = at[2] + keys - tokens;
        let unseen = (how.causal && at[3] > last) || (how.window > 0 && at[3] + how.window <= last);
        if unseen {
            *score = f64::NEG_INFINITY;
        }
    }
    let y = matmul(&softmax(scores, 3).into(), &repeated(v))?;
    Ok(y.into_owned().into_dimensionality::<Ix4>()?)
}

/// What was cached, and new rows.
fn extended(past: Option<&Value>, new: &Array4<f64>) -> Result<Array4<f64>> {
    match past {
        Some(past) => {
            let past = past.f().into_owned().into_dimensionality::<Ix4>()?;
            Ok(concatenate(Axis(2), &[past.view(), new.view()])?)
        }
        None => Ok(new.clone()),
    }
}

fn finish(y: Array4<f64>, k: Array4<f64>, v: Array4<f64>, flat: bool) -> Result<Vec<Value>> {
    let y = if flat { merged(y)? } else { Value::F(y.into_dyn().into()) };
    Ok(vec![y, Value::F(k.into_dyn().into()), Value::F(v.into_dyn().into())])
}

fn scale_of(node: &Node, head: usize) -> f64 {
    match node.float("scale", 0.0) {
        0.0 => 1.0 / (head as f64).sqrt(),
        scale => scale,
    }
}

/// Inputs: queries (or all), keys, values, past keys, past values, lengths, total, cos, sin, positions, bias.
fn grouped(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Value>> {
    let (count, kv) = (node.int("num_heads", 1) as usize, node.int("kv_num_heads", 1) as usize);
    let (mut q, mut k, v) = match (inputs.optional(1), inputs.optional(2)) {
        (Some(k), Some(v)) => (heads(inputs.get(0)?, count)?, heads(k, kv)?, heads(v, kv)?),
        _ => {
            let all = heads(inputs.get(0)?, count + 2 * kv)?;
            let part = |from: usize, to: usize| all.slice(s![.., from..to, .., ..]).to_owned();
            (part(0, count), part(count, count + kv), part(count + kv, count + 2 * kv))
        }
    };
    let before = inputs.optional(3).map_or(0, |past| past.shape().get(2).copied().unwrap_or(0));
    let tokens = q.dim().2;
    if node.int("do_rotary", 0) != 0 {
        let (cos, sin) = (inputs.get(7)?.f(), inputs.get(8)?.f());
        let places = match inputs.optional(9) {
            Some(places) => places.reshaped(&[places.len() / tokens, tokens])?.i(),
            None => Value::integers(&[1, tokens], (0..tokens).map(|t| (before + t) as i64).collect())?.i(),
        };
        let interleaved = node.int("rotary_interleaved", 0) != 0;
        turn(&mut q, &cos, &sin, &places, interleaved)?;
        turn(&mut k, &cos, &sin, &places, interleaved)?;
    }
    let (k, v) = (extended(inputs.optional(3), &k)?, extended(inputs.optional(4), &v)?);
    let how = Scores {
        scale: scale_of(node, q.dim().3),
        causal: true,
        softcap: node.float("softcap", 0.0),
        window: node.int("local_window_size", -1).max(0) as usize,
    };
    finish(attend(&q, &k, &v, inputs.optional(10), &how)?, k, v, true)
}

/// Inputs: queries, keys, values, bias, mask of keys, bias of scores, past keys, past values.
fn multi_head(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Value>> {
    ensure!(inputs.optional(3).is_none(), "with a bias of its own");
    let count = node.int("num_heads", 1) as usize;
    let parts = [0, 1, 2].map(|i| inputs.get(i).and_then(|x| heads(x, count)));
    let [q, k, v] = parts;
    let (q, k, v) = (q?, extended(inputs.optional(6), &k?)?, extended(inputs.optional(7), &v?)?);
    if let Some(mask) = inputs.optional(4) {
        ensure!(mask.list().iter().all(|&m| m != 0), "with a mask of keys");
    }
    let how = Scores {
        scale: scale_of(node, q.dim().3),
        causal: node.int("unidirectional", 0) != 0,
        softcap: 0.0,
        window: 0,
    };
    finish(attend(&q, &k, &v, inputs.optional(5), &how)?, k, v, true)
}

/// Inputs: queries, keys, values, mask, past keys, past values.
fn standard(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Value>> {
    let query = inputs.get(0)?;
    let q = heads(query, node.int("q_num_heads", 1) as usize)?;
    let kv = node.int("kv_num_heads", 1) as usize;
    let k = extended(inputs.optional(4), &heads(inputs.get(1)?, kv)?)?;
    let v = extended(inputs.optional(5), &heads(inputs.get(2)?, kv)?)?;
    let how = Scores {
        scale: scale_of(node, q.dim().3),
        causal: node.int("is_causal", 0) != 0,
        softcap: node.float("softcap", 0.0),
        window: 0,
    };
    finish(attend(&q, &k, &v, inputs.optional(3), &how)?, k, v, query.shape().len() == 3)
}
