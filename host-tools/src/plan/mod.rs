//! Memory planning: lifetimes, in-place operators, and an offset for each tensor and scratch buffer in the arena.

mod exact;
mod pack;

use serde::Serialize;

use crate::program::{Content, Program};
pub use pack::{Block, Overlap, pack};

/// Alignment of every arena tensor: that of the runtime's memory.
pub const ALIGNMENT: usize = teff::format::layout::ALIGNMENT;

/// When a tensor holds a value: from the step that writes it to the last that reads it, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lifetime {
    /// Step that writes it; 0 for an input.
    pub first: usize,
    /// Last step that reads it; the last of all for an output.
    pub last: usize,
}

/// Where everything lies.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// For each tensor of the program: its offset in its pool; 0 for constants.
    pub offsets: Vec<usize>,
    /// For each tensor of the program.
    pub lifetimes: Vec<Lifetime>,
    /// For each step: offset of its scratch buffer.
    pub scratch_offsets: Vec<usize>,
    /// For each step: bytes of scratch.
    pub scratch_lens: Vec<usize>,
    /// Bytes of arena.
    pub arena_len: usize,
    /// Bytes of state.
    pub state_len: usize,
    /// No plan of these steps in this order can need less arena: the largest sum of what lives at one step.
    pub lower_bound: usize,
    /// Whether no plan of these steps in this order and with this scratch memory needs less arena.
    pub is_optimal: bool,
    /// For each step: the bytes that live at it, scratch memory included.
    pub live_bytes: Vec<usize>,
    /// Steps that write their output in the place of an input.
    pub in_place: Vec<usize>,
}

/// Plans the memory of `program`, whose step `i` needs `scratch_lens[i]` bytes of scratch.
pub fn plan(program: &Program, scratch_lens: &[usize]) -> Plan {
    let lifetimes = lifetimes(program);
    let (block_of, in_place) = share_in_place(program, &lifetimes);
    let last_step = program.steps.len().saturating_sub(1);

    // One block for each set of tensors that share a place, then one for each scratch buffer.
    let mut blocks: Vec<Block> = Vec::new();
    let mut index_of_root = vec![usize::MAX; program.tensors.len()];
    let is_arena = |t: usize| program.tensors[t].content == Content::Arena;
    for t in (0..program.tensors.len()).filter(|&t| is_arena(t)) {
        let root = block_of[t];
        if index_of_root[root] == usize::MAX {
            index_of_root[root] = blocks.len();
            blocks.push(Block { len: 0, first: last_step, last: 0 });
        }
        let block = &mut blocks[index_of_root[root]];
        block.len = block.len.max(program.tensors[t].byte_len().next_multiple_of(ALIGNMENT));
        block.first = block.first.min(lifetimes[t].first);
        block.last = block.last.max(lifetimes[t].last);
    }
    let scratch_start = blocks.len();
    blocks.extend(scratch_lens.iter().enumerate().map(|(step, &len)| Block {
        len: len.next_multiple_of(ALIGNMENT),
        first: step,
        last: step,
    }));

    let mut overlaps = Vec::new();
    for (i, step) in program.steps.iter().enumerate() {
        let (Some(distance), Some(x), [y]) = (step.overlap, step.inputs.first(), step.outputs.as_slice()) else {
            continue;
        };
        let is_output = program.outputs.iter().any(|p| p.tensor == *x);
        let read_once = step.inputs.iter().filter(|input| *input == x).count() == 1;
        if is_output || !read_once || !is_arena(x.0) || !is_arena(y.0) || block_of[x.0] == block_of[y.0] {
            continue;
        }
        let (x, y) = (index_of_root[block_of[x.0]], index_of_root[block_of[y.0]]);
        if blocks[x].last == i && blocks[y].first == i {
            overlaps.push(Overlap { x, y, distance: distance.next_multiple_of(ALIGNMENT) });
        }
    }
    let packed = pack(&blocks, &overlaps);
    let mut offsets = vec![0; program.tensors.len()];
    let mut state_len = 0;
    for (t, tensor) in program.tensors.iter().enumerate() {
        match tensor.content {
            Content::Constant(_) => {}
            Content::Arena => offsets[t] = packed.offsets[index_of_root[block_of[t]]],
            Content::State => {
                offsets[t] = state_len;
                state_len += tensor.byte_len().next_multiple_of(ALIGNMENT);
            }
        }
    }
    Plan {
        offsets,
        lifetimes,
        scratch_offsets: (0..program.steps.len())
            .map(|s| if scratch_lens[s] == 0 { 0 } else { packed.offsets[scratch_start + s] })
            .collect(),
        scratch_lens: scratch_lens.to_vec(),
        arena_len: packed.len,
        state_len,
        lower_bound: packed.lower_bound,
        is_optimal: packed.is_optimal,
        live_bytes: (0..program.steps.len()).map(|step| pack::live_at(&blocks, &overlaps, step)).collect(),
        in_place,
    }
}

