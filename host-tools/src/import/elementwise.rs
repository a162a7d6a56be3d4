//! Elementwise operators of one, two and three operands.

use anyhow::{Context, Result, bail, ensure};
use ndarray::arr0;
use teff::kernels::choice::{Connective, Relation};
use teff::kernels::index::Arithmetic;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::{logic, math, nn};

use super::opaque::Call;
use super::typed::{Importer, Wire, kind};
use crate::ir::{Kind, ValueId, scalar};
use crate::ops::{
    Op,
    add::Add,
    clamp::Clamp,
    compare::Compare,
    div::Div,
    expr::{Binary, Expr},
    from_index::FromIndex,
    function::Function,
    index_arithmetic::IndexArithmetic,
    logic::Logic,
    maximum::Maximum,
    minimum::Minimum,
    mul::Mul,
    select::Select,
    sub::Sub,
    table::Table,
};

/// Celu, which tract reads without the factor of its exponential part.
pub(super) fn celu(importer: &mut Importer<'_>, call: &Call<'_>) -> Result<Vec<ValueId>> {
    let (x, alpha) = (call.value(importer, 0)?, call.op.float("alpha", 1.0)?);
    Ok(vec![importer.push(call.name(), Table { function: Function::Celu { alpha } }, &[x])?])
}

/// The function behind one of tract's elementwise operators.
fn function(op: &dyn ElementWiseMiniOp) -> Option<Function> {
    if let Some(op) = op.downcast_ref::<nn::LeakyRelu>() {
        return Some(Function::LeakyRelu { alpha: op.alpha });
    }
    if let Some(op) = op.downcast_ref::<math::PowConst>() {
        return Some(Function::Pow { exponent: op.exponent });
    }
    if let Some(op) = op.downcast_ref::<nn::gelu_approximate::GeluApproximate>() {
        return (!op.fast_impl).then_some(Function::GeluTanh);
    }
    macro_rules! plain {
        ($($op:path => $function:ident,)*) => { $(if op.is::<$op>() { return Some(Function::$function); })* };
    }
    plain! {
        nn::HardSwish => HardSwish,
        nn::Sigmoid => Sigmoid,
        nn::silu::Silu => Silu,
        nn::gelu_exact::GeluExact => Gelu,
        math::Tanh => Tanh,
        math::Exp => Exp,
        math::Ln => Ln,
        math::Sqrt => Sqrt,
        math::Rsqrt => Rsqrt,
        math::Recip => Recip,
        math::Abs => Abs,
        math::Neg => Neg,
        math::Square => Square,
        math::Sin => Sin,
        math::Cos => Cos,
        math::Tan => Tan,
        math::Asin => Asin,
        math::Acos => Acos,
        math::Atan => Atan,
        math::Sinh => Sinh,
        math::Cosh => Cosh,
        math::Asinh => Asinh,
        math::Acosh => Acosh,
        math::Atanh => Atanh,
        math::Erf => Erf,
        math::Ceil => Ceil,
        math::Floor => Floor,
        math::RoundHalfToEven => Round,
        math::Round => RoundHalfAway,
        math::Sign => Sign,
    }
    None
}

/// The relation behind one of tract's binary operators; `true` if its operands are swapped.
fn relation(op: &dyn BinMiniOp) -> Option<(Relation, bool)> {
    Some(match () {
        () if op.is::<logic::CompLT>() => (Relation::Less, false),
        () if op.is::<logic::CompGT>() => (Relation::Less, true),
        () if op.is::<logic::CompLTE>() => (Relation::LessEqual, false),
        () if op.is::<logic::CompGTE>() => (Relation::LessEqual, true),
        () if op.is::<logic::CompEq>() => (Relation::Equal, false),
        () if op.is::<logic::CompNE>() => (Relation::NotEqual, false),
        () => return None,
    })
}

/// The operation on truth values behind one of tract's binary operators.
fn connective(op: &dyn BinMiniOp) -> Option<Connective> {
    Some(match () {
        () if op.is::<logic::And>() || op.is::<logic::BitAnd>() => Connective::And,
        () if op.is::<logic::Or>() || op.is::<logic::BitOr>() => Connective::Or,
        () if op.is::<logic::Xor>() || op.is::<logic::BitXor>() => Connective::Xor,
        () => return None,
    })
}

