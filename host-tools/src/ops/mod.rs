//! The operators of the IR, one file each: attributes, shape inference, float evaluation and cost.
//!
//! The files mirror `runtime/src/ops`; the `ops!` table below is the only list.

pub mod expr;
pub mod function;
pub(crate) mod shape;
#[cfg(test)]
pub(crate) mod testing;

use anyhow::{Result, ensure};
use ndarray::ArrayD;
use tract_onnx::prelude::TypedNode;

use crate::ir::Kind;
use crate::quantize::Rule;
use crate::quantize::lower::{Lower, Lowering};

/// What every operator of the IR defines, beside its lowering to the runtime.
pub trait HostOp: Lower {
    /// Shape of the output.
    ///
    /// # Errors
    /// If the operator refuses these input shapes; the message says which and why.
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>>;

    /// What the output's elements are, given what the operands' are: real numbers of real numbers, unless the operator
    /// says otherwise.
    ///
    /// # Errors
    /// If the operator refuses operands of these kinds.
    fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        ensure!(
            inputs.iter().all(|&k| k == Kind::Real),
            "only real operands are supported, not integers or truth values"
        );
        Ok(Kind::Real)
    }

    /// The output in float: the meaning of the operator, against which its integer form is held.
    ///
    /// # Errors
    /// If the operands do not have the shapes that [`HostOp::infer`] accepts.
    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>>;

    /// Shapes of all outputs, for an operator that has several; the first is that of [`HostOp::infer`].
    ///
    /// # Errors
    /// As [`HostOp::infer`].
    fn infer_all(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>> {
        Ok(vec![self.infer(inputs)?])
    }

    /// All outputs, for an operator that has several; the first is that of [`HostOp::eval`].
    ///
    /// # Errors
    /// As [`HostOp::eval`].
    fn eval_all(&self, inputs: &[&ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
        Ok(vec![self.eval(inputs)?])
    }

    /// Multiply-accumulates, padded positions included, as the field counts them: 0 for what is no convolution and
    /// no matrix product.
    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }

    /// The operator that a node of tract's graph is, operands in the same order, if the importer itself does not know
    /// the node. So a new operator brings its import along in its own file.
    fn claim(_node: &TypedNode) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// Expands to the modules, the [`Op`] enum and its dispatch.
macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident => $module:ident,)*) => {
        $(pub mod $module;)*

        /// An operator with its attributes.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $($(#[$doc])* $name($module::$name),)*
        }

        impl Op {
            /// The operator's name.
            pub fn name(&self) -> &'static str {
                match self { $(Op::$name(_) => stringify!($name),)* }
            }

            /// The operator that claims this node; see [`HostOp::claim`].
            pub fn claim(node: &TypedNode) -> Option<Op> {
                None$(.or_else(|| $module::$name::claim(node).map(Op::$name)))*
            }

            fn inner(&self) -> &dyn HostOp {
                match self { $(Op::$name(op) => op,)* }
            }
        }

        $(impl From<$module::$name> for Op {
            fn from(op: $module::$name) -> Self { Op::$name(op) }
        })*
    };
}

