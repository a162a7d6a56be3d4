//! The float model, run by tract: the reference for accuracy, independent of our importer and interpreter.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use ndarray::ArrayD;
use tract_onnx::prelude::*;

use crate::data::InputSpec;

/// An ONNX model, ready to run.
pub struct FloatModel {
    plan: Arc<TypedRunnableModel>,
    /// For each input of the plan its place among the inputs given.
    order: Vec<usize>,
}

impl FloatModel {
    /// Loads `path` for inputs of these names and shapes.
    ///
    /// # Errors
    /// If tract cannot load it, or its inputs have other names or shapes.
    pub fn load(path: &Path, inputs: &[InputSpec]) -> Result<Self> {
        let what = path.display();
        let mut model =
            tract_onnx::onnx().with_ignore_value_info(true).model_for_path(path).with_context(|| what.to_string())?;
        let names: Vec<String> = model.input_outlets()?.iter().map(|o| model.node(o.node).name.clone()).collect();
        let mut order = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let place = inputs.iter().position(|input| input.name == *name).with_context(|| {
                let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
                format!("{what}: has an input {name}, the .teff has {}: not the same model", known.join(", "))
            })?;
            let shape = inputs[place].onnx_shape();
            model.set_input_fact(index, f32::fact(&shape).into())?;
            order.push(place);
        }
        ensure!(order.len() == inputs.len(), "{what}: has {} inputs, the .teff {}", order.len(), inputs.len());
        let plan = model.into_optimized().and_then(IntoRunnable::into_runnable);
        let plan = plan.with_context(|| format!("{what}: not with the input shapes of the .teff"))?;
        Ok(Self { plan, order })
    }

    /// Runs it on inputs in the ONNX layout.
    ///
    /// # Errors
    /// If they do not fit.
    pub fn run(&self, inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>> {
        let tensor = |&place: &usize| -> Result<TValue> {
            let x = inputs.get(place).with_context(|| format!("input {place} is missing"))?.as_standard_layout();
            let elements = x.as_slice().ok_or_else(|| anyhow!("input {place} is not contiguous"))?;
            Ok(Tensor::from_shape(x.shape(), elements)?.into())
        };
        let values = self.order.iter().map(tensor).collect::<Result<TVec<TValue>>>()?;
        let real = |y: &TValue| Ok(y.cast_to::<f32>()?.to_plain_array_view::<f32>()?.to_owned());
        self.plan.run(values)?.iter().map(real).collect()
    }
}
