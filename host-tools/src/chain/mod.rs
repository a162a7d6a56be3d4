//! A smaller arena: convolutions that follow one another become one step, [`teff::ops::conv_chain`], which computes them a band of
//! rows at a time, so that the images between them are never there as a whole. The bits stay the same, and no row is computed twice.

mod rewrite;

use anyhow::{Result, bail};
use serde::Serialize;
use teff::kernels::conv::bands::MAX_STAGES;

use crate::emit;
use crate::plan::{Plan, plan_with_wishes};
use crate::program::Program;
use crate::report::text::grouped;
use rewrite::{Links, rewritten};

/// Steps that have become one.
#[derive(Debug, Clone, Serialize)]
pub struct Chain {
    /// The nodes whose convolutions it computes; the last of them gives it its name.
    pub nodes: Vec<String>,
    /// Rows of its output that are computed at once.
    pub rows: usize,
}

/// A program that fits, and how it came to do so.
pub struct Fitted {
    /// The program.
    pub program: Program,
    /// Where everything lies.
    pub plan: Plan,
    /// Its chains.
    pub chains: Vec<Chain>,
}

/// Steps of the original program that are to become one, first and last of them included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    first: usize,
    last: usize,
    /// Rows of the last step's output that are computed at once.
    rows: usize,
}

/// A choice of segments, and what comes of it.
struct Attempt {
    segments: Vec<Segment>,
    program: Program,
    /// Scratch memory that each step needs.
    needs: Vec<usize>,
    plan: Plan,
}

/// How far an attempt is from the goal; smaller is better.
type Cost = (usize, usize, usize);

impl Attempt {
    fn new(original: &Program, segments: Vec<Segment>) -> Result<Self> {
        let program = rewritten(original, &segments)?;
        let needs = emit::scratch_needs(&program)?;
        let plan = crate::plan::plan(&program, &needs);
        Ok(Self { segments, program, needs, plan })
    }

    /// The bytes that live at all steps beyond the limit; then the arena; then the steps that are in chains.
    fn cost(&self, limit: usize) -> Cost {
        let fits = self.plan.arena_len <= limit;
        let excess = self.plan.live_bytes.iter().map(|live| live.saturating_sub(limit)).sum();
        let fused = self.segments.iter().map(|segment| segment.last - segment.first + 1).sum();
        if fits { (0, 0, fused) } else { (excess, self.plan.arena_len, fused) }
    }

    /// The step of the original program, which has so many, at which most lives.
    fn fullest(&self, steps: usize) -> usize {
        let most = self.plan.live_bytes.iter().max();
        // Each segment stands where its last step stood.
        let mut kept = rewrite::kept_steps(steps, &self.segments).zip(&self.plan.live_bytes);
        kept.find(|&(_, live)| Some(live) == most).map_or(0, |(step, _)| step)
    }
}

/// Finds chains with which `program` needs at most `limit` bytes of arena; none, if it does without. As few steps as it takes become
/// chains, of as many rows at once as there is room for.
///
/// # Errors
/// If none is found; the message tells the smallest arena that was, and the node at which most lives.
pub fn fit(program: &Program, limit: usize) -> Result<Fitted> {
    let mut best = Attempt::new(program, Vec::new())?;
    let links = Links::of(program);
    while best.plan.arena_len > limit {
        let fullest = best.fullest(program.steps.len());
        let mut better: Option<Attempt> = None;
        for segment in links.segments_with(fullest, MAX_STAGES) {
            // What it touches it replaces.
            let apart = |other: &&Segment| other.last < segment.first || other.first > segment.last;
            let mut segments: Vec<Segment> = best.segments.iter().filter(apart).copied().collect();
            segments.push(segment);
            segments.sort_by_key(|segment| segment.last);
            let attempt = Attempt::new(program, segments)?;
            if better.as_ref().unwrap_or(&best).cost(limit) > attempt.cost(limit) {
                better = Some(attempt);
            }
        }
        match better {
            Some(better) => best = better,
            None => bail!(
                "no plan with an arena of {} bytes was found, the smallest has {}: most lives at node {} ({}). \
                 Convolutions that follow one another can share memory row by row; choose a larger --max-arena, \
                 or smaller images there",
                grouped(limit),
                grouped(best.plan.arena_len),
                program.steps[fullest].name,
                program.steps[fullest].op.name
            ),
        }
    }
    for at in 0..best.segments.len() {
        best = with_more_rows(program, best, at, limit)?;
    }
    let plan = plan_with_wishes(&best.program, &best.needs, Some(limit));
    let chain = |&Segment { first, last, rows }: &Segment| Chain {
        nodes: program.steps[first..=last].iter().map(|step| step.name.clone()).collect(),
        rows,
    };
    let chains = best.segments.iter().map(chain).collect();
    Ok(Fitted { program: best.program, plan, chains })
}

/// Twice the rows at once, as often as there is room: fewer bands cost fewer instructions.
fn with_more_rows(program: &Program, mut best: Attempt, at: usize, limit: usize) -> Result<Attempt> {
    loop {
        let mut segments = best.segments.clone();
        segments[at].rows *= 2;
        let output = program.steps[segments[at].last].outputs[0];
        if segments[at].rows > program.tensors[output.0].shape[1] {
            return Ok(best);
        }
        let attempt = Attempt::new(program, segments)?;
        if attempt.plan.arena_len > limit {
            return Ok(best);
        }
        best = attempt;
    }
}
