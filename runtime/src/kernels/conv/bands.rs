//! Convolutions one after another, a band of rows at a time: in which order, and how many rows between two of them are kept.
//!
//! Each row is computed once. A stage computes its next rows as soon as all of the rows under their windows are there; until
//! then the stage before it goes on. Between two stages only those rows are kept that a window still reads.
//!
//! Source: Alwani et al., "Fused-layer CNN accelerators", MICRO 2016; Lin et al., "MCUNetV2: Memory-efficient patch-based
//! inference for tiny deep learning", NeurIPS 2021, which computes the rows under neighbouring patches again instead of keeping them.

use core::ops::Range;

use super::Window;

/// Most convolutions in a chain.
pub const MAX_STAGES: usize = 8;

/// One convolution of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Its window over the whole image.
    pub window: Window,
    /// Rows of its output that are computed at once, at least 1.
    pub rows: usize,
    /// Elements of a row of its input.
    pub in_row: usize,
}

/// Where in scratch memory the rows under the windows of each stage begin, in elements: each from a multiple of `align`; of the
/// first stage none. Then where all of them end. `None` if that overflows, or for more stages than [`MAX_STAGES`].
pub fn buffers(stages: &[Stage], align: usize) -> Option<[usize; MAX_STAGES + 1]> {
    let (mut starts, mut start) = ([0; MAX_STAGES + 1], 0_usize);
    for (index, stage) in stages.iter().enumerate() {
        *starts.get_mut(index)? = start;
        if index > 0 {
            let rows = stage.rows_kept().checked_mul(stage.in_row)?;
            start = start.checked_add(rows)?.checked_next_multiple_of(align)?;
        }
    }
    *starts.get_mut(stages.len())? = start;
    Some(starts)
}

impl Stage {
    /// Rows of its input that are there at once.
    pub fn rows_kept(&self) -> usize {
        let Window { input, kernel, stride, dilation, .. } = self.window;
        let reach = kernel[0].saturating_sub(1) * dilation[0] + 1;
        (self.rows.saturating_sub(1).saturating_mul(stride[0])).saturating_add(reach).min(input[0])
    }

    /// Whether the first window and the last have rows of the image under them, as then all have.
    pub fn touches_image(&self) -> bool {
        let last = self.window.output[0].saturating_sub(1);
        [0, last].iter().all(|&row| !self.window.rows_under(&(row..row + 1)).is_empty())
    }
}

/// Rows that a stage computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// The stage.
    pub stage: usize,
    /// The rows of its output.
    pub output: Range<usize>,
    /// The first row of its output that the next stage still reads; of the last stage that which it computes.
    pub kept_from: usize,
}

/// The bands of a chain, in the order in which they are computed.
#[derive(Debug, Clone)]
pub struct Bands<'s> {
    stages: &'s [Stage],
    /// Rows of each stage's output that have been computed, or that no window reads.
    done: [usize; MAX_STAGES],
}

impl<'s> Bands<'s> {
    /// All bands of these stages, of which there are at most [`MAX_STAGES`].
    pub fn new(stages: &'s [Stage]) -> Self {
        Self { stages, done: [0; MAX_STAGES] }
    }

    /// The first row of the chain's input that is still read; their number, if none is.
    pub fn first_row_read(&self) -> Option<usize> {
        let (Stage { window, .. }, done) = (self.stages.first()?, *self.done.first()?);
        Some(if done < window.output[0] { window.rows_under(&(done..done + 1)).start } else { window.input[0] })
    }
}

impl Iterator for Bands<'_> {
    type Item = Band;

    fn next(&mut self) -> Option<Band> {
        let mut at = self.stages.len().checked_sub(1)?;
        let (mut end, mut kept_from) = (self.stages.get(at)?.window.output[0], *self.done.get(at)?);
        if kept_from >= end {
            return None;
        }
        loop {
            let stage = self.stages.get(at)?;
            let done = self.done.get_mut(at)?;
            // What lies between two windows is never computed.
            *done = (*done).max(kept_from);
            let output = *done..end.min(done.saturating_add(stage.rows.max(1)));
            let input = stage.window.rows_under(&output);
            match at.checked_sub(1) {
                Some(before) if *self.done.get(before)? < input.end => {
                    (at, end, kept_from) = (before, input.end, input.start);
                }
                _ => {
                    *self.done.get_mut(at)? = output.end;
                    return Some(Band { stage: at, output, kept_from });
                }
            }
        }
    }
}

