//! Mixed precision: which activations must be int16 so that a model stays close to its float original.
//!
//! Quantization noise is nearly additive: each activation adds its own. So every activation is tried in int16 alone, all
//! others in int8; those that lower the noise of the outputs most are taken, as many of them as the goal asks for, and
//! of these every one that turns out not to be needed is given back. (A greedy search by sensitivity, as in Dong et al.,
//! "HAWQ-V2", NeurIPS 2020, with the measured noise in place of the Hessian's trace.)

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use rayon::prelude::*;
use serde::Serialize;
use teff::Model;

use super::Calibrated;
use crate::calibrate::Samples;
use crate::interpreter::Interpreter;
use crate::ir::eval::eval;
use crate::ir::{Graph, ValueId};
use crate::quantize::{Width, Widths};
use crate::report::{argmax, cosine, is_vector};

/// On how many samples, evenly spread, each activation is tried alone.
const RANKING_SAMPLES: usize = 16;
/// Up to how many activations are tried for being given back.
const MOST_GIVEN_BACK: usize = 24;

/// What the search found.
#[derive(Debug, Clone, Serialize)]
pub struct SearchReport {
    /// What [`SearchReport::max_drop`] bounds.
    pub measure: Measure,
    /// Samples on which it was measured.
    pub samples: usize,
    /// The goal, in percent.
    pub max_drop: f64,
    /// With all activations in int8 that may be.
    pub int8: Fidelity,
    /// With all activations in int16.
    pub int16: Fidelity,
    /// As chosen.
    pub chosen: Fidelity,
    /// Every activation, the most sensitive first.
    pub layers: Vec<LayerChoice>,
}

/// What a drop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The share of samples whose largest output is not that of the float model, if the first output is a vector of
    /// classes.
    Top1Disagreement,
    /// One minus the cosine of the outputs and those of the float model, mean over samples and outputs.
    CosineDistance,
}

/// How near a quantized model is to float.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fidelity {
    /// In percent: see [`Measure`].
    pub drop: f64,
    /// Power of the outputs over that of their noise, in decibels; none without any noise.
    pub sqnr_db: Option<f64>,
}

/// What was decided of an activation.
#[derive(Debug, Clone, Serialize)]
pub struct LayerChoice {
    /// The node that writes it, or the graph input.
    pub name: String,
    /// Its operator; `input` for a graph input.
    pub op: String,
    /// Elements: each is a byte more in int16.
    pub elements: usize,
    /// Of the outputs, with this activation alone in int16; on fewer samples than [`SearchReport::samples`].
    pub sqnr_db: Option<f64>,
    /// That, less the same with none in int16.
    pub gain_db: f64,
    /// Whether it is int16.
    pub int16: bool,
    /// Why.
    pub why: String,
}

/// The widths, and how they came about.
pub(super) struct Found {
    pub(super) widths: Widths,
    pub(super) report: SearchReport,
}

/// The activations that are tried alone: all that are not merely another's values moved.
pub fn candidates(graph: &Graph) -> Vec<ValueId> {
    Widths::independent(graph)
}

/// Float results to compare with.
struct Target<'s> {
    samples: &'s dyn Samples,
    outputs: Vec<Vec<ArrayD<f32>>>,
    measure: Measure,
}

/// The noise and the misses of a quantized model over samples.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    samples: f64,
    /// Noise power over signal power, summed over outputs.
    relative_noise: f64,
    outputs: f64,
    misses: f64,
}

impl Sums {
    fn fidelity(self) -> Fidelity {
        let noise = self.relative_noise / self.outputs.max(1.0);
        Fidelity {
            drop: 100.0 * self.misses / self.samples.max(1.0),
            sqnr_db: (noise > 0.0).then(|| -10.0 * noise.log10()).filter(|db| db.is_finite()),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            samples: self.samples + other.samples,
            relative_noise: self.relative_noise + other.relative_noise,
            outputs: self.outputs + other.outputs,
            misses: self.misses + other.misses,
        }
    }
}

