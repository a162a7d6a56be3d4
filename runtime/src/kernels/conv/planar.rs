//! Depthwise convolution with 3×3 windows, channel by channel.
//!
//! The part of a channel that a tile of outputs needs is copied to scratch memory, widened to 16 bits and padding
//! filled in; there its rows lie close together, neighbours share a word, and the weights of the channel stay in
//! registers. Where the tile is the whole image, the output may take the place of the input: when the results of a
//! channel are written, all of its inputs have been copied.

use super::{DepthwiseConv2d, Window};
use crate::arch::{elements, gather_plane, tile3x3};
use crate::fixed::Multiplier;
use crate::kernels::{PerChannel, Unary};

/// Distances of a plane's rows that the inner loops know, in elements; a tile is not wider than the last.
pub const PITCHES: [usize; 3] = [16, 32, 64];
/// Widest tile, in input elements, unless the whole image is wanted.
const TILE_WIDTH: usize = 32;
/// Elements behind the plane that an inner loop may read, and ignores.
pub const MARGIN: usize = 8;
/// Most rows of outputs that a tile wishes for.
const TILE_ROWS: usize = 16;

/// How the outputs are cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tiles {
    /// Output rows of a tile.
    rows: usize,
    /// Output columns of a tile.
    columns: usize,
    /// Elements from one row of the plane to the next, one of [`PITCHES`].
    pitch: usize,
}

impl Tiles {
    /// Bytes of scratch memory: the plane.
    fn scratch_len(&self, stride: usize) -> usize {
        (span(self.rows, stride) * self.pitch + MARGIN) * size_of::<i16>()
    }

    /// Tiles of this many rows, as wide as may be; `None` if none of [`PITCHES`] will do.
    fn new(window: &Window, rows: usize, whole_width: bool) -> Option<Self> {
        let ([_, out_w], [_, stride]) = (window.output, window.stride);
        let columns = match whole_width || span(out_w, stride) <= TILE_WIDTH {
            true => out_w,
            false => (TILE_WIDTH - 3).checked_div(stride)? + 1,
        };
        let pitch = PITCHES.into_iter().find(|&pitch| span(columns, stride) <= pitch)?;
        Some(Self { rows, columns, pitch })
    }

    /// The tiles for so much scratch memory; the whole image, if the output takes the place of the input.
    fn within(window: &Window, len: usize, in_place: bool) -> Option<Self> {
        let [out_h, _] = window.output;
        if in_place {
            return Self::new(window, out_h, true);
        }
        let mut tiles = Self::new(window, 1, false)?;
        while tiles.rows < out_h {
            let more = Self { rows: tiles.rows + 1, ..tiles };
            if more.scratch_len(window.stride[0]) > len {
                break;
            }
            tiles = more;
        }
        Some(tiles)
    }
}

/// Inputs under `count` neighbouring outputs.
fn span(count: usize, stride: usize) -> usize {
    count.saturating_sub(1) * stride + 3
}

/// Whether this is a convolution of this module: 3×3 with neighbouring taps, steps of 1 or 2 alike, an output channel for
/// each input channel.
pub fn applies(window: &Window, multiplier: usize) -> bool {
    let Window { kernel, stride, dilation, .. } = *window;
    multiplier == 1 && kernel == [3, 3] && dilation == [1, 1] && (stride == [1, 1] || stride == [2, 2])
}

/// The window, rows taken for columns, if that gives longer rows and no larger plane. And whether they were.
///
/// What a row costs beside its outputs weighs on high and narrow images, such as spectrograms.
#[inline(never)]
fn level(window: &Window) -> (Window, bool) {
    let flipped = window.flipped();
    let plane = |window: &Window| {
        let whole = Tiles::new(window, window.output[0], true)?;
        Some(whole.scratch_len(window.stride[0]))
    };
    match (plane(window), plane(&flipped)) {
        (Some(as_it_is), Some(other)) if window.output[0] > window.output[1] && other <= as_it_is => (flipped, true),
        _ => (*window, false),
    }
}

/// Whether the output may take the place of the input.
pub fn applies_in_place(window: &Window, multiplier: usize) -> bool {
    let (window, _) = &level(window);
    let whole = Tiles::new(window, window.output[0], true);
    applies(window, multiplier) && window.input == window.output && whole.is_some()
}