/// How many elements before the input the output must begin, for a chain to have read what it needs of the input before it
/// writes there: as [`super::overlap`], for rows of the output of `out_row` elements.
pub fn overlap(stages: &[Stage], out_row: usize) -> Option<usize> {
    let (in_row, mut bands, mut distance) = (stages.first()?.in_row, Bands::new(stages), 0);
    while let Some(band) = bands.next() {
        if band.stage + 1 == stages.len() {
            let read = bands.first_row_read()?.checked_mul(in_row)?;
            distance = distance.max(band.output.end.checked_mul(out_row)?.saturating_sub(read));
        }
    }
    Some(distance)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Geometries along the vertical axis: kernel, stride, dilation, padding above and below, rows at once.
    fn layers() -> impl Strategy<Value = Vec<[usize; 6]>> {
        let layer = (1..5_usize, 1..4_usize, 1..3_usize, 0..3_usize, 0..3_usize, 1..5_usize);
        prop::collection::vec(
            layer.prop_map(|(k, s, d, top, bottom, rows)| [k, s, d, top, bottom, rows]),
            1..=MAX_STAGES,
        )
    }

    /// As many of the layers as an image of this height has rows for.
    fn stages(mut height: usize, layers: &[[usize; 6]]) -> Vec<Stage> {
        let mut stages = Vec::new();
        for &[kernel, stride, dilation, top, bottom, rows] in layers {
            let Some(room) = (height + top + bottom).checked_sub((kernel - 1) * dilation + 1) else { break };
            let output = room / stride + 1;
            let window = Window {
                input: [height, 1],
                output: [output, 1],
                kernel: [kernel, 1],
                stride: [stride, 1],
                dilation: [dilation, 1],
                pad: [top, 0],
            };
            let stage = Stage { window, rows, in_row: 1 };
            if !stage.touches_image() {
                break;
            }
            stages.push(stage);
            height = output;
        }
        stages
    }

    proptest! {
        #[test]
        fn bands_compute_each_row_once_from_rows_that_are_kept(height in 1..40_usize, layers in layers()) {
            let stages = stages(height, &layers);
            // The rows that are there before each stage: all of the chain's input, then those of its buffer.
            let mut there: [Range<usize>; MAX_STAGES + 1] = Default::default();
            there[0] = 0..height;
            for band in Bands::new(&stages) {
                let Stage { window, rows, .. } = stages[band.stage];
                let (read, have) = (window.rows_under(&band.output), there[band.stage].clone());
                prop_assert!(!read.is_empty() && have.start <= read.start && read.end <= have.end, "{band:?} of {have:?}");
                prop_assert!((1..=rows).contains(&band.output.len()));
                // The band alone reads what the whole image's windows read.
                for (at, row) in band.output.clone().enumerate() {
                    for tap in 0..window.kernel[0] {
                        let alone = window.band(&band.output).tap(0, at, tap).map(|y| y + read.start);
                        prop_assert_eq!(alone, window.tap(0, row, tap));
                    }
                }
                let next = &mut there[band.stage + 1];
                if band.stage + 1 == stages.len() {
                    prop_assert_eq!(next.end, band.output.start);
                    next.end = band.output.end;
                } else {
                    // Rows are left out only if no window reads them.
                    prop_assert!(band.output.start == next.end || band.output.start == band.kept_from);
                    prop_assert!(band.output.start >= next.end && band.kept_from >= next.start);
                    *next = band.kept_from..band.output.end;
                    prop_assert!(next.len() <= stages[band.stage + 1].rows_kept(), "{next:?}");
                }
            }
            if let Some(last) = stages.last() {
                prop_assert_eq!(there[stages.len()].clone(), 0..last.window.output[0]);
            }
        }
    }

    #[test]
    fn a_row_at_a_time_begins_where_the_input_has_been_read() {
        let window = |height: usize, stride: usize| Window {
            input: [height, 4],
            output: [height / stride, 4 / stride],
            kernel: [3, 3],
            stride: [stride; 2],
            dilation: [1; 2],
            pad: [1; 2],
        };
        let stages =
            [(8, 1), (8, 2)].map(|(height, stride)| Stage { window: window(height, stride), rows: 1, in_row: 4 });
        let bands: Vec<_> = Bands::new(&stages).map(|band| (band.stage, band.output, band.kept_from)).collect();
        assert_eq!(bands[..4], [(0, 0..1, 0), (0, 1..2, 0), (1, 0..1, 0), (0, 2..3, 1)]);
        // Rows of 4 and 16 elements. When the last but one is written, 6 rows of the first stage are there, and row 5 of the input is
        // read next; when the last is, nothing is.
        assert_eq!(overlap(&stages, 16), Some(i32::max(48 - 5 * 4, 64 - 8 * 4) as usize));
        assert_eq!(buffers(&stages, 16).map(|starts| starts[..3].to_vec()), Some(std::vec![0, 0, 16]));
    }
}
