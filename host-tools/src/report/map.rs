//! The memory map: which tensor lies where at which step.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use teff::Model;
use teff::format::{StepView, Storage};

use super::text::grouped;

/// Columns of the picture.
const COLUMNS: usize = 64;
/// Alignment of everything in the arena.
const ALIGNMENT: usize = teff::format::layout::ALIGNMENT;

/// What lies in a session's memory, step by step.
#[derive(Debug, Clone, Serialize)]
pub struct MemoryMap {
    /// Bytes of the memory.
    pub len: usize,
    /// A row for each step.
    pub rows: Vec<Row>,
}

/// The memory during one step.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The step.
    pub step: usize,
    /// Its operator.
    pub op: String,
    /// What holds a value.
    pub spans: Vec<Span>,
}

/// A piece of memory that holds a value.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// From the start of the memory.
    pub offset: usize,
    /// In bytes.
    pub len: usize,
    /// Index of the tensor; none for scratch memory.
    pub tensor: Option<usize>,
    /// What stands for it in the picture.
    pub glyph: char,
    /// What the step does with it.
    pub role: Role,
}

/// What a step does with a piece of memory, the least important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing: a later step reads it.
    Waits,
    /// Keeps a value from run to run.
    State,
    /// Reads it.
    Read,
    /// Uses it as scratch memory.
    Scratch,
    /// Writes it.
    Written,
}

impl Row {
    /// Bytes of arena that hold something, rounded up to the alignment of tensors.
    pub fn live_bytes(&self) -> usize {
        // Tensors in each other's place, or that overlap, count once.
        let arena = self.spans.iter().filter(|s| s.role != Role::State);
        let mut spans: Vec<(usize, usize)> =
            arena.map(|s| (s.offset, s.offset + s.len.next_multiple_of(ALIGNMENT))).collect();
        spans.sort_unstable();
        let mut covered = 0;
        let add = |sum: usize, &(start, end): &(usize, usize)| {
            let new = end.saturating_sub(start.max(covered));
            covered = covered.max(end);
            sum + new
        };
        spans.iter().fold(0, add)
    }

    /// What is seen of the memory in `range`: the span that matters most to the step, or that covers most of it.
    fn glyph(&self, range: std::ops::Range<usize>) -> (char, Role) {
        let covered = |s: &Span| (s.offset + s.len).min(range.end).saturating_sub(s.offset.max(range.start));
        let seen = self.spans.iter().filter(|s| covered(s) > 0).max_by_key(|s| (covered(s), s.role));
        seen.map_or(('·', Role::Waits), |s| (s.glyph, s.role))
    }
}

impl MemoryMap {
    /// Reads a verified model.
    pub fn new(model: &Model<'_>) -> Self {
        Self { len: model.memory_len(), rows: model.steps().map(|step| row(model, &step)).collect() }
    }

    /// The largest sum of what lives at one step.
    pub fn lower_bound(&self) -> usize {
        self.rows.iter().map(Row::live_bytes).max().unwrap_or(0)
    }

    /// A picture: a line for each step, the memory from left to right, a letter for each tensor.
    pub fn render(&self) -> String {
        let peak = self.lower_bound();
        let cell = self.len.div_ceil(COLUMNS).next_multiple_of(ALIGNMENT).max(ALIGNMENT);
        let columns = self.len.div_ceil(cell);
        let (written, read, dim) = (style(Role::Written), style(Role::Read), style(Role::Waits));
        let mut text = format!(
            "one column = {cell} bytes; {written}written{written:#}, {read}read{read:#}, {dim}kept for later{dim:#}, \
             '#' scratch, '=' state, '·' free\n"
        );
        let end = format!("0{:>width$}", grouped(self.len), width = columns.saturating_sub(1));
        let _ = writeln!(text, "step {end:columns$} {:>10}", "live");
        for row in &self.rows {
            let _ = write!(text, "{:>4} ", row.step);
            let cells: Vec<(char, Role)> = (0..columns).map(|c| row.glyph(c * cell..(c + 1) * cell)).collect();
            for run in cells.chunk_by(|(_, a), (_, b)| a == b) {
                let style = style(run[0].1);
                let _ = write!(text, "{style}{}{style:#}", run.iter().map(|(glyph, _)| glyph).collect::<String>());
            }
            let writes: String = row.spans.iter().filter(|s| s.role == Role::Written).map(|s| s.glyph).collect();
            let live = row.live_bytes();
            let mark = if live == peak { "  ◀ peak" } else { "" };
            let _ = writeln!(text, " {:>10}  {} → {writes}{mark}", grouped(live), row.op);
        }
        text
    }
}

fn style(role: Role) -> Style {
    match role {
        Role::Waits | Role::State => Style::new().dimmed(),
        Role::Read => AnsiColor::Cyan.on_default(),
        Role::Scratch => AnsiColor::Yellow.on_default(),
        Role::Written => AnsiColor::Green.on_default().bold(),
    }
}

fn row(model: &Model<'_>, step: &StepView<'_>) -> Row {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let now = u16::try_from(step.index).unwrap_or(u16::MAX);
    let mut letters = LETTERS.iter().cycle();
    let mut spans = Vec::new();
    for index in 0..model.tensor_count() {
        let Some(tensor) = model.tensor(index) else { continue };
        let Storage::Pool(pool) = tensor.storage else { continue };
        // Every tensor in memory uses up a letter, so that it has the same one in all rows.
        let letter = letters.next().map_or('?', |&letter| letter.into());
        let is = |operands: &[u16]| operands.iter().any(|&operand| usize::from(operand) == index);
        let (role, glyph) = if model.pool_kind(pool) != Some(0) {
            (Role::State, '=')
        } else if !(tensor.first..=tensor.last).contains(&now) {
            continue;
        } else if is(step.outputs) {
            (Role::Written, letter)
        } else if is(step.inputs) {
            (Role::Read, letter)
        } else {
            (Role::Waits, letter)
        };
        spans.push(Span { offset: tensor.offset, len: tensor.byte_len(), tensor: Some(index), glyph, role });
    }
    if step.scratch_len > 0 {
        let (offset, len) = (step.scratch_offset, step.scratch_len);
        spans.push(Span { offset, len, tensor: None, glyph: '#', role: Role::Scratch });
    }
    Row { step: step.index, op: step.op.name.to_string(), spans }
}
