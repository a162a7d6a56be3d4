//! Large steps, split over the threads of a rayon pool.
//!
//! A step is halved, and its halves again: by images, rows of outputs or vectors, and a single vector's product by outputs. The same
//! kernel computes each output as before, so that the bits are the same for any number of threads. Where the output takes the
//! input's place, the input is copied to the heap; this is the only module that uses one.

use core::cell::Cell;
use std::{thread_local, vec};

use zerocopy::IntoBytes;

use crate::arch::Products;
use crate::kernels::conv::{Conv2d, DepthwiseConv2d, Window, portable};
use crate::kernels::linear::FullyConnected;
use crate::kernels::{Element, PerChannel, Unary};

/// Products that are worth a thread: of fewer, waking it costs more than it saves.
const WORTH: usize = 1 << 19;

thread_local! {
    static SPLIT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `run`, and splits large steps of sessions that run in it over the threads of the rayon pool in which it is called: of the
/// global pool, or of another inside its `install`. Steps are split that `run`'s own thread begins. Results are the same as
/// without.
pub fn over_threads<R>(run: impl FnOnce() -> R) -> R {
    /// Puts back what was, also after a panic.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            SPLIT.set(self.0);
        }
    }
    let _before = Before(SPLIT.replace(true));
    run()
}

/// Parameters of a step that can be split. All functions rely on parameters that verification admits, and report others by `None`.
pub(super) trait Split: Copy + Send + Sync {
    /// Its element.
    type Element: Element;

    /// Parts of which it consists.
    fn units(&self) -> usize;
    /// Products.
    fn macs(&self) -> Option<usize>;
    /// Bytes of scratch memory that its kernel needs with input and output apart.
    fn scratch_len(&self) -> Option<usize>;
    /// The first so many units and the others.
    fn halves<'a>(&self, at: usize, data: Data<'a, Self::Element>) -> Option<[Part<'a, Self>; 2]>;
}

/// Input, weights and output.
pub(super) struct Data<'a, E> {
    x: &'a [E],
    w: &'a [i8],
    y: &'a mut [E],
}

type Part<'a, P> = (P, Data<'a, <P as Split>::Element>);

