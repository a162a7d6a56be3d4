//! What flows through an ONNX graph when it is evaluated: floats of any width as f64, integers and truth values as i64.

use anyhow::{Context, Result, ensure};
use ndarray::{ArcArray, ArrayD, ArrayViewD, IxDyn, Zip};
use tract_onnx::prelude::Tensor;

/// An array of any shape, cheap to clone.
pub(super) type Array<T> = ArcArray<T, IxDyn>;

/// A tensor's value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Floats.
    F(Array<f64>),
    /// Integers; truth values are 0 and 1.
    I(Array<i64>),
}

impl Value {
    /// The value of a tensor of tract's.
    pub(super) fn of(tensor: &Tensor) -> Result<Self> {
        if tensor.datum_type().is_float() {
            let tensor = tensor.cast_to::<f64>()?;
            let view = tensor.to_plain_array_view::<f64>()?;
            return Ok(Self::F(ArrayD::from_shape_vec(IxDyn(view.shape()), view.iter().copied().collect())?.into()));
        }
        let tensor = tensor.cast_to::<i64>()?;
        let view = tensor.to_plain_array_view::<i64>()?;
        Ok(Self::I(ArrayD::from_shape_vec(IxDyn(view.shape()), view.iter().copied().collect())?.into()))
    }

    pub(super) fn floats(shape: &[usize], values: Vec<f64>) -> Result<Self> {
        Ok(Self::F(ArrayD::from_shape_vec(IxDyn(shape), values)?.into()))
    }

    pub(super) fn integers(shape: &[usize], values: Vec<i64>) -> Result<Self> {
        Ok(Self::I(ArrayD::from_shape_vec(IxDyn(shape), values)?.into()))
    }

    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::F(a) => a.shape(),
            Self::I(a) => a.shape(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shape().iter().product()
    }

    pub(super) fn is_float(&self) -> bool {
        matches!(self, Self::F(_))
    }

    /// As floats.
    pub(super) fn f(&self) -> Array<f64> {
        match self {
            Self::F(a) => a.clone(),
            Self::I(a) => a.mapv(|v| v as f64).into(),
        }
    }

    /// As integers.
    pub(super) fn i(&self) -> Array<i64> {
        match self {
            Self::F(a) => a.mapv(|v| v as i64).into(),
            Self::I(a) => a.clone(),
        }
    }

    /// Its integers, in order.
    pub(super) fn list(&self) -> Vec<i64> {
        self.i().iter().copied().collect()
    }

    /// Its only element as a float.
    pub(super) fn scalar(&self) -> Result<f64> {
        ensure!(self.len() == 1, "a scalar is wanted, not {:?}", self.shape());
        self.f().first().copied().context("an empty tensor")
    }

    /// The same elements in another shape.
    pub(super) fn reshaped(&self, shape: &[usize]) -> Result<Self> {
        fn of<T: Clone>(a: &Array<T>, shape: &[usize]) -> Result<Array<T>> {
            let message = || format!("{:?} cannot be reshaped to {shape:?}", a.shape());
            let flat = a.as_standard_layout().into_owned();
            Ok(flat.into_shape_with_order(IxDyn(shape)).with_context(message)?.into())
        }
        Ok(match self {
            Self::F(a) => Self::F(of(a, shape)?),
            Self::I(a) => Self::I(of(a, shape)?),
        })
    }
}

/// Calls a generic function of the array within.
macro_rules! map_value {
    ($value:expr, $array:ident => $body:expr) => {
        match $value {
            $crate::lm::onnx::value::Value::F($array) => $crate::lm::onnx::value::Value::F($body),
            $crate::lm::onnx::value::Value::I($array) => $crate::lm::onnx::value::Value::I($body),
        }
    };
}
pub(super) use map_value;

/// The shape to which both are broadcast.
pub(super) fn broadcast_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let axis = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(anyhow::anyhow!("shapes {a:?} and {b:?} do not fit")),
        })
        .collect()
}

/// `a` broadcast to a shape.
pub(super) fn broadcast<'a, T: Clone>(a: &'a Array<T>, shape: &[usize]) -> Result<ArrayViewD<'a, T>> {
    a.broadcast(IxDyn(shape)).with_context(|| format!("{:?} cannot be broadcast to {shape:?}", a.shape()))
}

/// `f` of each pair of elements.
pub(super) fn zip<A: Clone, B: Clone, C>(a: &Array<A>, b: &Array<B>, f: impl Fn(&A, &B) -> C) -> Result<Array<C>> {
    let shape = broadcast_shape(a.shape(), b.shape())?;
    Ok(Zip::from(broadcast(a, &shape)?).and(broadcast(b, &shape)?).map_collect(f).into())
}
