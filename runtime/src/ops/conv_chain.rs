//! Convolutions one after another, a band of rows at a time, so that no image between two of them is there as a whole.
//!
//! Inputs: `x` (1, H, W, C) of elements E; then for each stage the four constants of [`super::conv2d`] or
//! [`super::depthwise_conv2d`]: `w`, `bias`, `mult`, `shift`. Output: (1, OH, OW, O) E, that of the last stage.
//! Arithmetic: that of the stages, to the bit. Scratch memory holds for each stage but the first the rows of its input that it
//! still reads, each from a multiple of 16 bytes, and behind them the scratch memory of one stage at a time.
//! Order of the bands: [`crate::kernels::conv::bands`].

use core::marker::PhantomData;
use core::mem;
use core::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::check::{self, ensure};
use super::layer::Layer;
use super::{Operator, conv2d};
use crate::arch::{Products, elements};
use crate::exec::{Frame, RunError};
use crate::format::layout::ALIGNMENT;
use crate::format::{OpIssue, StepView};
use crate::kernels::conv::bands::{self, Band, Bands, MAX_STAGES};
use crate::kernels::conv::{self, Conv2d, DepthwiseConv2d, Window};
use crate::kernels::{Element, Unary};

/// A stage as it stands in the file: the parameters of a chain are 2 to [`MAX_STAGES`] of these.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stage {
    /// The convolution: one group, or 0 groups if it is depthwise.
    pub conv: conv2d::Params,
    /// Height and width of its output.
    pub output: [u16; 2],
    /// Rows of its output that are computed at once, at least 1.
    pub rows: u16,
    /// Zero point of its output, a value of E.
    pub zero_point: i16,
}

/// The operator. If `PLANAR`, it refuses depthwise stages but those of [`conv::planar`], and links no others.
pub struct ConvChain<E, const PLANAR: bool = false>(PhantomData<E>);

/// Constants of a stage.
const CONSTANTS: usize = 4;

/// The slot of the weights of stage `index`, before those of its bias, multipliers and shifts.
pub const fn weights(index: usize) -> usize {
    index.saturating_mul(CONSTANTS).saturating_add(1)
}

/// Stage `index` as a layer over whole images.
fn layer<'p>(step: &StepView<'_>, stages: &'p [Stage], index: usize) -> Option<Layer<'p>> {
    let x = step.input(0)?;
    let written = |index: usize| {
        let Stage { output: [height, width], zero_point, .. } = *stages.get(index)?;
        let channels = step.input(weights(index) + 1)?.len;
        Some(([1, height.into(), width.into(), channels], i32::from(zero_point)))
    };
    let (input, read_zero) = match index.checked_sub(1) {
        Some(before) => written(before)?,
        None => (x.nhwc()?, x.zero_point),
    };
    let (output, zero_point) = written(index)?;
    let params = &stages.get(index)?.conv;
    Some(Layer { params, input, output, zero_points: [read_zero, zero_point], weights: weights(index) })
}

/// The stage of a band as a layer over whole images, as its kernel computes the band alone, and the rows of its input that it reads.
type Prepared<'m, 'p, E> = (Layer<'p>, Kernel<'m, E>, Range<usize>);

fn prepared<'m, 'p, E: Products>(
    step: &StepView<'m>,
    stages: &'p [Stage],
    band: &Band,
) -> Option<Prepared<'m, 'p, E>> {
    let layer = layer(step, stages, band.stage)?;
    let mut kernel = Kernel::of(step, &layer)?;
    let window = kernel.window();
    let read = window.rows_under(&band.output);
    *window = window.band(&band.output);
    Some((layer, kernel, read))
}