impl Target<'_> {
    /// How near `file` comes on the samples of these indices.
    fn measure(&self, file: &[u8], indices: &[usize]) -> Result<Fidelity> {
        let model = Model::verify(file)?;
        let run = |interpreter: &mut Interpreter<'_>, &index: &usize| -> Result<Sums> {
            let found = interpreter.run(&self.samples.inputs(index)?)?;
            let float = self.outputs.get(index).context("no float result")?;
            let found: Vec<&ArrayD<f32>> = found.iter().map(|output| &output.device).collect();
            Ok(self.compare(&found, float))
        };
        let sums = indices
            .par_iter()
            .map_init(|| Interpreter::new(&model), run)
            .try_reduce(Sums::default, |a, b| Ok(a.plus(b)))?;
        Ok(sums.fidelity())
    }

    fn compare(&self, found: &[&ArrayD<f32>], float: &[ArrayD<f32>]) -> Sums {
        let mut sums = Sums { samples: 1.0, ..Sums::default() };
        for (found, float) in found.iter().zip(float) {
            let signal: f64 = float.iter().map(|&v| f64::from(v).powi(2)).sum();
            let noise: f64 = float.iter().zip(*found).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
            sums.relative_noise += if signal > 0.0 { noise / signal } else { noise };
            sums.outputs += 1.0;
        }
        sums.misses = match self.measure {
            Measure::Top1Disagreement => {
                let class = |outputs: &ArrayD<f32>| argmax(&outputs.iter().copied().collect::<Vec<f32>>());
                let differs = found.first().map(|y| class(y)) != float.first().map(class);
                f64::from(u8::from(differs))
            }
            Measure::CosineDistance => {
                let distances = found.iter().zip(float).map(|(a, b)| 1.0 - cosine(a, b));
                distances.sum::<f64>() / float.len().max(1) as f64
            }
        };
        sums
    }
}

/// Finds few activations that must be int16, beside those that `widths` names, for a drop of at most `max_drop` percent
/// over all `samples`.
///
/// # Errors
/// If not even int16 throughout reaches it.
pub(super) fn search(
    calibrated: &Calibrated<'_>,
    samples: &dyn Samples,
    widths: &Widths,
    max_drop: f64,
    tick: &(dyn Fn() + Sync),
) -> Result<Found> {
    let graph = calibrated.graph;
    ensure!(widths.default == Width::Int8, "all activations are int16 already: there is nothing to search for");
    let outputs = (0..samples.len()).into_par_iter().map(|index| eval(graph, &samples.inputs(index)?));
    let outputs: Vec<Vec<ArrayD<f32>>> = outputs.collect::<Result<_>>()?;
    let classes = graph.outputs.first().is_some_and(|port| is_vector(&graph.value(port.value).shape));
    let measure = if classes { Measure::Top1Disagreement } else { Measure::CosineDistance };
    let target = Target { samples, outputs, measure };
    let all: Vec<usize> = (0..samples.len()).collect();
    let few: Vec<usize> = all.iter().copied().step_by(samples.len().div_ceil(RANKING_SAMPLES)).collect();
    let fidelity = |widths: &Widths, indices: &[usize]| -> Result<Fidelity> {
        target.measure(&calibrated.emit(widths)?.file, indices)
    };
    let with = |chosen: &[ValueId]| Widths { int16: [&widths.int16[..], chosen].concat(), ..*widths };

    let int8 = fidelity(widths, &all)?;
    let int16 = fidelity(&Widths { default: Width::Int16, int16: Vec::new() }, &all)?;
    let base = fidelity(widths, &few)?.sqnr_db.unwrap_or(f64::INFINITY);
    let tried = candidates(graph).into_par_iter().map(|id| {
        let alone = fidelity(&with(&[id]), &few);
        tick();
        Ok((id, alone?.sqnr_db))
    });
    let mut tried: Vec<(ValueId, Option<f64>)> = tried.collect::<Result<_>>()?;
    tried.sort_by(|a, b| gain(b.1, base).total_cmp(&gain(a.1, base)));
    let order: Vec<ValueId> = tried.iter().map(|&(id, _)| id).collect();

    let meets = |chosen: &[ValueId]| -> Result<Option<Fidelity>> {
        Ok(Some(fidelity(&with(chosen), &all)?).filter(|fidelity| fidelity.drop <= max_drop))
    };
    let (chosen, reached, needed) = fewest(&order, int8, max_drop, meets)?.with_context(|| {
        format!(
            "with all activations in int16 the drop is {:.2} %, not {max_drop} %: calibrate with more samples or by \
             another method, or allow more",
            int16.drop
        )
    })?;
    let layers = tried.iter().map(|&(id, sqnr_db)| {
        let by_option = widths.int16.contains(&id);
        let int16 = by_option || chosen.contains(&id);
        let why = match (by_option, chosen.contains(&id)) {
            (true, _) => "as asked for",
            (_, true) => "the goal is missed without it",
            _ if order.iter().position(|&other| other == id).is_some_and(|place| place < needed) => {
                "the goal is reached without it"
            }
            _ => "the more sensitive ones reach the goal",
        };
        choice(graph, id, sqnr_db, base, int16, why)
    });
    let report = SearchReport {
        measure,
        samples: samples.len(),
        max_drop,
        int8,
        int16,
        chosen: reached,
        layers: layers.collect(),
    };
    let mut widths = with(&chosen);
    widths.int16.sort_unstable();
    widths.int16.dedup();
    Ok(Found { widths, report })
}

