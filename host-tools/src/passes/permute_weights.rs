//! A flattened transpose before a fully connected layer becomes an order of the layer's weights.

use anyhow::Result;
use ndarray::{ArrayD, Axis, IxDyn, concatenate};

use super::sweep;
use crate::ir::{Graph, ValueId, places};
use crate::ops::{Op, reshape::Reshape, transpose::Transpose};

/// Takes transposes that are flattened into a row of a fully connected layer, alone or as part of a concatenation.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    sweep(graph, |graph, at| {
        if !matches!(graph.nodes[at].op, Op::FullyConnected(_)) {
            return Ok(false);
        }
        let (x, w) = (graph.nodes[at].inputs[0], graph.nodes[at].inputs[1]);
        if graph.data(w).is_none() {
            return Ok(false);
        }
        let columns = places(&graph.value(w).shape);
        let Some(producer) = graph.producer(x) else { return Ok(false) };
        let node = graph.nodes[producer].clone();
        let parts = match &node.op {
            Op::Concat(op) if op.axis + 1 == graph.value(x).shape.len() => node.inputs.clone(),
            _ => vec![x],
        };
        let mut blocks = Vec::with_capacity(parts.len());
        let mut sources = parts.clone();
        let mut start = 0;
        for (part, source) in parts.iter().zip(&mut sources) {
            let len = graph.value(*part).shape.last().copied().unwrap_or(1);
            let columns = columns.slice_axis(Axis(1), (start..start + len).into()).to_owned();
            start += len;
            blocks.push(match flattened(graph, *part) {
                Some((input, row)) => {
                    *source = input;
                    reorder(columns, &row)?
                }
                None => columns,
            });
        }
        if sources == parts {
            return Ok(false);
        }
        let mut inserted = 0;
        for (part, source) in parts.iter().zip(&mut sources).filter(|(part, source)| part != source) {
            let (name, shape) = (graph.value(*part).name.clone(), graph.value(*part).shape.clone());
            *source = graph.insert(at + inserted, &name, Reshape { shape }.into(), &[*source])?;
            inserted += 1;
        }
        let row = match &node.op {
            Op::Concat(_) if parts != [x] => {
                inserted += 1;
                graph.insert(at + inserted - 1, &node.name, node.op.clone(), &sources)?
            }
            _ => sources[0],
        };
        let views: Vec<_> = blocks.iter().map(|b| b.view()).collect();
        let weights = graph.rearranged(w, |_| Ok(concatenate(Axis(1), &views)?))?;
        graph.nodes[at + inserted].inputs[0] = row;
        graph.nodes[at + inserted].inputs[1] = weights;
        Ok(true)
    })
}

/// The axes of a row: their lengths in the order of the row, and the transpose that brought them into it.
struct Row {
    dims: Vec<usize>,
    transpose: Transpose,
}

/// If `value` is a transpose whose last axes are flattened to rows and whose other axes stay: what it is a transpose
/// of, and how a row is ordered.
fn flattened(graph: &Graph, value: ValueId) -> Option<(ValueId, Row)> {
    let reshape = &graph.nodes[graph.producer(value)?];
    let transpose = &graph.nodes[graph.producer(reshape.inputs[0])?];
    let (Op::Reshape(_), Op::Transpose(op)) = (&reshape.op, &transpose.op) else { return None };
    let depth = *graph.value(value).shape.last()?;
    let dims = &graph.value(reshape.inputs[0]).shape;
    // The trailing axes that make up a row.
    let first = (0..dims.len()).rev().find(|&k| dims[k..].iter().product::<usize>() == depth)?;
    let rank = dims.len();
    let stays = (0..first).all(|k| dims[k] == 1 || op.perm[k] == k);
    // Axes of length 1 among those that stay may lie anywhere: only the order within the row matters.
    let long: Vec<usize> = (first..rank).filter(|&k| dims[k] != 1).collect();
    let within = long.iter().all(|&k| (0..first).all(|s| dims[s] == 1 || op.perm[k] > op.perm[s]));
    if !stays || !within {
        return None;
    }
    let mut places: Vec<usize> = long.iter().map(|&k| op.perm[k]).collect();
    places.sort_unstable();
    let perm = long.iter().filter_map(|&k| places.iter().position(|&p| p == op.perm[k])).collect();
    let row = Row { dims: long.iter().map(|&k| dims[k]).collect(), transpose: Transpose { perm } };
    Some((transpose.inputs[0], row))
}

/// Columns in the order before the transpose.
fn reorder(columns: ArrayD<usize>, row: &Row) -> Result<ArrayD<usize>> {
    let shape = columns.shape().to_vec();
    let split: Vec<usize> = shape[..1].iter().chain(&row.dims).copied().collect();
    let perm: Vec<usize> = [0].into_iter().chain(row.transpose.inverse().perm.iter().map(|p| p + 1)).collect();
    let columns = columns.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&split))?;
    Ok(columns.permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned().into_shape_with_order(IxDyn(&shape))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{clamp::Clamp, concat::Concat, fully_connected::FullyConnected, max_pool2d::MaxPool2d};
    use crate::passes::testing::Harness;

    fn nchw_image() -> (Harness, ValueId) {
        let mut h = Harness::new(&[2, 4, 5, 3]);
        let pool = MaxPool2d { kernel: [1, 2], stride: [1, 1], pad: [0; 4] };
        let y = h.push(pool, &[h.x]);
        let y = h.push(Transpose { perm: vec![0, 3, 1, 2] }, &[y]);
        (h, y)
    }

    #[test]
    fn flatten_and_fully_connected() {
        let (mut h, y) = nchw_image();
        let y = h.push(Reshape { shape: vec![2, 48] }, &[y]);
        let y = h.push(Clamp::RELU, &[y]);
        let w = h.weight(&[7, 48]);
        let y = h.push(FullyConnected { clamp: None }, &[y, w]);
        assert_eq!(h.check(y).1, ["MaxPool2d", "Clamp", "Reshape", "FullyConnected"]);
    }

    #[test]
    fn flattened_parts_of_a_concatenation() {
        let (mut h, y) = nchw_image();
        let flat = h.push(Reshape { shape: vec![2, 48] }, &[y]);
        let other = h.push(Reshape { shape: vec![2, 60] }, &[h.x]);
        let y = h.push(Concat { axis: 1 }, &[other, flat]);
        let w = h.weight(&[7, 108]);
        let y = h.push(FullyConnected { clamp: None }, &[y, w]);
        assert!(!h.check(y).1.contains(&"Transpose"));
    }
}