/// Runs `kernel`, on several threads where that is wanted and worth it.
pub(super) fn run<P: Split>(
    p: &P,
    operands: Unary<'_, P::Element>,
    w: &[i8],
    scratch: &mut [u8],
    kernel: impl Fn(&P, Unary<'_, P::Element>, &[i8], &mut [u8]) -> Option<()> + Sync,
) -> Option<()> {
    let worth = if SPLIT.get() { p.macs()?.checked_div(WORTH)? } else { 1 };
    let parts = if worth > 1 { rayon::current_num_threads().min(worth).min(p.units()) } else { 1 };
    if parts < 2 {
        return kernel(p, operands, w, scratch);
    }
    match operands {
        Unary::Apart(x, y) => spread(p, parts, Data { x, w, y }, &kernel),
        mut operands => {
            let x = operands.x().to_vec();
            spread(p, parts, Data { x: &x, w, y: operands.y() }, &kernel)
        }
    }
}

/// Runs `kernel` on so many parts.
fn spread<P: Split>(
    p: &P,
    parts: usize,
    data: Data<'_, P::Element>,
    kernel: &(impl Fn(&P, Unary<'_, P::Element>, &[i8], &mut [u8]) -> Option<()> + Sync),
) -> Option<()> {
    if parts < 2 {
        let mut scratch = vec![0_u128; p.scratch_len()?.div_ceil(size_of::<u128>())];
        return kernel(p, Unary::Apart(data.x, data.y), data.w, scratch.as_mut_bytes());
    }
    let first = parts / 2;
    let [(p, a), (q, b)] = p.halves(p.units().checked_mul(first)?.checked_div(parts)?, data)?;
    let (a, b) = rayon::join(|| spread(&p, first, a, kernel), || spread(&q, parts - first, b, kernel));
    a.and(b)
}

/// Along which axis an image's outputs are split.
enum Axis {
    Images,
    Rows,
}

impl Axis {
    fn of(batch: usize) -> Self {
        if batch > 1 { Self::Images } else { Self::Rows }
    }

    fn units(batch: usize, window: &Window) -> usize {
        match Self::of(batch) {
            Self::Images => batch,
            // The last window begins within the image: see `halves`.
            Self::Rows => {
                let [out_h, _] = window.output;
                let last = out_h.saturating_sub(1).saturating_mul(window.stride[0]);
                if last < window.input[0].saturating_add(window.pad[0]) { out_h } else { 1 }
            }
        }
    }

    /// Batches and windows of both halves, and their data, of which the weights are the same.
    fn halves<'a, E>(
        at: usize,
        (batch, window): (usize, Window),
        [in_channels, out_channels]: [usize; 2],
        data: Data<'a, E>,
    ) -> Option<[(usize, Window, Data<'a, E>); 2]> {
        let ([in_h, in_w], [out_h, out_w]) = (window.input, window.output);
        let (in_row, out_row) = (in_w.checked_mul(in_channels)?, out_w.checked_mul(out_channels)?);
        let Data { x, w, y } = data;
        if let Self::Images = Self::of(batch) {
            let (a, b) = x.split_at_checked(at.checked_mul(in_h)?.checked_mul(in_row)?)?;
            let (y, z) = y.split_at_mut_checked(at.checked_mul(out_h)?.checked_mul(out_row)?)?;
            let others = batch.checked_sub(at)?;
            return Some([(at, window, Data { x: a, w, y }), (others, window, Data { x: b, w, y: z })]);
        }
        let (y, z) = y.split_at_mut_checked(at.checked_mul(out_row)?)?;
        // The others' first window begins there in the padded image.
        let top = at.checked_mul(window.stride[0])?;
        let skipped = top.saturating_sub(window.pad[0]);
        let below = x.get(skipped.checked_mul(in_row)?..)?;
        let (mut upper, mut lower) = (window, window);
        upper.output = [at, out_w];
        lower.output = [out_h.checked_sub(at)?, out_w];
        lower.input = [in_h.checked_sub(skipped)?, in_w];
        lower.pad = [window.pad[0].saturating_sub(top), window.pad[1]];
        Some([(batch, upper, Data { x, w, y }), (batch, lower, Data { x: below, w, y: z })])
    }
}

impl<E: Products> Split for Conv2d<'_, E> {
    type Element = E;

    fn units(&self) -> usize {
        Axis::units(self.batch, &self.window)
    }

    fn macs(&self) -> Option<usize> {
        let [out_h, out_w] = self.window.output;
        let outputs = self.batch.checked_mul(out_h)?.checked_mul(out_w)?.checked_mul(self.out_channels)?;
        outputs.checked_mul(self.depth()?)
    }

    fn scratch_len(&self) -> Option<usize> {
        portable::conv2d_scratch_len(self)
    }

    fn halves<'a>(&self, at: usize, data: Data<'a, E>) -> Option<[Part<'a, Self>; 2]> {
        let halves = Axis::halves(at, (self.batch, self.window), [self.in_channels, self.out_channels], data)?;
        Some(halves.map(|(batch, window, data)| (Self { batch, window, ..*self }, data)))
    }
}

impl<E: Products> Split for DepthwiseConv2d<'_, E> {
    type Element = E;

    fn units(&self) -> usize {
        Axis::units(self.batch, &self.window)
    }

    fn macs(&self) -> Option<usize> {
        let ([out_h, out_w], [kh, kw]) = (self.window.output, self.window.kernel);
        let channels = self.in_channels.checked_mul(self.multiplier)?;
        self.batch.checked_mul(out_h)?.checked_mul(out_w)?.checked_mul(channels)?.checked_mul(kh)?.checked_mul(kw)
    }

    fn scratch_len(&self) -> Option<usize> {
        E::depthwise_scratch_len(self, false)
    }

    fn halves<'a>(&self, at: usize, data: Data<'a, E>) -> Option<[Part<'a, Self>; 2]> {
        let channels = [self.in_channels, self.in_channels.checked_mul(self.multiplier)?];
        let halves = Axis::halves(at, (self.batch, self.window), channels, data)?;
        Some(halves.map(|(batch, window, data)| (Self { batch, window, ..*self }, data)))
    }
}

