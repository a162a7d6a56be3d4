//! Which steps can become a chain, and the program in which they are one.

use anyhow::{Context, Result};
use teff::format::layout::ALIGNMENT;
use teff::kernels::conv::{Window, bands};
use teff::ops::{CONV_CHAIN, CONV_CHAIN_S16, CONV2D, DEPTHWISE_CONV2D, FULLY_CONNECTED, S16};
use teff::ops::{conv_chain, conv2d, fully_connected};
use zerocopy::{FromBytes, IntoBytes};

use super::Segment;
use crate::ops::conv2d::wished_scratch;
use crate::program::{Content, Program, StepSpec, TensorId, TensorSpec};

/// Which steps can stand in one chain.
pub(super) struct Links {
    /// For each step whether it and the next can be neighbours in a chain.
    joined: Vec<bool>,
}

impl Links {
    pub(super) fn of(program: &Program) -> Self {
        let stages: Vec<Option<Stage>> = (0..program.steps.len()).map(|step| Stage::of(program, step)).collect();
        let joined = |step: usize| {
            let (Some(this), Some(Some(next))) = (&stages[step], stages.get(step + 1)) else { return false };
            let reads =
                program.steps.iter().flat_map(|step| &step.inputs).filter(|&&tensor| tensor == this.output).count();
            let is_port = program.outputs.iter().any(|port| port.tensor == this.output);
            // With several entry points the steps of one may be apart from those of another.
            next.input == this.output
                && next.is_wide == this.is_wide
                && reads == 1
                && !is_port
                && program.entries().len() == 1
        };
        Self { joined: (0..program.steps.len()).map(joined).collect() }
    }

    /// Every segment of 2 to `most` steps one of which is `step`, a row at once.
    pub(super) fn segments_with(&self, step: usize, most: usize) -> Vec<Segment> {
        let mut line = step..=step;
        while line.start().checked_sub(1).is_some_and(|before| self.joined[before]) {
            line = line.start() - 1..=step;
        }
        let first = *line.start();
        let last = (step..self.joined.len()).find(|&step| !self.joined[step]).unwrap_or(step);
        let segment = |first: usize| {
            (step.max(first + 1)..=last.min(first + most - 1)).map(move |last| Segment { first, last, rows: 1 })
        };
        (first..=step).flat_map(segment).collect()
    }
}

/// A convolution that can be a stage; a fully connected layer over the pixels of an image is one, of 1×1 windows.
struct Stage {
    input: TensorId,
    output: TensorId,
    params: conv2d::Params,
    window: Window,
    /// Whether it reads and writes int16.
    is_wide: bool,
}

impl Stage {
    fn of(program: &Program, step: usize) -> Option<Self> {
        let step = &program.steps[step];
        let [input, w, ..] = *step.inputs.as_slice() else { return None };
        let [output] = *step.outputs.as_slice() else { return None };
        let tensor = |id: TensorId| &program.tensors[id.0];
        if [input, output].iter().any(|&id| tensor(id).content != Content::Arena) {
            return None;
        }
        let is_wide = step.op.id >= S16;
        let id = if is_wide { step.op.id - S16 } else { step.op.id };
        let params = if id == FULLY_CONNECTED.id {
            let fully_connected::Params { limits } = fully_connected::Params::read_from_bytes(&step.params).ok()?;
            conv2d::Params { stride: [1; 2], dilation: [1; 2], groups: 1, limits, ..conv2d::Params::default() }
        } else if id == CONV2D.id || id == DEPTHWISE_CONV2D.id {
            conv2d::Params::read_from_bytes(&step.params).ok()?
        } else {
            return None;
        };
        let (&[1, in_h, in_w, _], &[1, out_h, out_w, _]) = (&*tensor(input).shape, &*tensor(output).shape) else {
            return None;
        };
        let kernel = match (params.groups, &*tensor(w).shape) {
            (0, &[height, width, _]) | (1, &[_, height, width, _]) => [height, width],
            (1, [_, _]) if [in_h, in_w] == [out_h, out_w] => [1, 1],
            _ => return None,
        };
        let window = params.window([in_h, in_w], [out_h, out_w], kernel);
        let stage = Self { input, output, params, window, is_wide };
        let fits = stage.geometry(program, 1).touches_image() && out_h.max(out_w) <= usize::from(u16::MAX);
        fits.then_some(stage)
    }

    fn geometry(&self, program: &Program, rows: usize) -> bands::Stage {
        let in_row = program.tensors[self.input.0].shape[2..].iter().product();
        bands::Stage { window: self.window, rows, in_row }
    }

