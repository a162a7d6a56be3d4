//! Operators that move elements, and those of shapes.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Axis, IxDyn, Slice, concatenate};

use super::{Inputs, axis};
use crate::lm::onnx::graph::Node;
use crate::lm::onnx::value::{Array, Value, broadcast, broadcast_shape, map_value};

pub(super) fn eval(node: &Node, inputs: &Inputs<'_>) -> Result<Option<Vec<Value>>> {
    if node.op == "Split" {
        return split(node, inputs).map(Some);
    }
    Ok(one(node, inputs)?.map(|value| vec![value]))
}

fn one(node: &Node, inputs: &Inputs<'_>) -> Result<Option<Value>> {
    let x = match node.op.as_str() {
        "Range" | "ConstantOfShape" => return sequence(node, inputs).map(Some),
        "Concat" => return concat(node, inputs).map(Some),
        _ => match inputs.optional(0) {
            Some(x) => x,
            None => return Ok(None),
        },
    };
    let rank = x.shape().len();
    Ok(Some(match node.op.as_str() {
        "Shape" => {
            let bound =
                |name: &str, default: i64| axis(node.int(name, default).clamp(-(rank as i64), rank as i64), rank);
            let (from, to) = (bound("start", 0)?, bound("end", rank as i64)?);
            let dims: Vec<i64> = x.shape().get(from..to).unwrap_or_default().iter().map(|&d| d as i64).collect();
            Value::integers(&[dims.len()], dims)?
        }
        "Size" => Value::integers(&[], vec![x.len() as i64])?,
        "Reshape" => {
            let wanted = inputs.get(1)?.list();
            let dim = |(i, &d): (usize, &i64)| -> Result<i64> {
                match d {
                    0 if node.int("allowzero", 0) == 0 => {
                        Ok(*x.shape().get(i).context("a shape of 0 beyond the input's axes")? as i64)
                    }
                    d => Ok(d),
                }
            };
            let dims = wanted.iter().enumerate().map(dim).collect::<Result<Vec<_>>>()?;
            let known: i64 = dims.iter().filter(|&&d| d >= 0).product();
            let open = if known == 0 { 0 } else { x.len() as i64 / known };
            let dims: Vec<usize> = dims.iter().map(|&d| if d < 0 { open } else { d } as usize).collect();
            x.reshaped(&dims)?
        }
        "Flatten" => {
            let at = axis(node.int("axis", 1), rank)?;
            let (a, b) = x.shape().split_at(at);
            x.reshaped(&[a.iter().product(), b.iter().product()])?
        }
        "Transpose" => {
            let perm = node.ints("perm").unwrap_or_else(|| (0..rank as i64).rev().collect());
            ensure!(perm.len() == rank, "perm {perm:?} of {rank} axes");
            let perm = perm.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
            map_value!(x, a => a.clone().permuted_axes(IxDyn(&perm)))
        }
        "Squeeze" | "Unsqueeze" => {
            let axes = node.ints("axes").or_else(|| inputs.optional(1).map(Value::list));
            x.reshaped(&squeezed(node.op == "Squeeze", x.shape(), axes)?)?
        }
        "Slice" => slice(node, inputs, x)?,
        "Gather" => {
            let along = axis(node.int("axis", 0), rank)?;
            let indices = inputs.get(1)?;
            let len = *x.shape().get(along).context("a scalar")? as i64;
            let place = |i: i64| {
                let i = if i < 0 { i + len } else { i };
                usize::try_from(i).ok().filter(|&i| (i as i64) < len).with_context(|| format!("index {i} of {len}"))
            };
            let places = indices.list().into_iter().map(place).collect::<Result<Vec<_>>>()?;
            let shape = [&x.shape()[..along], indices.shape(), &x.shape()[along + 1..]].concat();
            map_value!(x, a => a.select(Axis(along), &places).into()).reshaped(&shape)?
        }
        "GatherElements" => {
            let along = axis(node.int("axis", 0), rank)?;
            let indices = inputs.get(1)?.i();
            let len = x.shape()[along] as i64;
            let pick = |at: IxDyn| {
                let i = indices[&at];
                let mut at = at;
                at[along] = if i < 0 { i + len } else { i } as usize;
                at
            };
            ensure!(indices.iter().all(|&i| (-len..len).contains(&i)), "an index is out of range");
            map_value!(x, a => ArrayD::from_shape_fn(indices.raw_dim(), |at| a[pick(at)]).into())
        }
        "GatherND" => gather_nd(node, inputs, x)?,
        "Expand" => {
            let wanted: Vec<usize> = inputs.get(1)?.list().iter().map(|&d| d as usize).collect();
            let shape = broadcast_shape(x.shape(), &wanted)?;
            map_value!(x, a => broadcast(a, &shape)?.to_owned().into())
        }
        "Tile" => {
            let repeats = inputs.get(1)?.list();
            ensure!(repeats.len() == rank, "{} repeats of {rank} axes", repeats.len());
            let shape: Vec<usize> = x.shape().iter().zip(&repeats).map(|(&d, &r)| d * r.max(0) as usize).collect();
            let source = |at: IxDyn| {
                let mut at = at;
                (0..rank).for_each(|i| at[i] %= x.shape()[i]);
                at
            };
            map_value!(x, a => ArrayD::from_shape_fn(IxDyn(&shape), |at| a[source(at)]).into())
        }
        "Trilu" => {
            let k = inputs.optional(1).map_or(Ok(0.0), Value::scalar)? as i64;
            let upper = node.int("upper", 1) != 0;
            ensure!(rank >= 2, "of {rank} axes");
            let kept = |at: &IxDyn| {
                let (row, column) = (at[rank - 2] as i64, at[rank - 1] as i64);
                if upper { column >= row + k } else { column <= row + k }
            };
            map_value!(x, a => {
                ArrayD::from_shape_fn(a.raw_dim(), |at| if kept(&at) { a[&at] } else { Default::default() }).into()
            })
        }
        "ScatterND" => scatter(node, inputs, x)?,
        "ArgMax" => {
            let along = axis(node.int("axis", 0), rank)?;
            let best = x.f().map_axis(Axis(along), |lane| {
                let mut best = 0;
                for (i, v) in lane.iter().enumerate() {
                    best = if *v > lane[best] { i } else { best };
                }
                best as i64
            });
            let keep = node.int("keepdims", 1) != 0;
            Value::I(if keep { best.insert_axis(Axis(along)) } else { best }.into())
        }
        "NonZero" => {
            let x = x.f();
            let places: Vec<IxDyn> = x.indexed_iter().filter(|(_, v)| **v != 0.0).map(|(at, _)| at).collect();
            let rows = (0..rank).flat_map(|i| places.iter().map(move |at| at[i] as i64)).collect();
            Value::integers(&[rank, places.len()], rows)?
        }
        _ => return Ok(None),
    }))
}

