//! The one place that knows the target: it names, for each kernel family, the variant that the operators use.
//!
//! Every variant gives the bits of the family's `reference`; choosing among them changes speed only.

pub use crate::kernels::choice::portable as choice;
pub use crate::kernels::conv::portable as conv;
pub use crate::kernels::elementwise::portable as elementwise;
pub use crate::kernels::energy::portable as energy;
pub use crate::kernels::index::portable as index;
pub use crate::kernels::linear::portable as linear;
pub use crate::kernels::matmul::portable as matmul;
pub use crate::kernels::movement::portable as movement;
pub use crate::kernels::norm::portable as norm;
pub use crate::kernels::order::portable as order;
pub use crate::kernels::pool::portable as pool;
pub use crate::kernels::ratio::portable as ratio;
pub use crate::kernels::rectifier::portable as rectifier;
pub use crate::kernels::recurrence::portable as recurrence;
pub use crate::kernels::reduce::portable as reduce;
pub use crate::kernels::resample::portable as resample;
pub use crate::kernels::scan::portable as scan;
pub use crate::kernels::softmax::portable as softmax;
