//! Operators that move elements.

use anyhow::{Context, Result, bail, ensure};
use tract_tflite::tflite::ActivationFunctionType;

use super::{Call, Reader, axis};
use crate::ir::ValueId;
use crate::ops::{
    concat::Concat,
    pad::Pad,
    resample2d::{Resample2d, Taps},
    slice::Slice,
    transpose::Transpose,
};

const NONE: ActivationFunctionType = ActivationFunctionType::NONE;

impl<'m> Reader<'m> {
    pub(super) fn layout(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        let options = "its options are missing";
        match code {
            // The output's shape says it all.
            "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => {
                let x = self.operand(call, 0)?;
                self.finish(call, x, NONE)
            }
            "TRANSPOSE" => {
                let x = self.operand(call, 0)?;
                let rank = self.graph.value(x).shape.len();
                let perm = self.numbers(call, 1)?.into_iter().map(|a| axis(a, rank)).collect::<Result<_>>()?;
                let y = self.push(&call.name, Transpose { perm }, &[x])?;
                self.finish(call, y, NONE)
            }
            "PAD" | "PADV2" => self.pad(call),
            "CONCATENATION" => {
                let o = call.op.builtin_options_as_concatenation_options().context(options)?;
                let parts = (0..call.inputs.len()).map(|i| self.operand(call, i)).collect::<Result<Vec<_>>>()?;
                let rank = self.graph.value(*parts.first().context("no operand")?).shape.len();
                let y = self.push(&call.name, Concat { axis: axis(o.axis().into(), rank)? }, &parts)?;
                self.finish(call, y, o.fused_activation_function())
            }
            "STRIDED_SLICE" => self.strided_slice(call),
            "SLICE" => {
                let mut y = self.operand(call, 0)?;
                let (begin, size) = (self.numbers(call, 1)?, self.numbers(call, 2)?);
                for (axis, (begin, size)) in begin.into_iter().zip(size).enumerate() {
                    let len = *self.graph.value(y).shape.get(axis).context("too many axes")?;
                    let start = usize::try_from(begin)?;
                    let end = if size < 0 { len } else { start + usize::try_from(size)? };
                    y = self.slice(call, y, Slice { axis, start, end, step: 1 })?;
                }
                self.finish(call, y, NONE)
            }
            "SPLIT" | "SPLIT_V" | "UNPACK" => self.split(code, call),
            "PACK" => {
                let o = call.op.builtin_options_as_pack_options().context(options)?;
                let parts = (0..call.inputs.len()).map(|i| self.operand(call, i)).collect::<Result<Vec<_>>>()?;
                let mut shape = self.graph.value(*parts.first().context("no operand")?).shape.clone();
                let at = axis(o.axis().into(), shape.len() + 1)?;
                shape.insert(at, 1);
                let widened = |(i, &part): (usize, &ValueId)| self.reshape(&format!("{}/{i}", call.name), part, &shape);
                let parts = parts.iter().enumerate().map(widened).collect::<Result<Vec<_>>>()?;
                let y = self.push(&call.name, Concat { axis: at }, &parts)?;
                self.finish(call, y, NONE)
            }
            "SPACE_TO_DEPTH" | "DEPTH_TO_SPACE" => self.blocks(code, call),
            _ => self.resize(code, call),
        }
    }

    fn slice(&mut self, call: &Call<'m>, x: ValueId, op: Slice) -> Result<ValueId> {
        let len = self.graph.value(x).shape[op.axis];
        if op.start == 0 && op.end == len && op.step == 1 {
            return Ok(x);
        }
        self.push(&format!("{}/axis{}", call.name, op.axis), op, &[x])
    }

    fn pad(&mut self, call: &Call<'m>) -> Result<()> {
        let x = self.operand(call, 0)?;
        let pads = self.numbers(call, 1)?;
        let pairs = pads.chunks_exact(2).map(|p| Ok((usize::try_from(p[0])?, usize::try_from(p[1])?)));
        let pads = pairs.collect::<Result<Vec<_>>>()?;
        let value = match call.inputs.len() {
            0..=2 => 0.0,
            _ => {
                let value = self.operand(call, 2)?;
                *self.graph.data(value).and_then(|d| d.first()).context("the value must be constant")?
            }
        };
        let y = self.push(&call.name, Pad { pads, value }, &[x])?;
        self.finish(call, y, NONE)
    }

    fn strided_slice(&mut self, call: &Call<'m>) -> Result<()> {
        let o = call.op.builtin_options_as_strided_slice_options().context("its options are missing")?;
        ensure!(o.ellipsis_mask() == 0 && o.new_axis_mask() == 0, "ellipsis and new axes in a slice are not supported");
        let (begin, end, step) = (self.numbers(call, 1)?, self.numbers(call, 2)?, self.numbers(call, 3)?);
        let mut y = self.operand(call, 0)?;
        for axis in 0..begin.len() {
            let len = *self.graph.value(y).shape.get(axis).context("too many axes")? as i64;
            let masked = |mask: i32| mask >> axis & 1 != 0;
            let place = |at: i64| (if at < 0 { at + len } else { at }).clamp(0, len);
            let step = usize::try_from(step[axis]).ok().filter(|&s| s > 0);
            let step = step.context("a slice that runs backwards is not supported")?;
            let start = if masked(o.begin_mask()) { 0 } else { place(begin[axis]) };
            let end = match () {
                () if masked(o.shrink_axis_mask()) => start + 1,
                () if masked(o.end_mask()) => len,
                () => place(end[axis]),
            };
            ensure!(start < end && end <= len, "a slice without elements");
            y = self.slice(call, y, Slice { axis, start: start as usize, end: end as usize, step })?;
        }
        self.finish(call, y, NONE)
    }

    fn split(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        let data = if code == "SPLIT" { 1 } else { 0 };
        let x = self.operand(call, data)?;
        let shape = self.graph.value(x).shape.clone();
        let along = match code {
            "SPLIT" => *self.numbers(call, 0)?.first().context("no axis")?,
            "SPLIT_V" => *self.numbers(call, 2)?.first().context("no axis")?,
            _ => call.op.builtin_options_as_unpack_options().context("its options are missing")?.axis().into(),
        };
        let at = axis(along, shape.len())?;
        let mut start = 0;
        for (slot, &output) in call.outputs.iter().enumerate() {
            let len =
                if code == "UNPACK" { 1 } else { *self.shape_of(output).get(at).context("an axis is missing")? };
            let op = Slice { axis: at, start, end: start + len, step: 1 };
            start += len;
            ensure!(start <= shape[at], "more parts than elements");
            let part = self.push(&format!("{}/part{slot}", call.name), op, &[x])?;
            self.finish_output(call, slot, part, NONE)?;
        }
        Ok(())
    }

    /// Blocks of an image as channels, or back: `(n, h·b, w·b, c)` and `(n, h, w, b·b·c)`.
    fn blocks(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        let x = self.operand(call, 0)?;
        let output = *call.outputs.first().context("no result")?;
        let (from, to) = (self.graph.value(x).shape.clone(), self.shape_of(output));
        let (&[n, h, w, c], &[_, oh, ow, oc]) = (from.as_slice(), to.as_slice()) else {
            bail!("an image has four axes")
        };
        ensure!([h, w, c, oh, ow, oc].iter().all(|&d| d > 0), "an image without elements");
        let (inner, perm) = match code {
            "SPACE_TO_DEPTH" => (vec![n, oh, h / oh, ow, w / ow, c], vec![0, 1, 3, 2, 4, 5]),
            _ => (vec![n, h, w, oh / h, ow / w, oc], vec![0, 1, 3, 2, 4, 5]),
        };
        let x = self.reshape(&format!("{}/blocks", call.name), x, &inner)?;
        let y = self.push(&call.name, Transpose { perm }, &[x])?;
        self.finish(call, y, NONE)
    }

    fn resize(&mut self, code: &str, call: &Call<'m>) -> Result<()> {
        let (corners, centers, nearest) = match code {
            "RESIZE_BILINEAR" => {
                let o = call.op.builtin_options_as_resize_bilinear_options().context("its options are missing")?;
                (o.align_corners(), o.half_pixel_centers(), false)
            }
            _ => {
                let o =
                    call.op.builtin_options_as_resize_nearest_neighbor_options().context("its options are missing")?;
                (o.align_corners(), o.half_pixel_centers(), true)
            }
        };
        let x = self.operand(call, 0)?;
        let to = self.shape_of(*call.outputs.first().context("no result")?);
        let (&[_, h, w, _], &[_, oh, ow, _]) = (self.graph.value(x).shape.as_slice(), to.as_slice()) else {
            bail!("an image has four axes")
        };
        let taps = |from: usize, to: usize| Taps::new((0..to).map(|i| sources(i, from, to, corners, centers, nearest)));
        let y = self.push(&call.name, Resample2d { rows: taps(h, oh), columns: taps(w, ow) }, &[x])?;
        self.finish(call, y, NONE)
    }
}

/// The elements of a row of `from` from which element `i` of a row of `to` is made, and their weights, by TensorFlow
/// Lite's reference kernels.
fn sources(i: usize, from: usize, to: usize, corners: bool, centers: bool, nearest: bool) -> Vec<(usize, f64)> {
    let scale = if corners && to > 1 { (from - 1) as f64 / (to - 1) as f64 } else { from as f64 / to as f64 };
    let last = (from - 1) as f64;
    if nearest {
        let at = if centers { (i as f64 + 0.5) * scale } else { i as f64 * scale };
        let at = if corners { at.round() } else { at.floor() };
        return vec![(at.min(last) as usize, 1.0)];
    }
    let at = if centers { (i as f64 + 0.5) * scale - 0.5 } else { i as f64 * scale };
    let low = at.floor();
    let weight = at - low;
    let place = |p: f64| p.clamp(0.0, last) as usize;
    vec![(place(low), 1.0 - weight), (place(low + 1.0), weight)]
}