    /// Scratch memory with which a band of so many rows is fastest, where that is more than it needs.
    fn wished_scratch(&self, program: &Program, rows: usize) -> Option<usize> {
        if self.is_wide {
            return None;
        }
        let channels = [self.input, self.output].map(|tensor| program.tensors[tensor.0].shape[3]);
        wished_scratch(&self.params, &self.window.band(&(0..rows)), channels)
    }
}

/// The steps of a program that stay: all but those of a segment before its last. In the place of that stands the chain.
pub(super) fn kept_steps(steps: usize, segments: &[Segment]) -> impl Iterator<Item = usize> + '_ {
    (0..steps).filter(|&step| !segments.iter().any(|s| (s.first..s.last).contains(&step)))
}

/// The program in which each segment is one step. Tensors that nothing names any more are gone.
pub(super) fn rewritten(program: &Program, segments: &[Segment]) -> Result<Program> {
    let mut new = Program { steps: Vec::new(), ..program.clone() };
    for step in kept_steps(program.steps.len(), segments) {
        let step = match segments.iter().find(|segment| segment.last == step) {
            Some(segment) => chain(program, segment, &mut new.tensors)?,
            None => program.steps[step].clone(),
        };
        new.steps.push(step);
    }
    keep_named_tensors(&mut new);
    Ok(new)
}

/// The step that computes a segment. Weights of fully connected layers join the tensors as those of convolutions.
fn chain(program: &Program, segment: &Segment, tensors: &mut Vec<TensorSpec>) -> Result<StepSpec> {
    let steps = &program.steps[segment.first..=segment.last];
    let stages: Vec<Stage> = (segment.first..=segment.last)
        .map(|step| Stage::of(program, step).with_context(|| format!("{}: no convolution", program.steps[step].name)))
        .collect::<Result<_>>()?;
    let mut rows = segment.rows;
    let mut geometry: Vec<bands::Stage> = Vec::new();
    // As many rows at once as the next stage takes in.
    for stage in stages.iter().rev() {
        geometry.insert(0, stage.geometry(program, rows.min(stage.window.output[0])));
        rows *= stage.window.stride[0];
    }
    let mut inputs = vec![stages[0].input];
    let mut params = Vec::new();
    for ((step, stage), geometry) in steps.iter().zip(&stages).zip(&geometry) {
        let weights = &program.tensors[step.inputs[1].0];
        inputs.push(match *weights.shape {
            [filters, depth] => {
                tensors.push(TensorSpec { shape: vec![filters, 1, 1, depth], ..weights.clone() });
                TensorId(tensors.len() - 1)
            }
            _ => step.inputs[1],
        });
        inputs.extend(&step.inputs[2..]);
        let output = &program.tensors[stage.output.0];
        params.extend_from_slice(
            conv_chain::Stage {
                conv: stage.params,
                output: [u16::try_from(output.shape[1])?, u16::try_from(output.shape[2])?],
                rows: u16::try_from(geometry.rows)?,
                zero_point: i16::try_from(output.quant.zero_point)?,
            }
            .as_bytes(),
        );
    }
    let last = &steps[steps.len() - 1];
    let output = &program.tensors[last.outputs[0].0];
    let (size, is_wide) = (output.quant.data_type.size(), stages[0].is_wide);
    let overlap = bands::overlap(&geometry, output.shape[2..].iter().product()).map(|distance| distance * size);
    let between = bands::buffers(&geometry, ALIGNMENT / size).context("the rows between convolutions are too large")?;
    let wish =
        stages.iter().zip(&geometry).filter_map(|(stage, geometry)| stage.wished_scratch(program, geometry.rows)).max();
    Ok(StepSpec {
        name: last.name.clone(),
        op: if is_wide { &CONV_CHAIN_S16 } else { &CONV_CHAIN },
        inputs,
        outputs: last.outputs.clone(),
        params,
        apart: true,
        overlap,
        scratch_wish: wish.map_or(0, |wish| between[stages.len()] * size + wish),
    })
}

/// Removes tensors that no step and no port names: each would take its place in the arena.
fn keep_named_tensors(program: &mut Program) {
    let Program { tensors, steps, inputs, outputs, .. } = program;
    let mut named: Vec<&mut TensorId> =
        steps.iter_mut().flat_map(|step| step.inputs.iter_mut().chain(&mut step.outputs)).collect();
    named.extend(inputs.iter_mut().chain(outputs).map(|port| &mut port.tensor));
    let mut is_named = vec![false; tensors.len()];
    named.iter().for_each(|tensor| is_named[tensor.0] = true);
    let new_id: Vec<usize> = is_named
        .iter()
        .scan(0, |next, &named| {
            let id = *next;
            *next += usize::from(named);
            Some(id)
        })
        .collect();
    named.into_iter().for_each(|tensor| tensor.0 = new_id[tensor.0]);
    let mut is_named = is_named.into_iter();
    tensors.retain(|_| is_named.next().unwrap_or_default());
}
