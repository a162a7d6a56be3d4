//! The operators: one file each, and the one table that lists them.
//!
//! An operator's file defines its parameters as they stand in the file, and an implementation of [`Operator`]:
//! `check`, which proves once that a step of it can run, and `run`, which hands slices to a kernel. Adding one is
//! described in `docs/adding-an-operator.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};

mod check;
mod layer;
mod limits;
mod narrow;
mod recurrence;
pub mod rows;
#[cfg(feature = "rayon")]
mod threads;
#[cfg(feature = "rayon")]
pub use threads::over_threads;

/// Without the feature `rayon` a step runs as it is.
#[cfg(not(feature = "rayon"))]
mod threads {
    use crate::kernels::Unary;

    /// Runs `kernel`.
    #[inline(always)]
    pub(super) fn run<P, E>(
        p: &P,
        operands: Unary<'_, E>,
        w: &[i8],
        scratch: &mut [u8],
        kernel: impl Fn(&P, Unary<'_, E>, &[i8], &mut [u8]) -> Option<()>,
    ) -> Option<()> {
        kernel(p, operands, w, scratch)
    }
}

#[cfg(test)]
mod tests;

pub use limits::Limits;

/// What the file of an operator defines.
pub trait Operator {
    /// The parameters as they stand in the file.
    type Params: FromBytes + Immutable + KnownLayout + ?Sized + 'static;

    /// Slots of the inputs whose place the output may take, if it has as many bytes.
    const IN_PLACE: &'static [u8] = &[];

    /// How many bytes before input 0 the output must begin, to overlap it where the step reads it for the last time;
    /// `None` if it must not.
    fn overlap(_step: &StepView<'_>, _params: &Self::Params) -> Option<usize> {
        None
    }

    /// Proves that the step can run: operands, types, shapes, ranges of parameters and constants.
    ///
    /// Returns the bytes of scratch memory that the step needs.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(step: &StepView<'_>, params: &Self::Params) -> Result<usize, OpIssue>;

    /// Runs the step.
    ///
    /// # Errors
    /// If data asks for something out of range; never for a reason that `check` could have found.
    fn run(frame: &mut Frame<'_, '_>, params: &Self::Params) -> Result<(), RunError>;
}

/// An operator in the table.
pub struct OpDef {
    /// The number that stands for it in a file; never reused.
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    /// [`Operator::run`], parameters parsed.
    pub run: fn(&mut Frame<'_, '_>) -> Result<(), RunError>,
    /// What verification asks; `None` where it is not linked: see [`OpDef::only_run`].
    pub proof: Option<&'static Proof>,
}

/// What verification asks about the steps of an operator.
pub struct Proof {
    /// [`Operator::IN_PLACE`].
    pub in_place: &'static [u8],
    /// [`Operator::overlap`], parameters parsed.
    pub overlap: fn(&StepView<'_>) -> Option<usize>,
    /// [`Operator::check`], parameters parsed.
    pub check: fn(&StepView<'_>) -> Result<usize, OpIssue>,
}

impl OpDef {
    /// The operator without its checks, which are then not linked: for models that were verified when the firmware was built
    /// ([`crate::Model::embedded`]). [`crate::Model::verify_with`] refuses every step of it.
    pub const fn only_run(&self) -> Self {
        Self { proof: None, ..*self }
    }

    /// [`Proof::in_place`]; none without a proof.
    pub fn in_place(&self) -> &'static [u8] {
        self.proof.map_or(&[], |proof| proof.in_place)
    }
}

impl core::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}

const fn define<O: Operator + 'static>(id: u16, name: &'static str) -> OpDef {
    OpDef {
        id,
        name,
        run: |frame| {
            let params = frame.params()?;
            O::run(frame, params)
        },
        proof: Some(
            const {
                &Proof {
                    in_place: O::IN_PLACE,
                    overlap: |step| O::overlap(step, step.params()?),
                    check: |step| O::check(step, step.params().ok_or(OpIssue::ParamsLength)?),
                }
            },
        ),
    }
}

