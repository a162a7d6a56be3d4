//! Weights of 16 bits as two layers of 8.

use anyhow::Result;
use ndarray::{ArrayD, Axis};

use crate::calibrate::Samples;
use crate::ir::{Graph, eval::eval};
use crate::ops::{Op, add::Add, clamp::Clamp};

/// On so many samples [`fidelity`] is measured.
const SAMPLES: usize = 4;

/// Replaces each convolution and fully connected layer by the sum of two: one with the weights rounded to int8, and one with
/// what the rounding left. With int16 activations that is a layer with weights of 16 bits, for twice the weights and twice
/// the multiply-accumulates.
///
/// # Errors
/// If a layer refuses its operands: a bug.
pub fn run(graph: &mut Graph) -> Result<()> {
    let mut at = 0;
    while at < graph.nodes.len() {
        let Some((coarse, fine)) = halves(graph, at) else {
            at += 1;
            continue;
        };
        let mut node = graph.nodes[at].clone();
        let weights = graph.value(node.inputs[1]).name.clone();
        let clamp = bounds(&mut node.op).and_then(Option::take);
        let coarse = graph.constant(format!("{weights}.coarse"), coarse);
        let fine = graph.constant(format!("{weights}.fine"), fine);
        let mut operands = node.inputs.clone();
        operands[1] = coarse;
        let a = graph.insert(at, &format!("{}.coarse", node.name), node.op.clone(), &operands)?;
        let b = graph.insert(at + 1, &format!("{}.fine", node.name), node.op, &[node.inputs[0], fine])?;
        (graph.nodes[at + 2].op, graph.nodes[at + 2].inputs) = (Add { clamp }.into(), vec![a, b]);
        at += 3;
    }
    Ok(())
}

/// How near the float graph stays to itself when its weights are rounded to int8, and nothing else: the smallest cosine of an
/// output with and without, over a few samples.
///
/// # Errors
/// If a sample does not fit the graph.
pub fn fidelity(graph: &Graph, samples: &dyn Samples) -> Result<f64> {
    let mut rounded = graph.clone();
    for at in 0..rounded.nodes.len() {
        if let Some((coarse, _)) = halves(&rounded, at) {
            rounded.nodes[at].inputs[1] = rounded.constant("rounded", coarse);
        }
    }
    let mut smallest = 1.0_f64;
    for index in 0..samples.len().min(SAMPLES) {
        let inputs = samples.inputs(index)?;
        for (a, b) in eval(graph, &inputs)?.iter().zip(&eval(&rounded, &inputs)?) {
            let dot = |x: &ArrayD<f32>, y: &ArrayD<f32>| -> f64 {
                x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
            };
            let lengths = (dot(a, a) * dot(b, b)).sqrt();
            smallest = smallest.min(if lengths > 0.0 { dot(a, b) / lengths } else { 1.0 });
        }
    }
    Ok(smallest)
}

/// The weights of a layer rounded to int8 by output channel, and what is left of them; `None` for what is no such layer, or
/// one whose integers the model itself prescribes.
fn halves(graph: &Graph, at: usize) -> Option<(ArrayD<f32>, ArrayD<f32>)> {
    let node = &graph.nodes[at];
    if !matches!(node.op, Op::Conv2d(_) | Op::FullyConnected(_)) || graph.value(node.inputs[1]).integers.is_some() {
        return None;
    }
    let weights = graph.data(node.inputs[1])?.as_ref();
    let mut coarse = weights.clone();
    for mut channel in coarse.axis_iter_mut(Axis(0)) {
        let scale = channel.iter().fold(0.0_f32, |m, w| m.max(w.abs())) / 127.0;
        if scale > 0.0 {
            channel.mapv_inplace(|w| (w / scale).round() * scale);
        }
    }
    let fine = weights - &coarse;
    Some((coarse, fine))
}

fn bounds(op: &mut Op) -> Option<&mut Option<Clamp>> {
    match op {
        Op::Conv2d(op) => Some(&mut op.clamp),
        Op::FullyConnected(op) => Some(&mut op.clamp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fully_connected::FullyConnected;
    use crate::passes::testing::Harness;

    #[test]
    fn a_layer_is_the_sum_of_its_halves() {
        let mut h = Harness::new(&[2, 30]);
        let (w, bias) = (h.weight(&[5, 30]), h.weight(&[5]));
        let y = h.push(FullyConnected { clamp: Some(Clamp::RELU) }, &[h.x, w, bias]);
        let (mut graph, _) = h.check(y);
        let samples = vec![vec![crate::ops::testing::ramp(&[2, 30])]];
        let want = eval(&graph, &samples[0]).unwrap();
        let near = fidelity(&graph, &samples).unwrap();
        assert!(near > 0.999 && near < 1.0, "{near}");
        run(&mut graph).unwrap();
        assert_eq!(
            graph.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>(),
            ["FullyConnected", "FullyConnected", "Add"]
        );
        crate::ops::testing::reference_close(&eval(&graph, &samples[0]).unwrap()[0], &want[0]);
    }
}
