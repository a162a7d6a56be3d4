//! Which input of an export is what.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};

use super::graph::{Graph, Input};
use super::value::Value;

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tokens,
    /// 1 for each token that is cached or new.
    Mask,
    Positions,
    /// Keys or values of the tokens before.
    Cache,
    /// How many logits are wanted; 0: all.
    Kept,
}

/// Makes the inputs of a graph for tokens.
#[derive(Debug)]
pub(super) struct Feed<'g> {
    inputs: Vec<(&'g Input, Kind)>,
    /// The output with the logits.
    pub(super) logits: &'g str,
    /// The outputs that are the next run's cache, in the order of the inputs.
    pub(super) presents: Vec<&'g str>,
    /// The only number of tokens that the export takes.
    fixed: Option<usize>,
}

impl<'g> Feed<'g> {
    pub(super) fn of(graph: &'g Graph) -> Result<Self> {
        let mut inputs = Vec::new();
        for input in &graph.inputs {
            let name = input.name.to_lowercase();
            let kind = match (name.as_str(), input.dims.len()) {
                (name, 4) if name.contains("past") || name.contains("cache") => Kind::Cache,
                (name, 1 | 2) if name.contains("position") => Kind::Positions,
                (name, 1 | 2) if name.contains("mask") => Kind::Mask,
                (name, 0 | 1) if name.contains("logits_to_keep") => Kind::Kept,
                (name, 1 | 2) if name.contains("ids") || name.contains("token") || name == "input" => Kind::Tokens,
                _ => bail!(
                    "input {} with {} axes is none of those of a language model: input_ids, attention_mask and \
                     position_ids of two axes, past_key_values.* of four",
                    input.name,
                    input.dims.len()
                ),
            };
            inputs.push((input, kind));
        }
        let tokens = inputs.iter().filter(|(_, kind)| *kind == Kind::Tokens);
        let [(ids, _)] = tokens.collect::<Vec<_>>()[..] else {
            bail!("exactly one input of token ids (input_ids) is wanted");
        };
        let fixed = *ids.dims.last().context("input_ids is a scalar")?;
        ensure!(
            ids.dims.len() == 1 || matches!(ids.dims[0], None | Some(1)),
            "input {}: a batch of {:?}; export with a batch of 1, or any",
            ids.name,
            ids.dims[0]
        );
        let logits = graph.outputs.iter().find(|o| o.to_lowercase().contains("logits")).or(graph.outputs.first());
        let logits = logits.context("no output")?.as_str();
        let presents: Vec<&str> = graph.outputs.iter().map(String::as_str).filter(|o| *o != logits).collect();
        let caches = inputs.iter().filter(|(_, kind)| *kind == Kind::Cache).count();
        let presents = if presents.len() == caches { presents } else { Vec::new() };
        Ok(Self { inputs, logits, presents, fixed })
    }

    /// How many tokens a run takes where `wanted` are.
    pub(super) fn tokens(&self, wanted: usize) -> usize {
        self.fixed.unwrap_or(wanted)
    }

    /// Whether runs can follow one another through the cache.
    pub(super) fn steps(&self) -> bool {
        self.fixed.is_none() && !self.presents.is_empty()
    }

    /// Inputs for tokens behind `before` others whose `cache` is given.
    pub(super) fn values(&self, ids: &[u32], before: usize, cache: &[Value]) -> Result<HashMap<String, Value>> {
        let mut cache = cache.iter();
        let line = |input: &Input, values: Vec<i64>| match input.dims.len() {
            1 => Value::integers(&[values.len()], values),
            _ => Value::integers(&[1, values.len()], values),
        };
        let one = |(input, kind): &(&Input, Kind)| -> Result<(String, Value)> {
            let value = match kind {
                Kind::Tokens => line(input, ids.iter().map(|&id| id.into()).collect())?,
                Kind::Mask => line(input, vec![1; before + ids.len()])?,
                Kind::Positions => line(input, (before..before + ids.len()).map(|p| p as i64).collect())?,
                Kind::Kept => ArrayD::<i64>::zeros(IxDyn(&vec![1; input.dims.len()])).into_shared().into(),
                Kind::Cache => match cache.next() {
                    Some(value) => value.clone(),
                    None => {
                        let lens = [input.dims[1], input.dims[3]];
                        let [Some(heads), Some(head)] = lens else {
                            bail!(
                                "input {}: shape {:?}; the numbers of heads and of elements must be fixed",
                                input.name,
                                input.dims
                            );
                        };
                        Value::floats(&[1, heads, 0, head], Vec::new())?
                    }
                },
            };
            Ok((input.name.clone(), value))
        };
        self.inputs.iter().map(one).collect()
    }
}

impl From<super::value::Array<i64>> for Value {
    fn from(array: super::value::Array<i64>) -> Self {
        Self::I(array)
    }
}