/// Bytes of scratch memory that [`depthwise_conv2d`] needs.
pub fn scratch_len(window: &Window, in_place: bool) -> Option<usize> {
    let (window, _) = &level(window);
    Some(Tiles::within(window, 0, in_place)?.scratch_len(window.stride[0]))
}

/// Bytes of scratch memory with which [`depthwise_conv2d`] is fastest.
pub fn wished_scratch(window: &Window) -> Option<usize> {
    let (window, _) = &level(window);
    Some(Tiles::new(window, window.output[0].min(TILE_ROWS), false)?.scratch_len(window.stride[0]))
}

/// See [`super::reference::depthwise_conv2d`]. `None` where [`applies`], or in place [`applies_in_place`], does not hold.
#[inline(never)]
pub fn depthwise_conv2d(
    p: &DepthwiseConv2d<i8>,
    mut operands: Unary<'_, i8>,
    w: &[i8],
    scratch: &mut [u8],
) -> Option<()> {
    let in_place = matches!(operands, Unary::InPlace(_));
    if !applies(&p.window, p.multiplier) || (in_place && !applies_in_place(&p.window, p.multiplier)) {
        return None;
    }
    let (window, flipped) = &level(&p.window);
    let tiles = Tiles::within(window, scratch.len(), in_place)?;
    let plane: &mut [i16] = elements(scratch.get_mut(..tiles.scratch_len(window.stride[0]))?);
    let channels = p.in_channels;
    let [[in_h, in_w], [out_h, out_w]] = [window.input, window.output];
    let (image, result) = (in_h * in_w * channels, out_h * out_w * channels);
    let steps = |height: usize, width: usize| {
        if *flipped { [channels, height * channels] } else { [width * channels, channels] }
    };
    let (x_steps, y_steps) = (steps(in_h, in_w), steps(out_h, out_w));
    for n in 0..p.batch {
        for oy in (0..out_h).step_by(tiles.rows.max(1)) {
            for ox in (0..out_w).step_by(tiles.columns.max(1)) {
                let size = [tiles.rows.min(out_h - oy), tiles.columns.min(out_w - ox)];
                let tile = Tile::new(window, [oy, ox], size, tiles.pitch)?;
                // Padding is the same for all channels: only what is inside is copied for each.
                plane.fill(p.pad_value.into());
                for c in 0..channels {
                    let x = operands.x().get(n * image..)?.get(..image)?;
                    tile.copy(x.get(c..)?, x_steps, plane)?;
                    let y = operands.y().get_mut(n * result..)?.get_mut(..result)?;
                    let y = y.get_mut(oy * y_steps[0] + ox * y_steps[1] + c..)?;
                    tile.channel(&p.requant, plane, &weights(w.get(c..)?, channels, *flipped), (c, y_steps), y)?;
                }
            }
        }
    }
    Some(())
}

/// A rectangle of outputs.
struct Tile {
    stride: usize,
    pitch: usize,
    /// Outputs: rows and columns.
    size: [usize; 2],
    /// Where in the plane the inputs begin, and where in the image.
    to: [usize; 2],
    from: [usize; 2],
    /// Inputs: rows and columns that are no padding.
    inside: [usize; 2],
}

impl Tile {
    fn new(window: &Window, origin: [usize; 2], size: [usize; 2], pitch: usize) -> Option<Self> {
        let stride = window.stride[0];
        let (mut to, mut from, mut inside) = ([0; 2], [0; 2], [0; 2]);
        let axes =
            to.iter_mut().zip(&mut from).zip(&mut inside).zip(origin).zip(size).zip(window.pad).zip(window.input);
        for ((((((to, from), inside), origin), size), pad), input) in axes {
            let len = span(size, stride);
            *to = pad.saturating_sub(origin * stride).min(len);
            *from = (origin * stride + *to).saturating_sub(pad).min(input);
            *inside = (input - *from).min(len - *to);
        }
        Some(Self { stride, pitch, size, to, from, inside })
    }

    /// Copies the inputs of one channel to `plane`; in `x` rows and columns are `row_step` and `step` elements apart.
    #[inline(always)]
    fn copy(&self, x: &[i8], [row_step, step]: [usize; 2], plane: &mut [i16]) -> Option<()> {
        if self.inside.contains(&0) {
            return Some(());
        }
        let x = x.get(self.from[0] * row_step + self.from[1] * step..)?;
        let plane = plane.get_mut(self.to[0] * self.pitch + self.to[1]..)?;
        gather_plane(x, step, row_step, self.inside, self.pitch, plane)
    }

