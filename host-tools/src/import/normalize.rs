//! Normalisations by mean and variance, or by the mean of squares.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};

use super::opaque::{Call, Opaque, Operand, shape};
use super::typed::Importer;
use crate::ir::{Graph, ValueId};
use crate::ops::{
    add::Add, expr::Expr, function::Function, mul::Mul, normalize::Normalize, reduce_mean::ReduceMean,
    reduce_sum::ReduceSum, sub::Sub, table::Table,
};

impl Importer<'_> {
    /// `op(x)·scale + bias`; both have the last axes of `x`. Where they are constants, they are part of the operator.
    fn normalized(
        &mut self,
        name: &str,
        op: Normalize,
        x: ValueId,
        scale: Option<ValueId>,
        bias: Option<ValueId>,
    ) -> Result<ValueId> {
        let constant = |graph: &Graph, value: Option<ValueId>| value.and_then(|v| graph.data(v)).cloned();
        let (fixed_scale, fixed_bias) = (constant(&self.graph, scale), constant(&self.graph, bias));
        let computed = (scale.is_some() && fixed_scale.is_none()) || (bias.is_some() && fixed_bias.is_none());
        if computed {
            let mut y = self.push(&format!("{name}.normalized"), op, &[x])?;
            if let Some(scale) = scale {
                y = self.push(&format!("{name}.scaled"), Mul { clamp: None }, &[y, scale])?;
            }
            return match bias {
                Some(bias) => self.push(name, Add { clamp: None }, &[y, bias]),
                None => Ok(y),
            };
        }
        let mut operands = vec![x];
        if let Some(like) = fixed_scale.as_ref().or(fixed_bias.as_ref()) {
            let ones = || self.graph.constant(format!("{name}.scale"), ArrayD::ones(like.raw_dim()));
            operands.push(scale.unwrap_or_else(ones));
        }
        operands.extend(bias);
        self.push(name, op, &operands)
    }

    /// Normalizes `(N, C, …)` over the axes after the channels, `groups` groups of channels each on its own; scale and
    /// bias have a value a channel.
    fn normalize_channels(&mut self, call: &Call<'_>, groups: usize) -> Result<ValueId> {
        let (name, epsilon) = (call.name(), call.op.float("epsilon", 1e-5)?);
        let x = call.value(self, 0)?;
        let dims = self.dims(x);
        ensure!(dims.len() >= 2, "a tensor without channels");
        let (batch, channels, inner) = (dims[0], dims[1], dims[2..].iter().product::<usize>());
        ensure!(
            groups > 0 && channels.is_multiple_of(groups),
            "{channels} channels do not divide into {groups} groups"
        );
        let shape = [groups, channels / groups];
        let mut of_channels = |slot: usize| -> Result<ValueId> {
            let given = call.value(self, slot)?;
            let len = self.dims(given).iter().product::<usize>();
            if let Some(data) = self.graph.data(given).filter(|_| len == groups) {
                // Before operator set 21 GroupNormalization has a value a group.
                let flat: Vec<f32> = data.iter().copied().collect();
                let whole = ArrayD::from_shape_fn(IxDyn(&shape), |at| flat[at[0]]);
                return Ok(self.graph.constant(format!("{name}.{slot}"), whole));
            }
            ensure!(len == channels, "{len} values for {channels} channels");
            match self.graph.data(given) {
                Some(data) => {
                    let data = data.as_ref().clone().into_shape_with_order(IxDyn(&shape))?;
                    Ok(self.graph.constant(format!("{name}.{slot}"), data))
                }
                None => self.reshape(&format!("{name}.{slot}"), given, &shape),
            }
        };
        let (scale, bias) = (of_channels(1)?, of_channels(2)?);
        // (N, C, HW) → (N, HW, groups, C of a group)
        let flat = self.reshape(&format!("{name}.flat"), x, &[batch, channels, inner])?;
        let last = self.transpose(&format!("{name}.channels_last"), flat, &[0, 2, 1])?;
        let split = self.reshape(&format!("{name}.groups"), last, &[batch, inner, groups, channels / groups])?;
        let op = Normalize { axes: vec![1, 3], epsilon, centered: true };
        let y = self.normalized(name, op, split, Some(scale), Some(bias))?;
        let y = self.reshape(&format!("{name}.ungrouped"), y, &[batch, inner, channels])?;
        let y = self.transpose(&format!("{name}.channels_first"), y, &[0, 2, 1])?;
        self.reshape(&format!("{name}.shape"), y, &dims)
    }
}

pub(super) fn instance(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let channels = shape(&call.operands(importer)?, 0)?.get(1).copied().context("a tensor without channels")?;
    Ok(vec![importer.normalize_channels(call, channels)?])
}