impl<E: Products> Split for FullyConnected<'_, E> {
    type Element = E;

    fn units(&self) -> usize {
        if self.rows > 1 { self.rows } else { self.outputs }
    }

    fn macs(&self) -> Option<usize> {
        self.rows.checked_mul(self.inputs)?.checked_mul(self.outputs)
    }

    fn scratch_len(&self) -> Option<usize> {
        self.inputs.checked_mul(size_of::<E>())
    }

    fn halves<'a>(&self, at: usize, data: Data<'a, E>) -> Option<[Part<'a, Self>; 2]> {
        let Data { x, w, y } = data;
        if self.rows > 1 {
            let (a, b) = x.split_at_checked(at.checked_mul(self.inputs)?)?;
            let (y, z) = y.split_at_mut_checked(at.checked_mul(self.outputs)?)?;
            let others = self.rows.checked_sub(at)?;
            let (p, q) = (Self { rows: at, ..*self }, Self { rows: others, ..*self });
            return Some([(p, Data { x: a, w, y }), (q, Data { x: b, w, y: z })]);
        }
        let (v, w) = w.split_at_checked(at.checked_mul(self.inputs)?)?;
        let (y, z) = y.split_at_mut_checked(at)?;
        let PerChannel { bias, mult, shift, output } = self.requant;
        let (bias, mult, shift) = (bias.split_at_checked(at)?, mult.split_at_checked(at)?, shift.split_at_checked(at)?);
        let requants = [(bias.0, mult.0, shift.0), (bias.1, mult.1, shift.1)];
        let [p, q] = requants.map(|(bias, mult, shift)| Self {
            outputs: bias.len(),
            requant: PerChannel { bias, mult, shift, output },
            ..*self
        });
        Some([(p, Data { x, w: v, y }), (q, Data { x, w, y: z })])
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::kernels::testing::{Random, Requant};

    /// In any number of parts, each output is what it is in one.
    fn parts_give_the_same_bits<P: Split<Element = i8> + core::fmt::Debug>(
        p: &P,
        [x_len, w_len, y_len]: [usize; 3],
        random: &mut Random,
        kernel: impl Fn(&P, Unary<'_, i8>, &[i8], &mut [u8]) -> Option<()> + Sync,
    ) {
        let (x, w): (Vec<i8>, Vec<i8>) = (random.i8s(x_len), random.i8s(w_len));
        let run = |parts: usize| {
            let mut y = vec![99; y_len];
            spread(p, parts, Data { x: &x, w: &w, y: &mut y }, &kernel).unwrap();
            y
        };
        let whole = run(1);
        for parts in 2..=p.units().min(9) {
            assert_eq!(run(parts), whole, "{parts} parts: {p:?}");
        }
    }

    fn window(random: &mut Random) -> Option<Window> {
        let mut two = |range: std::ops::Range<i64>| [0, 1].map(|_| random.range(range.clone()) as usize);
        let (input, kernel, stride, dilation) = (two(1..20), two(1..4), two(1..3), two(1..3));
        let (before, after) = (two(0..4), two(0..4));
        let mut output = [0; 2];
        for axis in [0, 1] {
            let reach = (kernel[axis] - 1) * dilation[axis] + 1;
            output[axis] = (input[axis] + before[axis] + after[axis]).checked_sub(reach)? / stride[axis] + 1;
        }
        Some(Window { input, output, kernel, stride, dilation, pad: before })
    }

    #[test]
    fn convolutions_in_parts_give_the_same_bits() {
        for seed in 0..500 {
            let random = &mut Random(seed);
            let Some(window) = window(random) else { continue };
            let [batch, in_channels, out_channels] = [1..3, 1..9, 1..20].map(|r| random.range(r) as usize);
            let depth = window.kernel[0] * window.kernel[1] * in_channels;
            let area = |[h, w]: [usize; 2]| batch * h * w;
            let requant = Requant::<i8>::random(random, out_channels, depth);
            let (requant, pad_value) = (requant.view(), random.value());
            let p = Conv2d { batch, in_channels, out_channels, groups: 1, window, pad_value, requant };
            let lens = [area(window.input) * in_channels, depth * out_channels, area(window.output) * out_channels];
            parts_give_the_same_bits(&p, lens, random, i8::conv2d);

            let requant = Requant::<i8>::random(random, in_channels, 9);
            let p = DepthwiseConv2d { batch, in_channels, multiplier: 1, window, pad_value, requant: requant.view() };
            let lens = [lens[0], depth, area(window.output) * in_channels];
            parts_give_the_same_bits(&p, lens, random, i8::depthwise_conv2d);
        }
    }

    #[test]
    fn products_in_parts_give_the_same_bits() {
        for seed in 0..500 {
            let random = &mut Random(seed);
            let [rows, inputs, outputs] = [1..12, 1..70, 1..40].map(|r| random.range(r) as usize);
            let rows = if seed % 3 == 0 { 1 } else { rows };
            let requant = Requant::<i8>::random(random, outputs, inputs);
            let p = FullyConnected { rows, inputs, outputs, requant: requant.view() };
            parts_give_the_same_bits(
                &p,
                [rows * inputs, inputs * outputs, rows * outputs],
                random,
                i8::fully_connected,
            );
        }
    }

    /// A step that is worth it runs on the pool's threads, inside `over_threads` alone, wherever its output lies.
    #[test]
    fn large_steps_are_split_where_that_is_wanted() {
        let random = &mut Random(1);
        let requant = Requant::<i8>::random(random, 64, 128);
        let p = FullyConnected { rows: 384, inputs: 128, outputs: 64, requant: requant.view() };
        let (x, w) = (random.i8s(384 * 128), random.i8s(128 * 64));
        let calls = core::sync::atomic::AtomicUsize::new(0);
        let counted = |p: &FullyConnected<'_, i8>, operands: Unary<'_, i8>, w: &[i8], scratch: &mut [u8]| {
            calls.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            i8::fully_connected(p, operands, w, scratch)
        };
        let once = || {
            let (mut apart, mut over) = (vec![0; 384 * 64], x.clone());
            calls.store(0, core::sync::atomic::Ordering::Relaxed);
            super::run(&p, Unary::Apart(&x, &mut apart), &w, &mut [], counted).unwrap();
            let parts = calls.load(core::sync::atomic::Ordering::Relaxed);
            let operands = Unary::Overlapping { memory: &mut over, x: 0..384 * 128, y: 0..384 * 64 };
            super::run(&p, operands, &w, &mut [0; 1_024], counted).unwrap();
            assert_eq!(apart, over[..384 * 64]);
            (apart, parts)
        };
        let (expected, parts) = once();
        assert_eq!(parts, 1);
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| over_threads(once)), (expected.clone(), threads.min(6)));
            assert_eq!(pool.install(once).1, 1);
        }
    }
}
