//! Opaque operators that carry a quantization through tract.
//!
//! A mark has the shape of its operand and computes nothing that tract knows of, so nothing is folded, moved or fused
//! across it; the walk over the typed graph meets it again.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use teff::format::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, attribute_proto::AttributeType};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity, check_output_arity, expand,
};

use crate::import::typed::{Importer, Wire};
use crate::ir::Integers;
use crate::ops::requantize::Requantize;
use crate::quantize::QuantParams;

/// The name of the operator in the rewritten ONNX graph.
pub(crate) const MARK: &str = "TeffMark";
const INDEX: &str = "index";

/// The element type of quantized tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    I8,
    U8,
    I16,
    U16,
    I32,
}

impl Stored {
    fn range(self) -> Range<f64> {
        match self {
            Stored::I8 => -128.0..127.0,
            Stored::U8 => 0.0..255.0,
            Stored::I16 => -32768.0..32767.0,
            Stored::U16 => 0.0..65535.0,
            Stored::I32 => f64::from(i32::MIN)..f64::from(i32::MAX),
        }
    }
}

/// `real = scale · (q − zero_point)`, for a whole tensor or for each place along an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    /// One scale, or one for each place along the axis.
    pub(crate) scale: Vec<f32>,
    /// One zero point, or one for each place along the axis.
    pub(crate) zero_point: Vec<i32>,
    /// The axis, from behind if negative.
    pub(crate) axis: i64,
    /// The type of `q`.
    pub(crate) stored: Stored,
}

impl Grid {
    /// As the device holds it: uint8 is int8 with a zero point that is 128 smaller; types of 16 bits are int16, whose zero
    /// point is 0.
    pub(crate) fn params(&self) -> Result<QuantParams> {
        let (&[scale], &[zero_point]) = (self.scale.as_slice(), self.zero_point.as_slice()) else {
            bail!("activations quantized by channel are not supported: quantize them with one scale a tensor");
        };
        let zero_point = match self.stored {
            Stored::I8 => zero_point,
            Stored::U8 => zero_point - 128,
            Stored::I16 | Stored::U16 => {
                let middle = if self.stored == Stored::I16 { 0 } else { 1 << 15 };
                let advice = "quantize them symmetrically (ActivationSymmetric), or to int8";
                ensure!(zero_point == middle, "activations of 16 bits have the zero point {zero_point}: {advice}");
                return Ok(QuantParams { data_type: DataType::I16, scale, zero_point: 0 });
            }
            other => bail!("activations of type {other:?} are not supported: quantize them to int8 or uint8"),
        };
        ensure!((-128..128).contains(&zero_point), "the zero point is outside the range of its type");
        Ok(QuantParams::int8(scale, zero_point))
    }

    /// Scale and zero point of each place in a tensor of the shape `shape`.
    fn spread(&self, shape: &[usize]) -> Result<(ArrayD<f32>, ArrayD<i32>)> {
        let rank = shape.len();
        let axis = if self.axis < 0 { self.axis + rank as i64 } else { self.axis };
        fn along<T: Copy>(values: &[T], axis: i64, shape: &[usize]) -> Result<ArrayD<T>> {
            if let &[one] = values {
                return Ok(ArrayD::from_elem(IxDyn(shape), one));
            }
            let axis = usize::try_from(axis).ok().filter(|&a| a < shape.len()).context("no such axis")?;
            ensure!(values.len() == shape[axis], "{} scales for {} channels", values.len(), shape[axis]);
            Ok(ArrayD::from_shape_fn(IxDyn(shape), |at| values[at[axis]]))
        }
        Ok((along(&self.scale, axis, shape)?, along(&self.zero_point, axis, shape)?))
    }

    /// The constant `tensor` of stored integers.
    fn dequantize(&self, tensor: &Tensor) -> Result<Integers> {
        let stored = tensor.cast_to::<i32>()?;
        let stored = stored.to_plain_array_view::<i32>()?;
        self.integers(&ArrayD::from_shape_vec(IxDyn(stored.shape()), stored.iter().copied().collect())?)
    }

    /// Stored integers, their zero points taken off.
    pub(crate) fn integers(&self, stored: &ArrayD<i32>) -> Result<Integers> {
        let (step, zero_point) = self.spread(stored.shape())?;
        let q = ndarray::Zip::from(stored).and(&zero_point).map_collect(|&q, &zero_point| q.saturating_sub(zero_point));
        Ok(Integers { q, step })
    }