/// The operation on integers behind one of tract's binary operators.
fn arithmetic(op: &dyn BinMiniOp) -> Option<Arithmetic> {
    Some(match () {
        () if op.is::<math::Add>() => Arithmetic::Add,
        () if op.is::<math::Sub>() => Arithmetic::Sub,
        () if op.is::<math::Mul>() => Arithmetic::Mul,
        () if op.is::<math::Div>() => Arithmetic::Div,
        () if op.is::<math::Min>() => Arithmetic::Min,
        () if op.is::<math::Max>() => Arithmetic::Max,
        () if op.is::<math::Rem>() => Arithmetic::Rem,
        () => return None,
    })
}

impl Importer<'_> {
    pub(super) fn element_wise(&mut self, node: &TypedNode, op: &ElementWiseOp, inputs: &[Wire]) -> Result<ValueId> {
        let x = self.value(node, inputs, 0)?;
        match self.graph.value(x).kind {
            Kind::Truth if op.0.is::<logic::Not>() || op.0.is::<logic::BitNot>() => {
                let one = self.number(node, Kind::Truth, 1.0);
                self.push(&node.name, Logic { connective: Connective::Xor }, &[x, one])
            }
            Kind::Index if op.0.is::<math::Neg>() => self.negative(node, x),
            Kind::Index if op.0.is::<math::Abs>() => {
                let negative = self.negative(node, x)?;
                self.push(&node.name, IndexArithmetic { operation: Arithmetic::Max }, &[x, negative])
            }
            Kind::Real => {
                let function =
                    function(&*op.0).with_context(|| format!("the function {} is not supported", op.0.name()))?;
                self.push(&node.name, Table { function }, &[x])
            }
            kind => bail!("the function {} of {kind:?} values is not supported", op.0.name()),
        }
    }

    /// The integers with the other sign.
    fn negative(&mut self, node: &TypedNode, x: ValueId) -> Result<ValueId> {
        self.wide(node, x)?;
        let zero = self.number(node, Kind::Index, 0.0);
        self.push(&format!("{}.negative", node.name), IndexArithmetic { operation: Arithmetic::Sub }, &[zero, x])
    }

    /// A constant without axes.
    pub(super) fn number(&mut self, node: &TypedNode, kind: Kind, number: f32) -> ValueId {
        self.graph.constant_of(kind, format!("{}.number", node.name), arr0(number).into_dyn())
    }

    /// That the node computes with integers that do not wrap at a few bits.
    fn wide(&self, node: &TypedNode, x: ValueId) -> Result<()> {
        let dt = self.model.outlet_fact(node.inputs[0])?.datum_type;
        let wide = matches!(dt, DatumType::I64 | DatumType::I32 | DatumType::TDim);
        ensure!(
            wide || self.graph.value(x).kind != Kind::Index,
            "arithmetic on {dt:?} is not supported: cast to int64"
        );
        Ok(())
    }

    pub(super) fn binary(&mut self, node: &TypedNode, op: &TypedBinOp, inputs: &[Wire]) -> Result<ValueId> {
        let mini = &*op.0;
        let operands = [self.value(node, inputs, 0)?, self.value(node, inputs, 1)?];
        let [a, b] = operands;
        if let Some((relation, swapped)) = relation(mini) {
            let operands = if swapped { [b, a] } else { [a, b] };
            return self.push(&node.name, Compare { relation }, &operands);
        }
        let op: Op = match (self.graph.value(a).kind, connective(mini), arithmetic(mini)) {
            (Kind::Truth, Some(connective), _) => Logic { connective }.into(),
            (Kind::Index, _, Some(operation)) => {
                self.wide(node, a)?;
                IndexArithmetic { operation }.into()
            }
            (Kind::Real, ..) => return self.real_binary(node, mini, operands),
            (kind, ..) => bail!("the operation {} of {kind:?} values is not supported", mini.name()),
        };
        self.push(&node.name, op, &operands)
    }

    /// An operation on real numbers.
    fn real_binary(&mut self, node: &TypedNode, mini: &dyn BinMiniOp, [a, b]: [ValueId; 2]) -> Result<ValueId> {
        let constant = scalar::uniform(&self.graph, a).is_some() || scalar::uniform(&self.graph, b).is_some();
        let op: Op = match () {
            () if mini.is::<math::Add>() => Add { clamp: None }.into(),
            () if mini.is::<math::Sub>() => Sub { clamp: None }.into(),
            () if mini.is::<math::SubF>() => return self.push(&node.name, Sub { clamp: None }, &[b, a]),
            () if mini.is::<math::Mul>() => Mul { clamp: None }.into(),
            () if mini.is::<math::Min>() && constant => return self.with_constant(node, Binary::Min, [a, b]),
            () if mini.is::<math::Max>() && constant => return self.with_constant(node, Binary::Max, [a, b]),
            () if mini.is::<math::Div>() && constant => return self.with_constant(node, Binary::Div, [a, b]),
            () if mini.is::<math::Pow>() => return self.with_constant(node, Binary::Pow, [a, b]),
            () if mini.is::<math::Min>() => Minimum.into(),
            () if mini.is::<math::Max>() => Maximum.into(),
            () if mini.is::<math::Div>() => match self.graph.data(b).map(|c| c.mapv(f32::recip)) {
                Some(inverse) if inverse.iter().all(|c| c.is_normal()) => {
                    let inverse = self.graph.constant(format!("{}.inverse", node.name), inverse);
                    return self.push(&node.name, Mul { clamp: None }, &[a, inverse]);
                }
                _ => Div.into(),
            },
            () => bail!("the operation {} is not supported", mini.name()),
        };
        self.push(&node.name, op, &[a, b])
    }

    /// A minimum, maximum, power or quotient of an activation and one number.
    fn with_constant(&mut self, node: &TypedNode, binary: Binary, [a, b]: [ValueId; 2]) -> Result<ValueId> {
        let uniform = [scalar::uniform(&self.graph, a), scalar::uniform(&self.graph, b)];
        let (x, c, expr) = match uniform {
            [_, Some(c)] => (a, c, Expr::Binary(binary, Box::new(Expr::X), Box::new(Expr::Const(c)))),
            [Some(c), _] => (b, c, Expr::Binary(binary, Box::new(Expr::Const(c)), Box::new(Expr::X))),
            _ => bail!("{binary:?} is supported between a tensor and one constant number only"),
        };
        ensure!(!c.is_nan(), "the constant is not a number");
        let op: Op = match binary {
            Binary::Max => Clamp { min: c, max: f32::INFINITY }.into(),
            Binary::Min => Clamp { min: f32::NEG_INFINITY, max: c }.into(),
            _ => Table { function: Function::from_expr(expr) }.into(),
        };
        // A constant of more axes widens the result.
        let y = self.push(&node.name, op, &[x])?;
        let shape = self.shape(node.id.into())?;
        self.expand(&format!("{}.broadcast", node.name), y, &shape)
    }

    /// `where(test, a, b)`.
    pub(super) fn select(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<ValueId> {
        ensure!(inputs.len() == 3, "{} operands, 3 wanted", inputs.len());
        let operands = [self.value(node, inputs, 0)?, self.value(node, inputs, 1)?, self.value(node, inputs, 2)?];
        self.push(&node.name, Select, &operands)
    }

    /// A change of type.
    pub(super) fn cast(&mut self, node: &TypedNode, to: DatumType, inputs: &[Wire]) -> Result<ValueId> {
        let from = self.model.outlet_fact(node.inputs[0])?.datum_type;
        let x = self.value(node, inputs, 0)?;
        let wide = matches!(to, DatumType::I64 | DatumType::I32 | DatumType::TDim);
        match (self.graph.value(x).kind, kind(to)?) {
            (Kind::Real, Kind::Real) | (Kind::Truth, Kind::Truth) => Ok(x),
            (Kind::Index, Kind::Index) if wide => Ok(x),
            (Kind::Index | Kind::Truth, Kind::Real) => self.push(&node.name, FromIndex, &[x]),
            (Kind::Truth, Kind::Index) => {
                let (one, zero) = (self.number(node, Kind::Index, 1.0), self.number(node, Kind::Index, 0.0));
                self.push(&node.name, Select, &[x, one, zero])
            }
            (kind @ (Kind::Real | Kind::Index), Kind::Truth) => {
                let zero = self.number(node, kind, 0.0);
                self.push(&node.name, Compare { relation: Relation::NotEqual }, &[x, zero])
            }
            _ => bail!("a conversion from {from:?} to {to:?} is not supported: cut the model before it"),
        }
    }
}
