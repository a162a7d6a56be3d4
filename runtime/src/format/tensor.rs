//! A tensor as the operators see it.

/// Element types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataType {
    /// Signed 8 bits: activations and weights.
    I8,
    /// Signed 16 bits: activations, zero point 0.
    I16,
    /// Signed 32 bits: biases and multipliers.
    I32,
    /// Unsigned 8 bits: shifts.
    U8,
}

impl DataType {
    /// The type with this code in the file.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::I8),
            2 => Some(Self::I16),
            3 => Some(Self::I32),
            4 => Some(Self::U8),
            _ => None,
        }
    }

    /// The code in the file.
    pub const fn code(self) -> u8 {
        match self {
            Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 3,
            Self::U8 => 4,
        }
    }

    /// Bytes of an element, and its alignment.
    pub const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
        }
    }

    /// Smallest and largest value.
    pub const fn range(self) -> (i32, i32) {
        match self {
            Self::I8 => (-128, 127),
            Self::I16 => (-32_768, 32_767),
            Self::I32 => (i32::MIN, i32::MAX),
            Self::U8 => (0, 255),
        }
    }

    /// Whether a tensor of this type may have this zero point: any value of the type, in int16 and int32 only 0.
    pub const fn admits_zero_point(self, zero_point: i32) -> bool {
        let (min, max) = self.range();
        match self {
            Self::I16 | Self::I32 => zero_point == 0,
            _ => min <= zero_point && zero_point <= max,
        }
    }
}

/// Where a tensor's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In the file.
    Constant,
    /// In a memory pool.
    Pool(u8),
}

/// A tensor: its type, shape and quantization, and where its elements are.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'m> {
    /// Element type.
    pub data_type: DataType,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: &'m [u32],
    /// The quantized value that stands for 0.
    pub zero_point: i32,
    /// Real value of one quantization step.
    pub scale: f32,
    /// Where the elements are.
    pub storage: Storage,
    /// From the start of the weights section, or of the session's memory.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
    /// First step at which the tensor holds a value.
    pub first: u16,
    /// Last step that reads it.
    pub last: u16,
}

impl Tensor<'_> {
    /// Bytes of all elements: less than 2^31, which verification has proved.
    pub fn byte_len(&self) -> usize {
        self.len.wrapping_mul(self.data_type.size())
    }

    /// The shape as `[N, H, W, C]`, if there are four axes.
    pub fn nhwc(&self) -> Option<[usize; 4]> {
        match *self.shape {
            [n, h, w, c] => Some([
                usize::try_from(n).ok()?,
                usize::try_from(h).ok()?,
                usize::try_from(w).ok()?,
                usize::try_from(c).ok()?,
            ]),
            _ => None,
        }
    }

    /// Dimension `axis`.
    pub fn dim(&self, axis: usize) -> Option<usize> {
        self.shape.get(axis).and_then(|&d| usize::try_from(d).ok())
    }

    /// Whether scale and zero point are those of `other`.
    pub fn same_quantization(&self, other: &Tensor<'_>) -> bool {
        self.zero_point == other.zero_point && self.scale.to_bits() == other.scale.to_bits()
    }

    /// Whether the first byte after `self` comes after the first of `other`, and the reverse.
    pub fn shares_memory(&self, other: &Tensor<'_>) -> bool {
        let (a, b) = (self.offset, other.offset);
        a < b.saturating_add(other.byte_len()) && b < a.saturating_add(self.byte_len())
    }

    /// Whether a step exists at which both hold values.
    pub fn lives_with(&self, other: &Tensor<'_>) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}