/// A stage as kernels take it.
enum Kernel<'m, E> {
    Dense(Conv2d<'m, E>),
    Depthwise(DepthwiseConv2d<'m, E>),
}

impl<'m, E: Products> Kernel<'m, E> {
    fn of(step: &StepView<'m>, layer: &Layer<'_>) -> Option<Self> {
        Some(match layer.is_depthwise() {
            true => Self::Depthwise(layer.depthwise_conv2d(step)?),
            false => Self::Dense(layer.conv2d(step)?),
        })
    }

    fn checked(step: &StepView<'m>, layer: &Layer<'_>) -> Result<Self, OpIssue> {
        Ok(match layer.is_depthwise() {
            true => Self::Depthwise(layer.check_depthwise_conv2d(step)?),
            false => Self::Dense(layer.check_conv2d(step)?),
        })
    }

    fn window(&mut self) -> &mut Window {
        match self {
            Self::Dense(p) => &mut p.window,
            Self::Depthwise(p) => &mut p.window,
        }
    }

    fn scratch_len(&self) -> Option<usize> {
        match self {
            Self::Dense(p) => conv::portable::conv2d_scratch_len(p),
            Self::Depthwise(p) => E::depthwise_scratch_len(p, false),
        }
    }

    fn is_narrow(&self) -> bool {
        !matches!(self, Self::Depthwise(p) if !conv::planar::applies(&p.window, p.multiplier))
    }

    fn run<const PLANAR: bool>(&self, x: &[E], w: &[i8], y: &mut [E], scratch: &mut [u8]) -> Option<()> {
        match self {
            Self::Dense(p) => E::dense_conv2d(p, Unary::Apart(x, y), w, scratch),
            Self::Depthwise(p) if PLANAR => E::planar_depthwise_conv2d(p, Unary::Apart(x, y), w, scratch),
            Self::Depthwise(p) => E::depthwise_conv2d(p, Unary::Apart(x, y), w, scratch),
        }
    }
}

/// A chain ready to run.
struct Chain {
    stages: [bands::Stage; MAX_STAGES],
    /// See [`bands::buffers`].
    buffers: [usize; MAX_STAGES + 1],
    len: usize,
}

impl Chain {
    /// Of a verified step, or of one whose layers have been checked; `None` if sizes overflow.
    fn new<E: Element>(step: &StepView<'_>, stages: &[Stage]) -> Option<Self> {
        let nothing = [0; 2];
        let window =
            Window { input: nothing, output: nothing, kernel: nothing, stride: nothing, dilation: nothing, pad: nothing };
        let mut geometry = [bands::Stage { window, rows: 0, in_row: 0 }; MAX_STAGES];
        for (index, stage) in stages.iter().enumerate() {
            let layer = layer(step, stages, index)?;
            let [_, _, width, channels] = layer.input;
            let in_row = width.checked_mul(channels)?;
            *geometry.get_mut(index)? = bands::Stage { window: layer.window(step)?, rows: stage.rows.into(), in_row };
        }
        let buffers = bands::buffers(geometry.get(..stages.len())?, ALIGNMENT / size_of::<E>())?;
        Some(Self { stages: geometry, buffers, len: stages.len() })
    }

    fn stages(&self) -> &[bands::Stage] {
        self.stages.get(..self.len).unwrap_or_default()
    }

    /// Bytes of the rows between stages.
    fn rows_len<E>(&self) -> Option<usize> {
        self.buffers.get(self.len)?.checked_mul(size_of::<E>())
    }
}

impl<E: Products, const PLANAR: bool> Operator for ConvChain<E, PLANAR> {
    type Params = [Stage];

    fn overlap(step: &StepView<'_>, stages: &[Stage]) -> Option<usize> {
        let [_, _, width, channels] = step.output(0)?.nhwc()?;
        let chain = Chain::new::<E>(step, stages)?;
        bands::overlap(chain.stages(), width.checked_mul(channels)?)?.checked_mul(size_of::<E>())
    }

    fn check(step: &StepView<'_>, stages: &[Stage]) -> Result<usize, OpIssue> {
        ensure((2..=MAX_STAGES).contains(&stages.len()), OpIssue::Params)?;
        check::operands(step, 1 + CONSTANTS * stages.len(), 1)?;
        let x = check::input(step, 0, E::DATA_TYPE)?.nhwc().ok_or(OpIssue::Shape)?;
        let y = check::output(step, 0, E::DATA_TYPE)?;
        ensure(x[0] == 1, OpIssue::Shape)?;
        let mut written = (x, 0);
        for (index, stage) in stages.iter().enumerate() {
            let layer = layer(step, stages, index).ok_or(OpIssue::Shape)?;
            let kernel = Kernel::<E>::checked(step, &layer)?;
            ensure(!PLANAR || kernel.is_narrow(), OpIssue::Narrow)?;
            ensure(stage.conv.groups <= 1 && stage.rows > 0, OpIssue::Params)?;
            let zero_point = i32::from(stage.zero_point);
            ensure((E::MIN.widen()..=E::MAX.widen()).contains(&zero_point), OpIssue::Params)?;
            written = (layer.output, zero_point);
        }
        ensure(y.nhwc() == Some(written.0), OpIssue::Shape)?;
        ensure(y.zero_point == written.1, OpIssue::Quantization)?;
        let chain = Chain::new::<E>(step, stages).ok_or(OpIssue::Shape)?;
        ensure(chain.stages().iter().all(bands::Stage::touches_image), OpIssue::Params)?;
        scratch_len::<E>(step, stages, &chain).ok_or(OpIssue::Shape)
    }

    fn run(frame: &mut Frame<'_, '_>, stages: &[Stage]) -> Result<(), RunError> {
        let error = frame.inconsistent();
        let step = frame.step();
        let chain = frame.expect(Chain::new::<E>(step, stages))?;
        let (mut operands, scratch) = frame.overlapping_with_scratch::<E>()?;
        let mut first_rows = [0; MAX_STAGES];
        for band in Bands::new(chain.stages()) {
            let rows = (&chain, &mut first_rows);
            run_band::<E, PLANAR>(step, stages, rows, &band, &mut operands, scratch).ok_or(error)?;
        }
        Ok(())
    }
}

/// Bytes of scratch memory: the rows between stages, and what the most needy band wants.
fn scratch_len<E: Products>(step: &StepView<'_>, stages: &[Stage], chain: &Chain) -> Option<usize> {
    let mut most = 0;
    for band in Bands::new(chain.stages()) {
        let (_, kernel, _) = prepared::<E>(step, stages, &band)?;
        most = most.max(kernel.scratch_len()?);
    }
    chain.rows_len::<E>()?.checked_add(most)
}

/// Computes a band. `first_rows` are the rows of the stages' inputs with which their buffers begin.
fn run_band<E: Products, const PLANAR: bool>(
    step: &StepView<'_>,
    stages: &[Stage],
    (chain, first_rows): (&Chain, &mut [usize; MAX_STAGES]),
    band: &Band,
    operands: &mut Unary<'_, E>,
    scratch: &mut [u8],
) -> Option<()> {
    let &Band { stage, ref output, kept_from } = band;
    let (layer, kernel, read) = prepared::<E>(step, stages, band)?;
    let w = step.constant(layer.weights)?;
    let ([_, _, in_w, in_c], [_, _, out_w, out_c]) = (layer.input, layer.output);
    let (in_row, out_row) = (in_w.checked_mul(in_c)?, out_w.checked_mul(out_c)?);

    let (rows, scratch) = scratch.split_at_mut_checked(chain.rows_len::<E>()?)?;
    let [start, next_start] = [*chain.buffers.get(stage)?, *chain.buffers.get(stage + 1)?];
    let (before, after) = elements::<E>(rows).split_at_mut_checked(next_start)?;
    let is_last = stage + 1 == stages.len();
    let (x, y) = match stage {
        0 => (operands.x(), after),
        _ if is_last => (before.get(start..)?, operands.y()),
        _ => (before.get(start..)?, after),
    };
    let from = read.start.checked_sub(*first_rows.get(stage)?)?.checked_mul(in_row)?;
    let x = x.get(from..)?.get(..read.len().checked_mul(in_row)?)?;
    let y_first = match is_last {
        true => 0,
        false => {
            let first = mem::replace(first_rows.get_mut(stage + 1)?, kept_from);
            drop_rows(y, kept_from.checked_sub(first)?, output.start.checked_sub(kept_from)?, out_row)?;
            kept_from
        }
    };
    let y = y.get_mut(output.start.checked_sub(y_first)?.checked_mul(out_row)?..)?;
    kernel.run::<PLANAR>(x, w, y.get_mut(..output.len().checked_mul(out_row)?)?, scratch)
}

/// Moves the `kept` rows behind the first `dropped` to the start.
fn drop_rows<E: Element>(rows: &mut [E], dropped: usize, kept: usize, row_len: usize) -> Option<()> {
    let distance = dropped.checked_mul(row_len)?;
    for row in 0..if dropped > 0 { kept } else { 0 } {
        let to = row.checked_mul(row_len)?;
        let (front, back) = rows.split_at_mut_checked(to.checked_add(distance)?)?;
        front.get_mut(to..)?.get_mut(..row_len)?.copy_from_slice(back.get(..row_len)?);
    }
    Some(())
}