/// `id file Type NAME` is an operator; `id file Type NAME NAME_S16` is two, over int8 and int16 elements, the latter with
/// the id [`S16`] higher; `id file Type NAME NAME_S16 NAME_S32` is three, the last over int32 elements, [`S32`] higher.
macro_rules! ops {
    (@define $id:literal $module:ident $operator:ident $name:ident) => {
        #[doc = concat!("Operator ", stringify!($id), ": see [`mod@", stringify!($module), "`].")]
        pub static $name: OpDef = define::<$module::$operator>($id, stringify!($module));
    };
    (@define $id:literal $module:ident $operator:ident $name:ident $s16:ident) => {
        #[doc = concat!("Operator ", stringify!($id), ", int8: see [`mod@", stringify!($module), "`].")]
        pub static $name: OpDef = define::<$module::$operator<i8>>($id, stringify!($module));
        #[doc = concat!("Operator 256 + ", stringify!($id), ", int16: see [`mod@", stringify!($module), "`].")]
        pub static $s16: OpDef = define::<$module::$operator<i16>>($id + S16, concat!(stringify!($module), "_s16"));
    };
    (@define $id:literal $module:ident $operator:ident $name:ident $s16:ident $s32:ident) => {
        ops! { @define $id $module $operator $name $s16 }
        #[doc = concat!("Operator 512 + ", stringify!($id), ", int32: see [`mod@", stringify!($module), "`].")]
        pub static $s32: OpDef = define::<$module::$operator<i32>>($id + S32, concat!(stringify!($module), "_s32"));
    };
    ($($id:literal $module:ident $operator:ident $name:ident $($s16:ident $($s32:ident)?)?,)*) => {
        $(
            pub mod $module;
            ops! { @define $id $module $operator $name $($s16 $($s32)?)? }
        )*

        /// Every operator of this runtime, in the order of their ids.
        pub static ALL: &[&OpDef] = &[$(&$name,)* $($(&$s16,)?)* $($($(&$s32,)?)?)*];
    };
}

/// [`CONV2D`] without groups.
pub static CONV2D_DENSE: OpDef = define::<narrow::DenseConv2d>(CONV2D.id, "conv2d_dense");

/// [`DEPTHWISE_CONV2D`] with 3×3 windows, neighbouring taps, and steps of 1 or 2.
pub static DEPTHWISE_CONV2D_PLANAR: OpDef =
    define::<narrow::PlanarDepthwiseConv2d>(DEPTHWISE_CONV2D.id, "depthwise_conv2d_planar");

/// [`DEPTHWISE_CONV2D`] with other windows than [`DEPTHWISE_CONV2D_PLANAR`], and channels in fours.
pub static DEPTHWISE_CONV2D_QUADS: OpDef =
    define::<narrow::QuadDepthwiseConv2d>(DEPTHWISE_CONV2D.id, "depthwise_conv2d_quads");

/// [`CONV_CHAIN`] whose depthwise stages are those of [`DEPTHWISE_CONV2D_PLANAR`].
pub static CONV_CHAIN_PLANAR: OpDef = define::<conv_chain::ConvChain<i8, true>>(CONV_CHAIN.id, "conv_chain_planar");

/// [`FULLY_CONNECTED`] of one vector.
pub static FULLY_CONNECTED_VECTOR: OpDef =
    define::<narrow::VectorFullyConnected>(FULLY_CONNECTED.id, "fully_connected_vector");

/// [`FULLY_CONNECTED`] of one vector and few weights, whose output is apart from its input.
pub static FULLY_CONNECTED_SMALL: OpDef =
    define::<narrow::SmallFullyConnected>(FULLY_CONNECTED.id, "fully_connected_small");

/// Narrow forms of operators in [`ALL`]: each has the id and the bits of its operator, links less, and refuses a step that needs
/// what it leaves out ([`OpIssue::Narrow`]).
pub static NARROW: &[&OpDef] = &[
    &CONV2D_DENSE,
    &CONV_CHAIN_PLANAR,
    &DEPTHWISE_CONV2D_PLANAR,
    &DEPTHWISE_CONV2D_QUADS,
    &FULLY_CONNECTED_SMALL,
    &FULLY_CONNECTED_VECTOR,
];

/// How much higher the id of an operator's int16 form is.
pub const S16: u16 = 256;

/// How much higher the id of an operator's int32 form is.
pub const S32: u16 = 512;

