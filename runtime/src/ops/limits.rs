//! The ends of the range of results, as the parameters of many operators hold them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::ensure;
use crate::format::{OpIssue, Tensor};
use crate::kernels::{Element, Output};

/// Smallest and largest result: the ends of the element type, or of a fused activation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Limits {
    /// Smallest result, a value of the output's type.
    pub min: i16,
    /// Largest result, likewise.
    pub max: i16,
}

impl Limits {
    /// That they are a range of values of `E`.
    pub(super) fn check<E: Element>(self) -> Result<(), OpIssue> {
        let [min, max] = [self.min, self.max].map(i32::from);
        ensure(E::MIN.widen() <= min && min <= max && max <= E::MAX.widen(), OpIssue::Params)
    }

    /// The ends as elements.
    pub(super) fn ends<E: Element>(self) -> [E; 2] {
        [self.min, self.max].map(E::end)
    }

    /// Where the results of a step with this output land.
    pub(super) fn output<E: Element>(self, y: &Tensor<'_>) -> Output<E> {
        self.around(y.zero_point)
    }

    /// Where results with this zero point land.
    pub(super) fn around<E: Element>(self, zero_point: i32) -> Output<E> {
        let [min, max] = self.ends();
        Output { zero_point, min, max }
    }
}
