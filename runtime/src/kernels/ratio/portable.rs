//! Quotients and angles in plain Rust that any target runs well.

use super::reference::{angle_of, quotient};
use super::{Angle, Div};
use crate::kernels::elementwise::portable::broadcast;
use crate::kernels::{Binary, Element};

/// See [`super::reference::div`].
pub fn div<E: Element>(p: &Div<E>, operands: Binary<'_, E>) -> Option<()> {
    broadcast(&p.shape, operands, |a: E, b: E| quotient(p, a.widen(), b.widen()))
}

/// See [`super::reference::angle`].
pub fn angle<E: Element>(p: &Angle<E>, operands: Binary<'_, E>) -> Option<()> {
    broadcast(&p.shape, operands, |a: E, b: E| angle_of(p, a.widen(), b.widen()))
}
