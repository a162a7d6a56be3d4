//! ONNX nodes that tract does not look into.
//!
//! tract would take these operators apart, or read them wrong (recurrences become scans, resizing knows few of its
//! forms …). So each is registered under its ONNX name as one operator that has shapes and nothing else. It comes out of
//! tract's passes whole, and is read here from its ONNX attributes.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::{NodeProto, attribute_proto::AttributeType};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact, InferenceOp};
use tract_onnx::tract_hir::internal::InferenceModel;

use super::typed::{Importer, Wire};
use super::{deconv, elementwise, normalize, prelu, recurrent, resize};
use crate::ir::ValueId;

/// What is known of an operand while shapes are inferred.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) shape: Vec<usize>,
    pub(super) value: Option<Arc<Tensor>>,
}

/// Shapes of all ONNX outputs, present or not, of operands by ONNX slot.
type Shapes = fn(&Opaque, &[Option<Operand>]) -> Result<Vec<Vec<usize>>>;
/// Values of all ONNX outputs, of operands by ONNX slot.
type Import = fn(&mut Importer<'_>, &Call<'_>) -> Result<Vec<ValueId>>;

/// The operators that are read here.
const TABLE: &[(&str, Shapes, Import)] = &[
    ("Celu", same_shape, elementwise::celu),
    ("ConvTranspose", deconv::shapes, deconv::import),
    ("GRU", recurrent::shapes, recurrent::gru),
    ("GroupNormalization", same_shape, normalize::group),
    ("InstanceNormalization", same_shape, normalize::instance),
    ("LSTM", recurrent::shapes, recurrent::lstm),
    ("LayerNormalization", normalize::layer_shapes, normalize::layer),
    ("LpNormalization", same_shape, normalize::lp),
    ("MeanVarianceNormalization", same_shape, normalize::mean_variance),
    ("PRelu", same_shape, prelu::import),
    ("RMSNormalization", same_shape, normalize::rms),
    ("RNN", recurrent::shapes, recurrent::rnn),
    ("Resize", resize::shapes, resize::import),
    ("Upsample", resize::shapes, resize::import),
];

/// Whether this operator is read here.
pub(super) fn knows(op_type: &str) -> bool {
    TABLE.iter().any(|(name, ..)| *name == op_type)
}

/// Lets `onnx` read these operators as they are.
pub(super) fn register(onnx: &mut tract_onnx::Onnx) {
    for (name, ..) in TABLE {
        onnx.op_register.insert(name, |context: &ParsingContext, node: &NodeProto| {
            let opset = context.onnx_operator_set_version;
            Ok((Box::new(Opaque { proto: node.clone(), opset }), vec![]))
        });
    }
}

fn same_shape(_: &Opaque, operands: &[Option<Operand>]) -> Result<Vec<Vec<usize>>> {
    Ok(vec![shape(operands, 0)?.to_vec()])
}

/// Shape of the operand in ONNX slot `slot`.
pub(super) fn shape(operands: &[Option<Operand>], slot: usize) -> Result<&[usize]> {
    let operand = operands.get(slot).and_then(Option::as_ref);
    Ok(&operand.with_context(|| format!("operand {slot} is missing"))?.shape)
}

/// A node of the ONNX graph.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opaque {
    proto: NodeProto,
    /// The model's operator set.
    pub(super) opset: i64,
}

impl Eq for Opaque {}

impl Opaque {
    pub(super) fn op_type(&self) -> &str {
        &self.proto.op_type
    }

    fn family(&self) -> Result<(Shapes, Import)> {
        let entry = TABLE.iter().find(|(name, ..)| *name == self.op_type());
        entry.map(|&(_, shapes, import)| (shapes, import)).context("an operator that is not read here")
    }

    /// Number of the tract input that is in ONNX slot `slot`.
    fn input(&self, slot: usize) -> Option<usize> {
        let present = |name: &&String| !name.is_empty();
        self.proto.input.get(slot).filter(present)?;
        Some(self.proto.input[..slot].iter().filter(present).count())
    }

    /// The elements, one a slot, that `of` gives for the inputs that are there.
    fn slots<T>(&self, of: impl Fn(usize) -> T) -> Vec<Option<T>> {
        (0..self.proto.input.len()).map(|slot| self.input(slot).map(&of)).collect()
    }

    /// ONNX slots of the outputs that are there.
    fn outputs(&self) -> impl Iterator<Item = usize> + '_ {
        self.proto.output.iter().enumerate().filter(|(_, name)| !name.is_empty()).map(|(slot, _)| slot)
    }

    /// Whether anybody reads the output in this slot.
    pub(super) fn has_output(&self, slot: usize) -> bool {
        self.outputs().any(|s| s == slot)
    }

    fn shapes(&self, operands: &[Option<Operand>]) -> TractResult<Vec<Vec<usize>>> {
        let (shapes, _) = self.family()?;
        let all = shapes(self, operands)?;
        self.outputs().map(|slot| all.get(slot).cloned().context("an output that the operator does not have")).collect()
    }

    fn attribute(&self, name: &str, kind: AttributeType) -> Result<Option<&tract_onnx::pb::AttributeProto>> {
        let Some(found) = self.proto.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
        // Files of the oldest operator sets do not say the type.
        ensure!(found.r#type == kind as i32 || found.r#type == 0, "attribute {name} is not of type {kind:?}");
        Ok(Some(found))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.attribute(name, AttributeType::Int)?.map_or(default, |a| a.i))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.attribute(name, AttributeType::Float)?.map_or(default, |a| a.f))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|a| a.ints.clone()))
    }

    /// A list of lengths, one an axis.
    pub(super) fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let of = |ints: Vec<i64>| ints.into_iter().map(|i| usize::try_from(i).with_context(|| format!("{name} {i}")));
        self.ints(name)?.map(|ints| of(ints).collect()).transpose()
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f32>>> {
        Ok(self.attribute(name, AttributeType::Floats)?.map(|a| a.floats.clone()))
    }

    pub(super) fn string(&self, name: &str, default: &str) -> Result<String> {
        let found = self.attribute(name, AttributeType::String)?;
        Ok(found.map_or(default.into(), |a| String::from_utf8_lossy(&a.s).into_owned()))
    }

    pub(super) fn strings(&self, name: &str) -> Result<Option<Vec<String>>> {
        let found = self.attribute(name, AttributeType::Strings)?;
        Ok(found.map(|a| a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()))
    }

    /// A string attribute as one of the values that `T` knows.
    pub(super) fn choice<T: FromStr<Err = anyhow::Error>>(&self, name: &str, default: &str) -> Result<T> {
        self.string(name, default)?.parse().with_context(|| format!("attribute {name}"))
    }

    /// An axis, counted from the end if it is negative.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize> {
        let axis = self.int(name, default)?;
        let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(wrapped).ok().filter(|&a| a < rank).with_context(|| format!("{name} {axis} of {rank} axes"))
    }
}

