//! A lowered model: steps of the runtime over quantized tensors, before memory is planned and bytes are laid out.

use teff::ops::OpDef;

use crate::quantize::QuantParams;

/// Index of a [`TensorSpec`] in [`Program::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// Where a tensor's elements are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In the file: little-endian elements.
    Constant(Vec<u8>),
    /// In the arena, within a run.
    Arena,
    /// In the state, from run to run.
    State,
}

/// A tensor of the runtime.
#[derive(Debug, Clone)]
pub struct TensorSpec {
    /// Name for reports.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Element type, scale and zero point; [`QuantParams::plain`] where these have no meaning.
    pub quant: QuantParams,
    /// Where it is.
    pub content: Content,
}

impl TensorSpec {
    /// Bytes of all elements.
    pub fn byte_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.quant.data_type.size()
    }
}

/// A step of the runtime.
#[derive(Debug, Clone)]
pub struct StepSpec {
    /// The node it comes from.
    pub name: String,
    /// The operator.
    pub op: &'static OpDef,
    /// Operands.
    pub inputs: Vec<TensorId>,
    /// Results.
    pub outputs: Vec<TensorId>,
    /// The operator's parameters.
    pub params: Vec<u8>,
    /// Whether the output must not take the place of an input, although the operator could in another shape.
    pub apart: bool,
    /// How many bytes before its first input the output must begin to overlap it; none if it must not. See
    /// [`teff::ops::Operator::overlap`].
    pub overlap: Option<usize>,
    /// Bytes of scratch memory with which the operator is fastest, where that is more than it needs.
    pub scratch_wish: usize,
}

/// An input or output.
#[derive(Debug, Clone)]
pub struct PortSpec {
    /// The tensor.
    pub tensor: TensorId,
    /// The ONNX name.
    pub name: String,
    /// See [`crate::ir::Port::perm`].
    pub perm: Option<Vec<usize>>,
}

/// An entry point: consecutive steps and ports.
#[derive(Debug, Clone)]
pub struct EntrySpec {
    /// Its name.
    pub name: String,
    /// How many steps it has.
    pub steps: usize,
    /// How many inputs it has.
    pub inputs: usize,
    /// How many outputs it has.
    pub outputs: usize,
}

/// An entry point with its steps and ports.
#[derive(Debug, Clone)]
pub struct Entry<'p> {
    /// Its name.
    pub name: &'p str,
    /// Its steps.
    pub steps: std::ops::Range<usize>,
    /// Its inputs.
    pub inputs: &'p [PortSpec],
    /// Its outputs.
    pub outputs: &'p [PortSpec],
}

/// A model: entry points over the same constants and state.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// All tensors.
    pub tensors: Vec<TensorSpec>,
    /// All steps, in execution order.
    pub steps: Vec<StepSpec>,
    /// Inputs of all entry points, in their order.
    pub inputs: Vec<PortSpec>,
    /// Outputs of all entry points, in their order.
    pub outputs: Vec<PortSpec>,
    /// The entry points, which share out steps and ports in order; empty: one, `main`, has them all.
    pub entries: Vec<EntrySpec>,
}

impl Program {
    /// Adds a tensor.
    pub fn tensor(&mut self, spec: TensorSpec) -> TensorId {
        self.tensors.push(spec);
        TensorId(self.tensors.len() - 1)
    }

    /// The entry points.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        if self.entries.is_empty() {
            let (inputs, outputs) = (self.inputs.as_slice(), self.outputs.as_slice());
            return vec![Entry { name: "main", steps: 0..self.steps.len(), inputs, outputs }];
        }
        let (mut inputs, mut outputs, mut step) = (self.inputs.as_slice(), self.outputs.as_slice(), 0);
        let mut entries = Vec::new();
        for spec in &self.entries {
            let (own_inputs, further_inputs) = inputs.split_at(spec.inputs);
            let (own_outputs, further_outputs) = outputs.split_at(spec.outputs);
            let steps = step..step + spec.steps;
            (inputs, outputs, step) = (further_inputs, further_outputs, steps.end);
            entries.push(Entry { name: &spec.name, steps, inputs: own_inputs, outputs: own_outputs });
        }
        entries
    }
}
