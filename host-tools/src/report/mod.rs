//! What the tools say about a model, as data: the command line prints it as tables or as JSON, tests read it.
//!
//! * [`ModelReport`]: operators, shapes, costs and memory of a `.teff` file
//! * [`MemoryMap`]: which tensor lies where at which step
//! * [`Evaluation`]: accuracy of a `.teff` and of its float model on a data set
//! * [`LayerReport`]: how much of each layer's signal quantization keeps
//!
//! [`crate::interpreter`] and [`FloatModel`] run the two models that are compared: the runtime itself, and tract.

mod evaluation;
pub(crate) mod float;
mod layers;
mod map;
mod model;
pub mod text;

pub use evaluation::{Accuracy, Cosine, Evaluation, evaluate, is_vector, width_name};
pub(crate) use evaluation::{argmax, cosine};
pub use float::FloatModel;
pub use layers::{LayerReport, compare_layers};
pub use map::{MemoryMap, Role, Row, Span};
pub use model::{ModelReport, PortReport, StepReport, Totals};

#[cfg(test)]
mod tests;