ops! {
    1 conv2d Conv2d CONV2D CONV2D_S16,
    2 depthwise_conv2d DepthwiseConv2d DEPTHWISE_CONV2D DEPTHWISE_CONV2D_S16,
    3 fully_connected FullyConnected FULLY_CONNECTED FULLY_CONNECTED_S16 FULLY_CONNECTED_S32,
    4 max_pool2d MaxPool2d MAX_POOL2D MAX_POOL2D_S16,
    5 avg_pool2d AvgPool2d AVG_POOL2D AVG_POOL2D_S16 AVG_POOL2D_S32,
    6 add Add ADD ADD_S16 ADD_S32,
    7 sub Sub SUB SUB_S16 SUB_S32,
    8 mul Mul MUL MUL_S16,
    9 clamp Clamp CLAMP CLAMP_S16,
    10 table Table TABLE TABLE_S16,
    11 softmax Softmax SOFTMAX SOFTMAX_S16,
    12 pad Pad PAD,
    13 concat Concat CONCAT,
    14 slice Slice SLICE,
    15 reshape Reshape RESHAPE,
    16 transpose Transpose TRANSPOSE,
    17 reduce_mean ReduceMean REDUCE_MEAN REDUCE_MEAN_S16 REDUCE_MEAN_S32,
    18 reduce_sum ReduceSum REDUCE_SUM REDUCE_SUM_S16 REDUCE_SUM_S32,
    19 requantize Requantize REQUANTIZE REQUANTIZE_S16,
    20 maximum Maximum MAXIMUM MAXIMUM_S16,
    21 requantize_s8_s16 RequantizeS8S16 REQUANTIZE_S8_S16,
    22 requantize_s16_s8 RequantizeS16S8 REQUANTIZE_S16_S8,
    23 table_s16_s32 TableS16S32 TABLE_S16_S32,
    24 table_s32_s16 TableS32S16 TABLE_S32_S16,
    30 resample2d Resample2d RESAMPLE2D RESAMPLE2D_S16,
    31 normalize Normalize NORMALIZE NORMALIZE_S16,
    32 prelu PRelu PRELU PRELU_S16,
    33 lstm Lstm LSTM LSTM_S16,
    34 gru Gru GRU GRU_S16,
    35 rnn Rnn RNN RNN_S16,
    36 conv_chain ConvChain CONV_CHAIN CONV_CHAIN_S16,
    60 matmul MatMul MATMUL MATMUL_S16,
    61 div Div DIV DIV_S16,
    62 angle Angle ANGLE ANGLE_S16,
    63 minimum Minimum MINIMUM MINIMUM_S16,
    64 compare Compare COMPARE,
    65 select Select SELECT,
    66 logic Logic LOGIC,
    67 gather Gather GATHER,
    68 gather_elements GatherElements GATHER_ELEMENTS,
    69 gather_nd GatherNd GATHER_ND,
    70 scatter Scatter SCATTER,
    71 scatter_add ScatterAdd SCATTER_ADD SCATTER_ADD_S16,
    72 expand Expand EXPAND,
    73 arg_extreme ArgExtreme ARG_EXTREME,
    74 top_k TopK TOP_K,
    75 cumulative_sum CumulativeSum CUMULATIVE_SUM CUMULATIVE_SUM_S16,
    76 reduce_extreme ReduceExtreme REDUCE_EXTREME,
    77 reduce_square ReduceSquare REDUCE_SQUARE REDUCE_SQUARE_S16,
    78 log_sum_exp LogSumExp LOG_SUM_EXP LOG_SUM_EXP_S16,
    79 from_index FromIndex FROM_INDEX FROM_INDEX_S16,
    80 index_arithmetic IndexArithmetic INDEX_ARITHMETIC,
    120 embedding Embedding EMBEDDING,
    121 row_norm RowNorm ROW_NORM,
    122 row_linear RowLinear ROW_LINEAR,
    123 row_linear_add RowLinearAdd ROW_LINEAR_ADD,
    124 mlp_up MlpUp MLP_UP,
    125 attention Attention ATTENTION,
    126 argmax_rows ArgmaxRows ARGMAX_ROWS,
    180 add_tflite AddTfLite ADD_TFLITE,
    181 avg_pool2d_tflite AvgPool2dTfLite AVG_POOL2D_TFLITE,
}

/// Scratch memory as elements; what is left over at the end stays unused.
fn elements<T: FromBytes + IntoBytes + KnownLayout>(scratch: &mut [u8]) -> Option<&mut [T]> {
    let whole = scratch.len() & !(size_of::<T>() - 1);
    <[T]>::mut_from_bytes(scratch.get_mut(..whole)?).ok()
}

/// The operator with this id.
pub fn by_id(id: u16) -> Option<&'static OpDef> {
    ALL.iter().find(|op| op.id == id).copied()
}