/// Decibels won; an exact result wins most.
fn gain(sqnr_db: Option<f64>, base: f64) -> f64 {
    sqnr_db.unwrap_or(1e3) - base.min(1e3)
}

fn choice(graph: &Graph, id: ValueId, sqnr_db: Option<f64>, base: f64, int16: bool, why: &str) -> LayerChoice {
    let producer = graph.producer(id).map(|node| &graph.nodes[node]);
    let value = graph.value(id);
    LayerChoice {
        name: producer.map_or(&value.name, |node| &node.name).clone(),
        op: producer.map_or("input".to_string(), |node| node.op.name().to_lowercase()),
        elements: value.len(),
        sqnr_db,
        gain_db: gain(sqnr_db, base),
        int16,
        why: why.to_string(),
    }
}

/// The fewest of `order`, most wanted first, that meet the goal, what they reach, and how long the shortest prefix of
/// `order` is that does; `None` if not even all of them meet it.
type Fewest = (Vec<ValueId>, Fidelity, usize);

fn fewest(
    order: &[ValueId],
    none: Fidelity,
    max_drop: f64,
    meets: impl Fn(&[ValueId]) -> Result<Option<Fidelity>>,
) -> Result<Option<Fewest>> {
    if none.drop <= max_drop {
        return Ok(Some((Vec::new(), none, 0)));
    }
    // The shortest prefix, taking more never to do harm: doubled until it is enough, then bisected.
    let (mut short, mut enough) = (0, 1.min(order.len()));
    let mut reached = loop {
        match meets(&order[..enough])? {
            Some(fidelity) => break fidelity,
            None if enough == order.len() => return Ok(None),
            None => (short, enough) = (enough, (2 * enough).min(order.len())),
        }
    };
    while enough - short > 1 {
        let middle = (short + enough) / 2;
        match meets(&order[..middle])? {
            Some(fidelity) => (enough, reached) = (middle, fidelity),
            None => short = middle,
        }
    }
    let mut chosen = order[..enough].to_vec();
    for id in order[..enough].iter().rev().take(MOST_GIVEN_BACK) {
        let without: Vec<ValueId> = chosen.iter().copied().filter(|other| other != id).collect();
        if let Some(fidelity) = meets(&without)? {
            (chosen, reached) = (without, fidelity);
        }
    }
    Ok(Some((chosen, reached, enough)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Fidelity = Fidelity { drop: 9.0, sqnr_db: None };

    /// The goal is met if all of `needed` are chosen.
    fn found(needed: &[usize], count: usize) -> Option<(Vec<usize>, usize)> {
        let order: Vec<ValueId> = (0..count).map(ValueId).collect();
        let meets = |chosen: &[ValueId]| {
            let all = needed.iter().all(|n| chosen.contains(&ValueId(*n)));
            Ok(all.then_some(Fidelity { drop: 0.1, sqnr_db: Some(40.0) }))
        };
        let found = fewest(&order, NONE, 0.5, meets).unwrap();
        found.map(|(chosen, _, prefix)| (chosen.iter().map(|id| id.0).collect(), prefix))
    }

    #[test]
    fn the_fewest_are_found() {
        assert_eq!(found(&[0], 9), Some((vec![0], 1)));
        assert_eq!(found(&[2, 5], 9), Some((vec![2, 5], 6)));
        assert_eq!(found(&[8], 9), Some((vec![8], 9)));
        assert_eq!(found(&[9], 9), None);
        assert_eq!(found(&[0], 0), None);
    }

    #[test]
    fn a_goal_that_int8_meets_costs_nothing() {
        let none = fewest(&[ValueId(0)], Fidelity { drop: 0.5, ..NONE }, 0.5, |_| unreachable!()).unwrap();
        assert_eq!(none.map(|(chosen, _, prefix)| (chosen, prefix)), Some((vec![], 0)));
    }
}
