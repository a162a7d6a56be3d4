//! The operators: one file each, and the one table that lists them.
//!
//! An operator's file defines its parameters as they stand in the file, and an implementation of [`Operator`]:
//! `check`, which proves once that a step of it can run, and `run`, which hands slices to a kernel. Adding one is
//! described in `docs/adding-an-operator.md`.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::exec::{Frame, RunError};
use crate::format::{OpIssue, StepView};

mod check;
#[cfg(test)]
mod tests;

/// What the file of an operator defines.
pub trait Operator {
    /// The parameters as they stand in the file.
    type Params: FromBytes + Immutable + KnownLayout + 'static;

    /// Slots of the inputs whose place the output may take, if it has as many bytes.
    const IN_PLACE: &'static [u8] = &[];

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
    /// [`Operator::IN_PLACE`].
    pub in_place: &'static [u8],
    /// [`Operator::check`], parameters parsed.
    pub check: fn(&StepView<'_>) -> Result<usize, OpIssue>,
    /// [`Operator::run`], parameters parsed.
    pub run: fn(&mut Frame<'_, '_>) -> Result<(), RunError>,
}

impl core::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}

const fn define<O: Operator>(id: u16, name: &'static str) -> OpDef {
    OpDef {
        id,
        name,
        in_place: O::IN_PLACE,
        check: |step| O::check(step, step.params().ok_or(OpIssue::ParamsLength)?),
        run: |frame| {
            let params = frame.params()?;
            O::run(frame, params)
        },
    }
}

macro_rules! ops {
    ($($id:literal $module:ident $name:ident $operator:ident,)*) => {
        $(
            pub mod $module;
            #[doc = concat!("Operator ", stringify!($id), ": see [`mod@", stringify!($module), "`].")]
            pub static $name: OpDef = define::<$module::$operator>($id, stringify!($module));
        )*

        /// Every operator of this runtime, in the order of their ids.
        pub static ALL: &[&OpDef] = &[$(&$name,)*];
    };
}

ops! {
    1 conv2d CONV2D Conv2d,
    2 depthwise_conv2d DEPTHWISE_CONV2D DepthwiseConv2d,
    3 fully_connected FULLY_CONNECTED FullyConnected,
    4 max_pool2d MAX_POOL2D MaxPool2d,
    5 avg_pool2d AVG_POOL2D AvgPool2d,
    6 add ADD Add,
    7 sub SUB Sub,
    8 mul MUL Mul,
    9 clamp CLAMP Clamp,
    10 table TABLE Table,
    11 softmax SOFTMAX Softmax,
    12 pad PAD Pad,
    13 concat CONCAT Concat,
    14 slice SLICE Slice,
    15 reshape RESHAPE Reshape,
    16 transpose TRANSPOSE Transpose,
    17 reduce_mean REDUCE_MEAN ReduceMean,
    18 reduce_sum REDUCE_SUM ReduceSum,
    19 requantize REQUANTIZE Requantize,
    20 maximum MAXIMUM Maximum,
}

/// Scratch memory as 32-bit words; what is left over at the end stays unused.
fn words(scratch: &mut [u8]) -> Option<&mut [i32]> {
    let whole = scratch.len() & !(size_of::<i32>() - 1);
    <[i32]>::mut_from_bytes(scratch.get_mut(..whole)?).ok()
}

/// The operator with this id.
pub fn by_id(id: u16) -> Option<&'static OpDef> {
    ALL.iter().find(|op| op.id == id).copied()
}