fn squeezed(squeeze: bool, shape: &[usize], axes: Option<Vec<i64>>) -> Result<Vec<usize>> {
    if squeeze {
        let drop: Vec<usize> = match axes {
            Some(axes) => axes.into_iter().map(|a| axis(a, shape.len())).collect::<Result<_>>()?,
            None => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
        };
        return Ok((0..shape.len()).filter(|i| !drop.contains(i)).map(|i| shape[i]).collect());
    }
    let axes = axes.context("without axes")?;
    let rank = shape.len() + axes.len();
    let ones = axes.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
    let mut rest = shape.iter();
    Ok((0..rank).map(|i| if ones.contains(&i) { 1 } else { rest.next().copied().unwrap_or(1) }).collect())
}

fn slice(node: &Node, inputs: &Inputs<'_>, x: &Value) -> Result<Value> {
    let list = |i: usize, name: &str| inputs.optional(i).map(Value::list).or_else(|| node.ints(name));
    let (starts, ends) = (list(1, "starts").context("without starts")?, list(2, "ends").context("without ends")?);
    let axes = list(3, "axes").unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
    ensure!(
        starts.len() == ends.len() && starts.len() == axes.len() && starts.len() == steps.len(),
        "of unequal lists"
    );
    let mut x = x.clone();
    for (((start, end), along), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let along = axis(along, x.shape().len())?;
        let len = *x.shape().get(along).context("no such axis")? as i64;
        let place = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
        let indices: Vec<usize> = if step > 0 {
            let (start, end) = (place(start).clamp(0, len), place(end).clamp(0, len));
            (start..end).step_by(step as usize).map(|i| i as usize).collect()
        } else {
            ensure!(step < 0, "a step of 0");
            let (start, end) = (place(start).clamp(-1, len - 1), place(end).clamp(-1, len - 1));
            (0..).map(|i| start + i * step).take_while(|&i| i > end).map(|i| i as usize).collect()
        };
        x = map_value!(&x, a => a.select(Axis(along), &indices).into());
    }
    Ok(x)
}