    /// Computes the outputs of channel `c`; `y` begins at the first of them.
    #[inline(always)]
    fn channel(
        &self,
        requant: &PerChannel<i8>,
        plane: &[i16],
        weights: &[i16; 9],
        (c, [row_step, step]): (usize, [usize; 2]),
        y: &mut [i8],
    ) -> Option<()> {
        let channel = Channel {
            weights: *weights,
            bias: *requant.bias.get(c)?,
            m: Multiplier { mult: *requant.mult.get(c)?, shift: *requant.shift.get(c)? },
            output: requant.output,
        };
        let outputs = Outputs { size: self.size, step, row_step };
        tile3x3(&channel, plane, self.pitch, self.stride, &outputs, y)
    }
}

/// The weights of a channel, row by row: every `channels`-th of `w`.
#[inline(always)]
fn weights(w: &[i8], channels: usize, flipped: bool) -> [i16; 9] {
    let mut weights = [0; 9];
    let mut at = 0;
    for to in &mut weights {
        *to = w.get(at).copied().unwrap_or_default().into();
        at += channels;
    }
    let [a, b, c, d, e, f, g, h, i] = weights;
    if flipped { [a, d, g, b, e, h, c, f, i] } else { weights }
}

/// What the outputs of one channel come from, beside the plane.
pub struct Channel {
    /// Row by row.
    pub weights: [i16; 9],
    /// With the input's zero point folded in.
    pub bias: i32,
    /// Factor.
    pub m: Multiplier,
    /// Where results land.
    pub output: crate::kernels::Output<i8>,
}

/// Where the outputs of a tile lie.
pub struct Outputs {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Elements from one column to the next.
    pub step: usize,
    /// Elements from one row to the next.
    pub row_step: usize,
}

/// The outputs of a tile, in plain Rust: see [`tile3x3`].
#[inline(always)]
pub fn tile3x3_plain(
    channel: &Channel,
    plane: &[i16],
    pitch: usize,
    stride: usize,
    outputs: &Outputs,
    y: &mut [i8],
) -> Option<()> {
    let w = channel.weights.map(i32::from);
    for i in 0..outputs.size[0] {
        let plane = plane.get(i * pitch * stride..)?;
        let pixels = y.get_mut(i * outputs.row_step..)?.chunks_mut(outputs.step.max(1)).take(outputs.size[1]);
        for (values, pixel) in plane.windows((2 * pitch + 3).max(1)).step_by(stride.max(1)).zip(pixels) {
            let (a, b) = (values.get(pitch..)?, values.get(2 * pitch..)?);
            let ([a0, a1, a2, ..], [b0, b1, b2, ..], [c0, c1, c2, ..]) = (values, a, b) else { return None };
            let x = [a0, a1, a2, b0, b1, b2, c0, c1, c2];
            let sum = x.into_iter().zip(w).fold(channel.bias, |sum, (&x, w)| sum.wrapping_add(i32::from(x) * w));
            *pixel.first_mut()? = channel.output.finish(crate::fixed::requantize(sum, channel.m));
        }
    }
    Some(())
}

/// Whether [`gather_plain`] with these arguments reads and writes within slices of these lengths, and does at all.
pub const fn gather_fits(
    [x_len, plane_len]: [usize; 2],
    step: usize,
    row_step: usize,
    [rows, columns]: [usize; 2],
    pitch: usize,
) -> bool {
    match (rows.checked_sub(1), columns.checked_sub(1)) {
        (Some(row), Some(column)) => row * row_step + column * step < x_len && row * pitch + column < plane_len,
        _ => false,
    }
}

/// Copies `size` rows and columns: every `step`-th element of `x`, rows `row_step` apart, to rows of `plane` `pitch` apart.
#[inline(always)]
pub fn gather_plain(
    x: &[i8],
    step: usize,
    row_step: usize,
    [rows, columns]: [usize; 2],
    pitch: usize,
    plane: &mut [i16],
) -> Option<()> {
    for (i, row) in plane.chunks_mut(pitch.max(1)).take(rows).enumerate() {
        let values = x.get(i * row_step..)?.iter().step_by(step.max(1));
        row.iter_mut().take(columns).zip(values).for_each(|(to, &from)| *to = from.into());
    }
    Some(())
}