impl Op for Opaque {
    fn name(&self) -> StaticName {
        self.op_type().to_string().into()
    }

    op_as_typed_op!();
}

impl EvalOp for Opaque {
    not_out_of_plan!();
}

impl TypedOp for Opaque {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let operand = |i: usize| -> TractResult<Operand> {
            let fact = inputs.get(i).context("an input is missing")?;
            let shape = fact.shape.as_concrete().context("a shape that is not fixed")?.to_vec();
            Ok(Operand { shape, value: fact.konst.clone() })
        };
        let operands = self.slots(operand).into_iter().map(Option::transpose).collect::<TractResult<Vec<_>>>()?;
        Ok(self.shapes(&operands)?.iter().map(f32::fact).collect())
    }
}

impl InferenceOp for Opaque {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let owned = |facts: &[&InferenceFact]| facts.iter().map(|&f| f.clone()).collect::<TVec<_>>();
        let operand = |i: usize| -> Option<Operand> {
            let fact = inputs.get(i)?;
            let shape = fact.shape.concretize()?.iter().map(|d| d.to_usize().ok()).collect::<Option<_>>()?;
            Some(Operand { shape, value: fact.value.concretize() })
        };
        let slots = self.slots(operand);
        // An operand of which nothing is known yet: later.
        if slots.iter().any(|slot| matches!(slot, Some(None))) {
            return Ok((owned(&inputs), owned(&outputs), owned(&observed)));
        }
        let operands: Vec<Option<Operand>> = slots.into_iter().map(Option::flatten).collect();
        let shapes = self.shapes(&operands)?;
        let inferred = shapes.iter().zip(&outputs).map(|(shape, output)| {
            let dims: TVec<TDim> = shape.iter().map(|d| d.to_dim()).collect();
            let fact = InferenceFact::dt_shape(f32::datum_type(), &dims);
            output.unify(&fact)
        });
        let inferred = inferred.collect::<TractResult<TVec<_>>>()?;
        Ok((owned(&inputs), inferred, owned(&observed)))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs().count())
    }

    fn as_op(&self) -> &dyn Op {
        self
    }

    fn as_op_mut(&mut self) -> &mut dyn Op {
        self
    }

    fn to_typed(
        &self,
        _source: &InferenceModel,
        node: &tract_onnx::tract_hir::internal::InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|i| mapping[i]).collect();
        target.wire_node(&node.name, self.clone(), &inputs)
    }
}

/// An opaque node and its operands.
pub(super) struct Call<'a> {
    pub(super) node: &'a TypedNode,
    pub(super) op: &'a Opaque,
    inputs: &'a [Wire],
}

impl Call<'_> {
    /// The node's name.
    pub(super) fn name(&self) -> &str {
        &self.node.name
    }

    /// Whether an operand is in this ONNX slot.
    pub(super) fn has(&self, slot: usize) -> bool {
        self.op.input(slot).is_some()
    }

    /// The operand in this ONNX slot, an activation or a float constant.
    pub(super) fn value(&self, importer: &mut Importer<'_>, slot: usize) -> Result<ValueId> {
        let i = self.op.input(slot).with_context(|| format!("operand {slot} is missing"))?;
        importer.value(self.node, self.inputs, i)
    }

    /// The constant operand in this ONNX slot.
    pub(super) fn constant(&self, slot: usize) -> Result<&Arc<Tensor>> {
        let i = self.op.input(slot).with_context(|| format!("operand {slot} is missing"))?;
        match &self.inputs[i] {
            Wire::Const(tensor) => Ok(tensor),
            _ => bail!("operand {slot} is computed from an input: only a constant is supported"),
        }
    }

    /// The operands as shape inference sees them.
    pub(super) fn operands(&self, importer: &Importer<'_>) -> Result<Vec<Option<Operand>>> {
        let operand = |i: usize| -> Result<Operand> {
            let value = match &self.inputs[i] {
                Wire::Const(tensor) => Some(tensor.clone()),
                _ => None,
            };
            Ok(Operand { shape: importer.shape(self.node.inputs[i])?, value })
        };
        self.op.slots(operand).into_iter().map(Option::transpose).collect()
    }
}

impl Importer<'_> {
    /// The outputs of an opaque node that are there, in tract's order.
    pub(super) fn opaque(&mut self, node: &TypedNode, op: &Opaque, inputs: &[Wire]) -> Result<Vec<ValueId>> {
        let (_, import) = op.family()?;
        let all = import(self, &Call { node, op, inputs })?;
        op.outputs().map(|slot| all.get(slot).copied().context("an output that is not supported")).collect()
    }
}