fn split(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Value>> {
    let x = inputs.get(0)?;
    let along = axis(node.int("axis", 0), x.shape().len())?;
    let len = *x.shape().get(along).context("no such axis")?;
    let parts = node.outputs.len().max(1);
    let sizes = match inputs.optional(1).map(Value::list).or_else(|| node.ints("split")) {
        Some(sizes) => sizes.iter().map(|&s| s as usize).collect(),
        None => {
            let size = len.div_ceil(parts);
            (0..parts).map(|i| size.min(len.saturating_sub(i * size))).collect::<Vec<_>>()
        }
    };
    ensure!(sizes.iter().sum::<usize>() == len, "parts {sizes:?} of {len}");
    let mut at = 0;
    let part = |&size: &usize| {
        let range = Slice::from(at..at + size);
        at += size;
        map_value!(x, a => a.slice_axis(Axis(along), range).to_owned().into())
    };
    Ok(sizes.iter().map(part).collect())
}

fn concat(node: &Node, inputs: &Inputs<'_>) -> Result<Value> {
    let values = (0..inputs.len()).map(|i| inputs.get(i)).collect::<Result<Vec<_>>>()?;
    let along = axis(node.int("axis", 0), values.first().context("of nothing")?.shape().len())?;
    fn joined<T: Clone>(arrays: &[Array<T>], along: usize) -> Result<Array<T>> {
        let views: Vec<_> = arrays.iter().map(|a| a.view()).collect();
        Ok(concatenate(Axis(along), &views)?.into())
    }
    Ok(match values.iter().all(|v| !v.is_float()) {
        true => Value::I(joined(&values.iter().map(|v| v.i()).collect::<Vec<_>>(), along)?),
        false => Value::F(joined(&values.iter().map(|v| v.f()).collect::<Vec<_>>(), along)?),
    })
}

fn sequence(node: &Node, inputs: &Inputs<'_>) -> Result<Value> {
    if node.op == "Range" {
        let [start, limit, step] = [0, 1, 2].map(|i| inputs.get(i));
        let (start, limit, step) = (start?, limit?, step?);
        let count = ((limit.scalar()? - start.scalar()?) / step.scalar()?).ceil().max(0.0) as usize;
        ensure!(count < 1 << 24, "of {count} elements");
        let (from, by) = (start.scalar()?, step.scalar()?);
        let values = (0..count).map(|i| from + i as f64 * by);
        return match start.is_float() {
            true => Value::floats(&[count], values.collect()),
            false => Value::integers(&[count], values.map(|v| v as i64).collect()),
        };
    }
    let shape: Vec<usize> = inputs.get(0)?.list().iter().map(|&d| d as usize).collect();
    let fill = node.attribute("value").and_then(|a| a.t.as_ref());
    let Some(fill) = fill else {
        return Ok(Value::F(ArrayD::zeros(IxDyn(&shape)).into()));
    };
    let fill = tract_onnx::tensor::load_tensor(&tract_onnx::data_resolver::MmapDataResolver, fill, None)?;
    Ok(match Value::of(&fill)? {
        Value::F(a) => Value::F(ArrayD::from_elem(IxDyn(&shape), a.first().copied().unwrap_or(0.0)).into()),
        Value::I(a) => Value::I(ArrayD::from_elem(IxDyn(&shape), a.first().copied().unwrap_or(0)).into()),
    })
}

/// Elements or slices at places that the last axis of the indices spells.
fn gather_nd(node: &Node, inputs: &Inputs<'_>, x: &Value) -> Result<Value> {
    ensure!(node.int("batch_dims", 0) == 0, "with batch_dims");
    let indices = inputs.get(1)?;
    let (&depth, outer) = indices.shape().split_last().context("indices without an axis")?;
    let (axes, tail) = x.shape().split_at_checked(depth).with_context(|| format!("indices of {depth} axes"))?;
    let place = |row: &[i64]| -> Result<usize> {
        row.iter().zip(axes).try_fold(0, |at, (&i, &len)| {
            let i = if i < 0 { i + len as i64 } else { i };
            ensure!((0..len as i64).contains(&i), "index {i} of {len}");
            Ok(at * len + i as usize)
        })
    };
    let places = indices.list().chunks(depth.max(1)).map(place).collect::<Result<Vec<_>>>()?;
    let flat = x.reshaped(&[axes.iter().product(), tail.iter().product()])?;
    map_value!(flat, a => a.select(Axis(0), &places).into()).reshaped(&[outer, tail].concat())
}

fn scatter(node: &Node, inputs: &Inputs<'_>, x: &Value) -> Result<Value> {
    let reduction = node.text("reduction").unwrap_or_default();
    if !matches!(reduction.as_str(), "" | "none") {
        bail!("with reduction {reduction}");
    }
    let (indices, updates) = (inputs.get(1)?, inputs.get(2)?);
    let depth = *indices.shape().last().context("indices without an axis")?;
    ensure!(depth <= x.shape().len(), "indices of {depth} axes");
    let rows = indices.len() / depth.max(1);
    let tail = &x.shape()[depth..];
    let size: usize = tail.iter().product();
    let (list, shape) = (indices.list(), x.shape().to_vec());
    fn put<T: Clone>(
        x: &Array<T>,
        updates: &Array<T>,
        rows: usize,
        size: usize,
        place: &dyn Fn(usize) -> Result<usize>,
    ) -> Result<Array<T>> {
        let mut flat: Vec<T> = x.iter().cloned().collect();
        let updates: Vec<T> = updates.iter().cloned().collect();
        ensure!(updates.len() == rows * size, "updates do not fit");
        for row in 0..rows {
            let at = place(row)? * size;
            flat[at..at + size].clone_from_slice(&updates[row * size..(row + 1) * size]);
        }
        Ok(ArrayD::from_shape_vec(x.raw_dim(), flat)?.into())
    }
    let place = |row: usize| -> Result<usize> {
        list[row * depth..(row + 1) * depth].iter().zip(&shape).try_fold(0, |at, (&i, &len)| {
            let i = if i < 0 { i + len as i64 } else { i };
            ensure!((0..len as i64).contains(&i), "index {i} of {len}");
            Ok(at * len + i as usize)
        })
    };
    Ok(match (x, updates) {
        (Value::I(x), Value::I(u)) => Value::I(put(x, u, rows, size, &place)?),
        (x, u) => Value::F(put(&x.f(), &u.f(), rows, size, &place)?),
    })
}