ops! {
    /// 2-D convolution, any grouping.
    Conv2d => conv2d,
    /// Matrix product with constant weights over the last axis.
    FullyConnected => fully_connected,
    /// 2-D maximum pooling.
    MaxPool2d => max_pool2d,
    /// 2-D average pooling.
    AvgPool2d => avg_pool2d,
    /// Elementwise sum with broadcast.
    Add => add,
    /// Elementwise difference with broadcast.
    Sub => sub,
    /// Elementwise product with broadcast.
    Mul => mul,
    /// Relu, relu6, clip.
    Clamp => clamp,
    /// Elementwise function of one variable: a 256-entry table on the device.
    Table => table,
    /// Softmax over the last axis.
    Softmax => softmax,
    /// Constant padding.
    Pad => pad,
    /// Concatenation along an axis.
    Concat => concat,
    /// Strided slice.
    Slice => slice,
    /// New shape, same elements.
    Reshape => reshape,
    /// Axis permutation.
    Transpose => transpose,
    /// Mean over axes.
    ReduceMean => reduce_mean,
    /// Sum over axes.
    ReduceSum => reduce_sum,
    /// Change of scale and zero point: the identity in float.
    Requantize => requantize,
    /// Elementwise maximum with broadcast.
    Maximum => maximum,
    /// Matrix product of two activations.
    MatMul => matmul,
    /// Elementwise quotient with broadcast.
    Div => div,
    /// Angle of a point: arc tangent of a quotient.
    Angle => angle,
    /// Elementwise minimum with broadcast.
    Minimum => minimum,
    /// Elementwise comparison with broadcast.
    Compare => compare,
    /// Choice between two tensors.
    Select => select,
    /// And, or, exclusive or of truth values.
    Logic => logic,
    /// Slices along an axis, named by indices.
    Gather => gather,
    /// An element for each index.
    GatherElements => gather_elements,
    /// Blocks that tuples of indices name.
    GatherNd => gather_nd,
    /// Updates put, or added, at places that indices name.
    Scatter => scatter,
    /// Values repeated along axes.
    Expand => expand,
    /// Index of the largest or smallest element along an axis.
    ArgExtreme => arg_extreme,
    /// Indices of the largest or smallest elements along an axis.
    TopK => top_k,
    /// Running sum along an axis.
    CumulativeSum => cumulative_sum,
    /// Largest or smallest element over axes.
    ReduceExtreme => reduce_extreme,
    /// Sum of squares over axes, or its root.
    ReduceSquare => reduce_square,
    /// Logarithm of the sum of the exponentials over the last axis.
    LogSumExp => log_sum_exp,
    /// Integers and truth values as real numbers.
    FromIndex => from_index,
    /// Arithmetic on integers.
    IndexArithmetic => index_arithmetic,
    /// Weighted sums along rows and columns: resizing, padding by reflection.
    Resample2d => resample2d,
    /// Normalisation by mean and variance, or by the mean of squares.
    Normalize => normalize,
    /// Relu with a slope by channel.
    PRelu => prelu,
    /// LSTM, GRU, plain RNN.
    Recurrent => recurrent,
}

impl Op {
    /// See [`HostOp::infer`].
    ///
    /// # Errors
    /// If the operator refuses these input shapes.
    pub fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        self.inner().infer(inputs)
    }

    /// Whether it is elementwise with several operands of equal standing, which are broadcast by the rules of numpy.
    pub fn broadcasts(&self) -> bool {
        matches!(
            self,
            Op::Add(_)
                | Op::Sub(_)
                | Op::Mul(_)
                | Op::Div(_)
                | Op::Angle(_)
                | Op::Maximum(_)
                | Op::Minimum(_)
                | Op::Compare(_)
                | Op::Logic(_)
                | Op::Select(_)
                | Op::IndexArithmetic(_)
        )
    }

    /// See [`HostOp::kind`].
    ///
    /// # Errors
    /// If the operator refuses operands of these kinds.
    pub fn kind(&self, inputs: &[Kind]) -> Result<Kind> {
        self.inner().kind(inputs)
    }

    /// See [`HostOp::eval`].
    ///
    /// # Errors
    /// If the operands do not fit.
    pub fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        self.inner().eval(inputs)
    }

    /// See [`HostOp::infer_all`].
    ///
    /// # Errors
    /// If the operator refuses these input shapes.
    pub fn infer_all(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>> {
        self.inner().infer_all(inputs)
    }

    /// See [`HostOp::eval_all`].
    ///
    /// # Errors
    /// If the operands do not fit.
    pub fn eval_all(&self, inputs: &[&ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
        self.inner().eval_all(inputs)
    }

    /// See [`HostOp::macs`].
    pub fn macs(&self, inputs: &[&[usize]], output: &[usize]) -> u64 {
        self.inner().macs(inputs, output)
    }

    /// See [`Lower::rule`].
    pub fn rule(&self) -> Rule {
        self.inner().rule()
    }

    /// See [`Lower::covers`].
    pub fn covers(&self) -> Option<usize> {
        self.inner().covers()
    }

    /// See [`Lower::has_int16`].
    pub fn has_int16(&self) -> bool {
        self.inner().has_int16()
    }

    /// See [`Lower::lower`].
    ///
    /// # Errors
    /// If the runtime cannot do this node.
    pub fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        self.inner().lower(cx)
    }
}
