//! Elementwise operators of one, two and three operands.

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::{logic, math, nn};

use super::typed::{Importer, Wire};
use crate::ir::{ValueId, scalar};
use crate::ops::{
    Op,
    add::Add,
    clamp::Clamp,
    expr::{Binary, Expr},
    function::Function,
    mul::Mul,
    sub::Sub,
    table::Table,
};

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

/// The comparison or logical operation behind one of tract's binary operators; `true` if its operands are swapped.
fn truth(op: &dyn BinMiniOp) -> Option<(Binary, bool)> {
    macro_rules! plain {
        ($($op:path => $binary:ident, $swap:literal;)*) => {
            $(if op.is::<$op>() { return Some((Binary::$binary, $swap)); })*
        };
    }
    plain! {
        logic::CompLT => Less, false;
        logic::CompGT => Less, true;
        logic::CompLTE => LessEqual, false;
        logic::CompGTE => LessEqual, true;
        logic::CompEq => Equal, false;
        logic::CompNE => NotEqual, false;
        logic::And => And, false;
        logic::Or => Or, false;
        logic::Xor => NotEqual, false;
    }
    None
}

impl Importer<'_> {
    pub(super) fn element_wise(&mut self, node: &TypedNode, op: &ElementWiseOp, inputs: &[Wire]) -> Result<Wire> {
        if let (Wire::Mask { of, expr }, true) = (&inputs[0], op.0.is::<logic::Not>() || op.0.is::<logic::BitNot>()) {
            let expr = Expr::Binary(Binary::Equal, Box::new(expr.clone()), Box::new(Expr::Const(0.0)));
            return Ok(Wire::Mask { of: *of, expr });
        }
        let function = function(&*op.0).with_context(|| format!("the function {} is not supported", op.0.name()))?;
        let x = self.value(node, inputs, 0)?;
        Ok(Wire::Value(self.push(&node.name, Table { function }, &[x])?))
    }

    pub(super) fn binary(&mut self, node: &TypedNode, op: &TypedBinOp, inputs: &[Wire]) -> Result<Wire> {
        let mini = &*op.0;
        if let Some((binary, swapped)) = truth(mini) {
            let (a, b) = if swapped { (1, 0) } else { (0, 1) };
            return self.mask(node, inputs, binary, [a, b]);
        }
        let dt = self.model.outlet_fact(node.id.into())?.datum_type;
        ensure!(dt == DatumType::F32, "only float32 activations are read, this one is {dt:?}");
        let operands = [self.value(node, inputs, 0)?, self.value(node, inputs, 1)?];
        let [a, b] = operands;
        let uniform = [scalar::uniform(&self.graph, a), scalar::uniform(&self.graph, b)];
        let op: Op = if mini.is::<math::Add>() {
            Add { clamp: None }.into()
        } else if mini.is::<math::Sub>() {
            Sub { clamp: None }.into()
        } else if mini.is::<math::SubF>() {
            return Ok(Wire::Value(self.push(&node.name, Sub { clamp: None }, &[b, a])?));
        } else if mini.is::<math::Mul>() {
            Mul { clamp: None }.into()
        } else {
            let binary = match () {
                () if mini.is::<math::Min>() => Binary::Min,
                () if mini.is::<math::Max>() => Binary::Max,
                () if mini.is::<math::Pow>() => Binary::Pow,
                () if mini.is::<math::Div>() => Binary::Div,
                () => bail!("the operation {} is not supported", mini.name()),
            };
            return Ok(Wire::Value(self.with_constant(node, binary, operands, uniform)?));
        };
        Ok(Wire::Value(self.push(&node.name, op, &operands)?))
    }

    /// A minimum, maximum, power or quotient of an activation and one number.
    fn with_constant(
        &mut self,
        node: &TypedNode,
        binary: Binary,
        [a, b]: [ValueId; 2],
        uniform: [Option<f32>; 2],
    ) -> Result<ValueId> {
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
        self.push(&node.name, op, &[x])
    }

    /// A comparison, or an operation on comparisons.
    fn mask(&mut self, node: &TypedNode, inputs: &[Wire], binary: Binary, order: [usize; 2]) -> Result<Wire> {
        let operands = order.map(|i| inputs[i].clone());
        let (of, [a, b]) = self.scalars(node, operands)?;
        Ok(Wire::Mask { of, expr: Expr::Binary(binary, Box::new(a), Box::new(b)) })
    }

    /// `where(test, a, b)`, if all three are functions of one activation, or the parametric relu.
    pub(super) fn select(&mut self, node: &TypedNode, inputs: &[Wire]) -> Result<ValueId> {
        let [test, a, b] = inputs else { bail!("{} operands, 3 wanted", inputs.len()) };
        if let Some(y) = self.parametric_relu(node, test, a, b)? {
            return Ok(y);
        }
        let (of, [test, a, b]) = self.scalars(node, [test.clone(), a.clone(), b.clone()])?;
        let expr = Expr::Select(Box::new(test), Box::new(a), Box::new(b));
        self.push(&node.name, Table { function: Function::from_expr(expr) }, &[of])
    }

    /// `where(0 > x, x·slope, x)` with a slope a channel: `max(x, 0) + min(x, 0)·slope`.
    fn parametric_relu(&mut self, node: &TypedNode, test: &Wire, a: &Wire, b: &Wire) -> Result<Option<ValueId>> {
        let (Wire::Mask { of, expr }, Wire::Value(a), Wire::Value(x)) = (test, a, b) else { return Ok(None) };
        let negative = Expr::Binary(Binary::Less, Box::new(Expr::X), Box::new(Expr::Const(0.0)));
        let Some(product) = self.graph.producer(*a).filter(|_| of == x && *expr == negative) else { return Ok(None) };
        let factors = self.graph.nodes[product].inputs.clone();
        let is_product = matches!(self.graph.nodes[product].op, Op::Mul(Mul { clamp: None }));
        let Some(&slope) = factors.iter().find(|&&f| self.graph.data(f).is_some()) else { return Ok(None) };
        if !is_product || !factors.contains(x) || scalar::uniform(&self.graph, slope).is_some() {
            return Ok(None);
        }
        let below = Clamp { min: f32::NEG_INFINITY, max: 0.0 };
        let above = self.push(&format!("{}.above", node.name), Clamp::RELU, &[*x])?;
        let below = self.push(&format!("{}.below", node.name), below, &[*x])?;
        let below = self.push(&format!("{}.slope", node.name), Mul { clamp: None }, &[below, slope])?;
        Ok(Some(self.push(&node.name, Add { clamp: None }, &[above, below])?))
    }

    /// Operands as functions of one activation.
    fn scalars<const N: usize>(&mut self, node: &TypedNode, wires: [Wire; N]) -> Result<(ValueId, [Expr; N])> {
        let first = wires.iter().find_map(|w| match w {
            Wire::Value(v) | Wire::Mask { of: v, .. } => Some(*v),
            _ => None,
        });
        let first = first.context("an operation on truth values that are no comparison of an activation")?;
        for root in scalar::roots(&self.graph, first) {
            let exprs: Option<Vec<Expr>> = wires.iter().map(|w| self.scalar(w, root)).collect();
            if let Some(Ok(exprs)) = exprs.map(<[Expr; N]>::try_from) {
                let (want, got) = (self.shape(node.id.into())?, self.dims(root));
                ensure!(want == got, "a condition that broadcasts ({got:?} to {want:?}) is not supported");
                return Ok((root, exprs));
            }
        }
        bail!("comparisons and Where are supported between functions of one tensor and constant numbers only")
    }

    fn scalar(&self, wire: &Wire, root: ValueId) -> Option<Expr> {
        match wire {
            Wire::Value(v) => Some(scalar::trace(&self.graph, *v, root)?.0),
            Wire::Mask { of, expr } => Some(expr.of(&scalar::trace(&self.graph, *of, root)?.0)),
            Wire::Const(tensor) => {
                let uniform = tensor.as_uniform()?;
                Some(Expr::Const(uniform.cast_to_scalar::<f32>().ok()?))
            }
            Wire::Integers(integers) => {
                let reals = integers.reals();
                let first = *reals.first()?;
                reals.iter().all(|&v| v == first).then_some(Expr::Const(first))
            }
            Wire::Broken => None,
        }
    }
}