    /// The constant `tensor` of real numbers, rounded (halves to even) and saturated as ONNX's QuantizeLinear does.
    fn quantize(&self, tensor: &Tensor) -> Result<Integers> {
        let (step, zero_point) = self.spread(tensor.shape())?;
        let reals = tensor.cast_to::<f32>()?;
        let reals = reals.to_plain_array_view::<f32>()?;
        let range = self.stored.range();
        let round = |&real: &f32, &step: &f32, &zero_point: &i32| {
            let q = (real / step).round_ties_even();
            (f64::from(q) + f64::from(zero_point)).clamp(range.start, range.end) as i32 - zero_point
        };
        let q = ndarray::Zip::from(&reals).and(&step).and(&zero_point).map_collect(round);
        Ok(Integers { q, step })
    }
}

/// What a mark stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mark {
    /// Real numbers are rounded to the grid.
    Quantize(Grid),
    /// Constant integers are read on the grid.
    Dequantize(Grid),
}

/// The ONNX node of mark `index`.
pub(super) fn node(name: String, input: &str, output: String, index: usize) -> NodeProto {
    let index =
        AttributeProto { name: INDEX.into(), r#type: AttributeType::Int as i32, i: index as i64, ..Default::default() };
    NodeProto {
        name,
        op_type: MARK.into(),
        input: vec![input.into()],
        output: vec![output],
        attribute: vec![index],
        ..Default::default()
    }
}

/// Makes tract read marks.
pub(crate) fn register(onnx: &mut tract_onnx::Onnx) {
    onnx.op_register.insert(MARK, |_, node| {
        let index = node.attribute.iter().find(|a| a.name == INDEX).context("a mark without its index")?.i;
        let op: Box<dyn InferenceOp> = expand(Marked { index: usize::try_from(index)? });
        Ok((op, vec![]))
    });
}

/// Mark `index` in tract's graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) index: usize,
}

impl Expansion for Marked {
    fn name(&self) -> StaticName {
        MARK.into()
    }

    fn runs_out_of_plan(&self) -> bool {
        false
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].shape, &outputs[0].shape)?;
        s.equals(&outputs[0].datum_type, f32::datum_type())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Marked {
    fn name(&self) -> StaticName {
        MARK.into()
    }

    op_as_typed_op!();
}

impl EvalOp for Marked {
    not_out_of_plan!();
}

impl TypedOp for Marked {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::datum_type().fact(inputs[0].shape.clone())))
    }

    as_op!();
}

impl Importer<'_> {
    pub(crate) fn mark(&mut self, node: &TypedNode, op: &Marked, inputs: &[Wire]) -> Result<Wire> {
        let mark = self.marks.get(op.index).cloned().context("a mark of another model")?;
        match (&inputs[0], mark) {
            (Wire::Const(tensor), Mark::Quantize(grid)) => Ok(Wire::Integers(grid.quantize(tensor)?.into())),
            (Wire::Const(tensor), Mark::Dequantize(grid)) => Ok(Wire::Integers(grid.dequantize(tensor)?.into())),
            (Wire::Value(_) | Wire::Integers(_), Mark::Quantize(grid)) => {
                let x = self.value(node, inputs, 0)?;
                Ok(Wire::Value(self.push(&node.name, Requantize { to: Some(grid.params()?) }, &[x])?))
            }
            _ => bail!("integers that are neither constant nor quantized before cannot be dequantized"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(stored: Stored) -> Grid {
        Grid { scale: vec![2.0, 0.5], zero_point: vec![1, 0], axis: -1, stored }
    }

    #[test]
    fn constants_become_integers_by_channel() {
        let tensor: Tensor = tract_ndarray::arr2(&[[-128_i8, 3], [1, 127]]).into();
        let integers = grid(Stored::I8).dequantize(&tensor).unwrap();
        assert_eq!(integers.q.iter().copied().collect::<Vec<_>>(), [-129, 3, 0, 127]);
        let reals: Tensor = tract_ndarray::arr2(&[[-1.0_f32, 0.25], [1e9, 0.75]]).into();
        let integers = grid(Stored::U8).quantize(&reals).unwrap();
        // −0.5 and 0.5 round to the even 0, 1.5 to 2; 255 is the end.
        assert_eq!(integers.q.iter().copied().collect::<Vec<_>>(), [0, 0, 254, 2]);
    }

    #[test]
    fn uint8_is_int8_with_another_zero_point() {
        let one = Grid { scale: vec![0.5], zero_point: vec![130], axis: 1, stored: Stored::U8 };
        assert_eq!(one.params().unwrap(), QuantParams::int8(0.5, 2));
        assert!(grid(Stored::I8).params().is_err());
        assert!(Grid { stored: Stored::I16, ..one.clone() }.params().is_err());
        let wide = QuantParams { data_type: DataType::I16, scale: 0.5, zero_point: 0 };
        for (stored, zero_point) in [(Stored::I16, 0), (Stored::U16, 1 << 15)] {
            assert_eq!(Grid { stored, zero_point: vec![zero_point], ..one.clone() }.params().unwrap(), wide);
        }
    }
}