pub(super) fn group(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let groups = usize::try_from(call.op.int("num_groups", 0)?)?;
    Ok(vec![importer.normalize_channels(call, groups)?])
}

/// Shapes of LayerNormalization: the result, and the two statistics of training.
pub(super) fn layer_shapes(op: &Opaque, operands: &[Option<Operand>]) -> Result<Vec<Vec<usize>>> {
    let x = shape(operands, 0)?;
    let axis = op.axis("axis", -1, x.len())?;
    let mut statistics = x.to_vec();
    statistics[axis..].fill(1);
    Ok(vec![x.to_vec(), statistics.clone(), statistics])
}

/// Over the last axes, from `axis` on.
fn over_last(importer: &mut Importer<'_>, call: &Call<'_>, centered: bool) -> Result<Vec<ValueId>> {
    let (x, name) = (call.value(importer, 0)?, call.name());
    let dims = importer.dims(x);
    let axis = call.op.axis("axis", -1, dims.len())?;
    let axes: Vec<usize> = (axis..dims.len()).collect();
    let mut operand = |slot: usize| -> Result<Option<ValueId>> {
        if !call.has(slot) {
            return Ok(None);
        }
        let given = call.value(importer, slot)?;
        let Some(data) = importer.graph.data(given) else { return Ok(Some(given)) };
        let whole =
            data.broadcast(IxDyn(&dims[axis..])).context("a scale of another shape than the normalized axes")?;
        let whole = whole.to_owned();
        Ok(Some(importer.graph.constant(format!("{name}.{slot}"), whole)))
    };
    let (scale, bias) = (operand(1)?, operand(2)?);
    let epsilon = call.op.float("epsilon", 1e-5)?;
    let mut outputs =
        vec![importer.normalized(name, Normalize { axes: axes.clone(), epsilon, centered }, x, scale, bias)?];
    if call.op.has_output(1) || call.op.has_output(2) {
        // The statistics of training: the mean, and the inverse of the standard deviation.
        let mean = importer.push(&format!("{name}.mean"), ReduceMean { axes: axes.clone() }, &[x])?;
        let centered = importer.push(&format!("{name}.centered"), Sub { clamp: None }, &[x, mean])?;
        let squares = Table { function: Function::Square };
        let squares = importer.push(&format!("{name}.squares"), squares, &[centered])?;
        let variance = importer.push(&format!("{name}.variance"), ReduceMean { axes }, &[squares])?;
        let inverse = Expr::Apply(Function::Rsqrt, Box::new(Expr::X.plus(epsilon)));
        let inverse = Table { function: Function::from_expr(inverse) };
        outputs.extend([mean, importer.push(&format!("{name}.deviation"), inverse, &[variance])?]);
    }
    Ok(outputs)
}

pub(super) fn layer(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    over_last(importer, call, true)
}

pub(super) fn rms(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    over_last(importer, call, false)
}

/// `(x − mean) / (standard deviation + 10⁻⁹)`; a variance below that has no int8 form anyway.
pub(super) fn mean_variance(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let x = call.value(importer, 0)?;
    let rank = importer.dims(x).len() as i64;
    let axes = call.op.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    let wrapped = axes.iter().map(|&a| usize::try_from(if a < 0 { a + rank } else { a }));
    let mut axes = wrapped.collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    let op = Normalize { axes, epsilon: 1e-18, centered: true };
    Ok(vec![importer.normalized(call.name(), op, x, None, None)?])
}

/// Division by the sum of absolute values, or by the root of the sum of squares, along an axis.
pub(super) fn lp(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let x = call.value(importer, 0)?;
    let dims = importer.dims(x);
    let axis = call.op.axis("axis", -1, dims.len())?;
    let name = call.name();
    match call.op.int("p", 2)? {
        1 => {
            let table = |function| Table { function };
            let size = importer.push(&format!("{name}.abs"), table(Function::Abs), &[x])?;
            let sum = importer.push(&format!("{name}.sum"), ReduceSum { axes: vec![axis] }, &[size])?;
            let factor = importer.push(&format!("{name}.recip"), table(Function::Recip), &[sum])?;
            Ok(vec![importer.push(name, Mul { clamp: None }, &[x, factor])?])
        }
        2 => {
            let scale = (dims[axis] as f32).sqrt().recip();
            let scale = ArrayD::from_elem(IxDyn(&[*dims.last().context("a scalar")?]), scale);
            let scale = importer.graph.constant(format!("{name}.scale"), scale);
            let op = Normalize { axes: vec![axis], epsilon: 0.0, centered: false };
            Ok(vec![importer.normalized(name, op, x, Some(scale), None)?])
        }
        p => bail!("the norm of order {p} is not supported: only 1 and 2"),
    }
}
