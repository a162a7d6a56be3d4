//! Tensors that a model keeps from one run to the next: recurrent state, streaming windows.
//!
//! A pair of an input and an output of the ONNX model becomes state ([`Graph::keep_state`]): what the output is in one
//! run, the input is in the next, and 0 in the first. On the device it is a tensor of the state pool, which begins with its zero
//! point, and a last step writes the output into it.

use anyhow::{Context, Result};
use ndarray::ArrayD;

use crate::calibrate::{Range, Samples};
use crate::ir::eval::eval;
use crate::ir::{Graph, ValueId};
use crate::ops::requantize::Requantize;
use crate::quantize::{QuantParams, Width, Widths};

/// A calibration set as one sequence: every sample finds the state that the samples before it have left.
pub struct Rollout<'s> {
    samples: &'s dyn Samples,
    /// For each sample the states before it.
    states: Vec<Vec<ArrayD<f32>>>,
}

impl<'s> Rollout<'s> {
    /// Runs `graph` over the samples, in order.
    ///
    /// # Errors
    /// If a sample cannot be read or does not fit.
    pub fn new(graph: &Graph, samples: &'s dyn Samples) -> Result<Self> {
        let mut states = Vec::new();
        if graph.states.is_empty() {
            return Ok(Self { samples, states });
        }
        let mut state = graph.initial_states();
        for index in 0..samples.len() {
            let mut inputs = samples.inputs(index).with_context(|| format!("calibration sample {index}"))?;
            inputs.extend(state.iter().cloned());
            states.push(state);
            state =
                eval(graph, &inputs).context("the first run over the calibration set")?.split_off(graph.outputs.len());
        }
        Ok(Self { samples, states })
    }
}

impl Samples for Rollout<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn inputs(&self, index: usize) -> Result<Vec<ArrayD<f32>>> {
        let mut inputs = self.samples.inputs(index)?;
        inputs.extend(self.states.get(index).into_iter().flatten().cloned());
        Ok(inputs)
    }
}

/// Gives input and output of every state one quantization, by a last node that converts the one to the other; `ranges`
/// grows along.
pub(crate) fn settle(graph: &mut Graph, ranges: &mut Vec<Option<Range>>, widths: &Widths) -> Result<()> {
    for at in 0..graph.states.len() {
        let [before, after] = [graph.states[at].input.value, graph.states[at].output.value];
        let seen = |value: ValueId| {
            let range = ranges[value.0].map(|r| (r.min, r.max)).or(graph.value(value).pin.map(|p| p.range()));
            range.unwrap_or((0.0, 0.0))
        };
        let (found, left) = (seen(before), seen(after));
        let range = Range { min: found.0.min(left.0), max: found.1.max(left.1) };
        let name = format!("{}/kept", graph.value(after).name);
        let kept = graph.push(&name, Requantize { to: None }.into(), &[after])?;
        ranges.resize(graph.values.len(), None);
        ranges[kept.0] = Some(range);
        let width = if widths.is_int16(before) { Width::Int16 } else { Width::Int8 };
        let held = if width == Width::Int16 { range.with_headroom() } else { range };
        for value in [before, kept] {
            graph.value_mut(value).pin = Some(QuantParams::over(width.data_type(), held.min, held.max));
        }
        graph.states[at].output.value = kept;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{Options, convert};
    use crate::ir::Port;
    use crate::ops::{add::Add, mul::Mul};
    use ndarray::{arr0, arr1};

    /// `y = x + s/2`, and y is the next s.
    fn leaky() -> Graph {
        let mut graph = Graph::default();
        let (x, s) = (graph.activation("x", &[2]), graph.activation("s", &[2]));
        let half = graph.constant("half", arr0(0.5).into_dyn());
        let decayed = graph.push("decayed", Mul { clamp: None }.into(), &[s, half]).unwrap();
        let y = graph.push("y", Add { clamp: None }.into(), &[x, decayed]).unwrap();
        let port = |value: ValueId, name: &str| Port { value, name: name.into(), onnx_shape: vec![2], perm: None };
        graph.inputs = vec![port(x, "x"), port(s, "s")];
        graph.outputs = vec![port(y, "y"), port(y, "s_next")];
        graph
    }

    #[test]
    fn state_outlives_a_run() {
        let mut graph = leaky();
        assert!(graph.keep_state("nothing", "s_next").is_err());
        graph.keep_state("s", "s_next").unwrap();
        assert_eq!((graph.inputs.len(), graph.outputs.len()), (1, 1));
        let frames: Vec<Vec<ArrayD<f32>>> =
            (0..20).map(|i| vec![arr1(&[1.0, (i as f32 * 0.5).sin()]).into_dyn()]).collect();
        let converted = convert(&graph, &frames, &Options::default(), &|| {}).unwrap();
        let model = teff::Model::verify(&converted.file).unwrap();
        assert!(model.state_len() > 0);
        let mut memory = crate::aligned::AlignedBytes::zeroed(model.memory_len());
        let mut session = teff::Session::new(&model, &mut memory).unwrap();
        let mut expected = [0.0_f32; 2];
        for (i, frame) in frames.iter().enumerate() {
            let entry = model.entry(0).unwrap();
            let tensor = entry.inputs().next().unwrap().tensor().unwrap();
            for (to, &x) in session.input_i8(0).unwrap().iter_mut().zip(&frame[0]) {
                *to = tensor.quantize_i8(x);
            }
            session.run().unwrap();
            let tensor = entry.outputs().next().unwrap().tensor().unwrap();
            for ((y, &q), x) in expected.iter_mut().zip(session.output_i8(0).unwrap()).zip(&frame[0]) {
                *y = x + *y * 0.5;
                assert!((tensor.dequantize_i8(q) - *y).abs() < 0.05, "frame {i}: {} for {y}", tensor.dequantize_i8(q));
            }
        }
    }
}