/// [`plan`], in which steps get the scratch memory that they wish for, as long as the arena grows by no more than
/// 1/16 in all, or by 256 bytes if that is more, and not beyond `max_arena` bytes.
pub fn plan_with_wishes(program: &Program, needs: &[usize], max_arena: Option<usize>) -> Plan {
    /// Speed may cost this part of the arena.
    const GROWTH: usize = 16;
    /// In a small arena it may cost this many bytes: what widens a vector of 128 elements.
    const SMALL_GROWTH: usize = 256;
    let tight = plan(program, needs);
    let limit = tight.arena_len + (tight.arena_len / GROWTH).max(SMALL_GROWTH);
    let limit = limit.min(max_arena.unwrap_or(usize::MAX)).max(tight.arena_len);
    let mut lens: Vec<usize> =
        program.steps.iter().zip(needs).map(|(step, &need)| step.scratch_wish.max(need)).collect();
    let all = plan(program, &lens);
    if all.arena_len <= limit {
        return all;
    }
    // Where most lives, a wish is least likely to fit: those come last.
    let mut steps: Vec<usize> = (0..lens.len()).filter(|&step| lens[step] > needs[step]).collect();
    steps.sort_by_key(|&step| all.live_bytes[step]);
    let wishes = std::mem::replace(&mut lens, needs.to_vec());
    let mut best = tight;
    for step in steps {
        lens[step] = wishes[step];
        let wished = plan(program, &lens);
        if wished.arena_len <= limit {
            best = wished;
        } else {
            lens[step] = needs[step];
        }
    }
    best
}

fn lifetimes(program: &Program) -> Vec<Lifetime> {
    let mut lifetimes = vec![Lifetime { first: 0, last: 0 }; program.tensors.len()];
    for (i, step) in program.steps.iter().enumerate() {
        step.outputs.iter().for_each(|t| lifetimes[t.0] = Lifetime { first: i, last: i });
        step.inputs.iter().for_each(|t| lifetimes[t.0].last = i);
    }
    for entry in program.entries() {
        entry.inputs.iter().for_each(|port| lifetimes[port.tensor.0].first = entry.steps.start);
        entry.outputs.iter().for_each(|port| lifetimes[port.tensor.0].last = entry.steps.end - 1);
    }
    for (t, tensor) in program.tensors.iter().enumerate() {
        if tensor.content != Content::Arena {
            lifetimes[t] = Lifetime { first: 0, last: 0 };
        }
    }
    lifetimes
}

/// For each tensor the first of those whose place it takes (itself if none), and the steps that work in place.
fn share_in_place(program: &Program, lifetimes: &[Lifetime]) -> (Vec<usize>, Vec<usize>) {
    let mut root: Vec<usize> = (0..program.tensors.len()).collect();
    let mut steps = Vec::new();
    for (i, step) in program.steps.iter().enumerate() {
        let [out] = step.outputs.as_slice() else { continue };
        if step.apart {
            continue;
        }
        let candidate =
            step.op.in_place().iter().filter_map(|&slot| step.inputs.get(usize::from(slot))).find(|input| {
                let (x, y) = (&program.tensors[input.0], &program.tensors[out.0]);
                // The caller reads an output after the last step.
                let is_output = program.outputs.iter().any(|p| p.tensor == **input);
                !is_output
                    && [&x.content, &y.content] == [&Content::Arena; 2]
                    && lifetimes[input.0].last == i
                    && x.byte_len() == y.byte_len()
            });
        if let Some(input) = candidate {
            root[out.0] = root[input.0];
            steps.push(i);
        }
    }
    (root, steps)
}
