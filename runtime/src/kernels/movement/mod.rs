//! Operators that move values and change none: of any type, given as bytes and the size of an element.

pub mod portable;
pub mod reference;
#[cfg(test)]
mod tests;

/// Parameters of [`reference::pad`].
#[derive(Debug, Clone, Copy)]
pub struct Pad<'a> {
    /// Shape of the input.
    pub x_shape: &'a [u32],
    /// Shape of the output.
    pub out_shape: &'a [u32],
    /// Elements in front of the input along each axis; entries beyond its axes are ignored.
    pub before: &'a [u16],
    /// What stands around the input: an element.
    pub value: &'a [u8],
}

/// Parameters of [`reference::concat`].
#[derive(Debug, Clone, Copy)]
pub struct Concat<'a> {
    /// Bytes of an element: 1, 2 or 4.
    pub size: usize,
    /// Shape of this operand.
    pub x_shape: &'a [u32],
    /// Shape of the output.
    pub out_shape: &'a [u32],
    /// The axis along which operands follow each other.
    pub axis: usize,
    /// Where this operand begins along it.
    pub start: usize,
}

/// Parameters of [`reference::slice`].
#[derive(Debug, Clone, Copy)]
pub struct Slice<'a> {
    /// Bytes of an element: 1, 2 or 4.
    pub size: usize,
    /// Shape of the input.
    pub x_shape: &'a [u32],
    /// Shape of the output.
    pub out_shape: &'a [u32],
    /// First index along each axis; entries beyond its axes are ignored.
    pub start: &'a [i32],
    /// Distance of neighbouring indices along each axis, not 0; entries beyond its axes are ignored.
    pub step: &'a [i32],
}

/// Parameters of [`reference::expand`].
#[derive(Debug, Clone, Copy)]
pub struct Expand<'a> {
    /// Bytes of an element.
    pub size: usize,
    /// Shape of the input.
    pub x_shape: &'a [u32],
    /// Shape of the output.
    pub out_shape: &'a [u32],
}

/// Parameters of [`reference::transpose`].
#[derive(Debug, Clone, Copy)]
pub struct Transpose<'a> {
    /// Bytes of an element: 1, 2 or 4.
    pub size: usize,
    /// Shape of the input.
    pub x_shape: &'a [u32],
    /// Shape of the output.
    pub out_shape: &'a [u32],
    /// Axis i of the output is axis `perm[i]` of the input; entries beyond its axes are ignored.
    pub perm: &'a [u8],
}
