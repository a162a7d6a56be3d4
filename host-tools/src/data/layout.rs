//! The shape of a model's input, in the ONNX layout and in the device's.

use anyhow::{Context, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use teff::Model;
use teff::format::Entry;

use crate::ir::Graph;
use crate::stream;

/// An input of a model, as samples must fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    /// The ONNX name.
    pub name: String,
    /// Shape on the device.
    pub shape: Vec<usize>,
    /// Axis `i` on the device is axis `perm[i]` of the ONNX model.
    pub perm: Vec<usize>,
}

/// Which axes of an input on the device are those of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageAxes {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Colours: 1 or 3.
    pub channel: usize,
}

impl InputSpec {
    /// The inputs of a graph.
    pub fn of_graph(graph: &Graph) -> Vec<Self> {
        let spec = |port: &crate::ir::Port| {
            let shape = graph.value(port.value).shape.clone();
            let perm = port.perm.clone().unwrap_or_else(|| (0..shape.len()).collect());
            Self { name: port.name.clone(), shape, perm }
        };
        graph.inputs.iter().map(spec).collect()
    }

    /// The inputs of an entry point.
    ///
    /// # Errors
    /// If the file says nothing of a tensor: not for a verified model.
    pub fn of_entry(entry: &Entry<'_>) -> Result<Vec<Self>> {
        let spec = |port: teff::format::Port<'_>| {
            let tensor = port.tensor().with_context(|| format!("input {}: no tensor", port.name()))?;
            let shape: Vec<usize> = tensor.shape.iter().map(|&d| d as usize).collect();
            let perm = match port.perm() {
                [] => (0..shape.len()).collect(),
                perm => perm.iter().map(|&axis| axis.into()).collect(),
            };
            Ok(Self { name: port.name().to_string(), shape, perm })
        };
        entry.inputs().map(spec).collect()
    }

    /// The inputs of a model's first entry point; of a [stream] whole windows.
    ///
    /// # Errors
    /// As [`InputSpec::of_entry`]; if the file's metadata `stream` is not of its inputs.
    pub fn of_windows(model: &Model<'_>) -> Result<Vec<Self>> {
        let mut specs = Self::of_entry(&model.entry(0).context("no entry point")?)?;
        if let Some((name, window)) = stream::window(model)? {
            let spec = specs.iter_mut().find(|spec| spec.name == name && spec.shape.len() == window.len());
            let Self { shape, perm, .. } = spec.with_context(|| format!("stream {name}: no such input"))?;
            *shape = perm.iter().map(|&axis| window[axis]).collect();
        }
        Ok(specs)
    }

    /// The shape in the ONNX model.
    pub fn onnx_shape(&self) -> Vec<usize> {
        let mut shape = vec![0; self.shape.len()];
        for (&axis, &dim) in self.perm.iter().zip(&self.shape) {
            shape[axis] = dim;
        }
        shape
    }

    /// Whether an array of this shape is one sample.
    pub fn fits(&self, shape: &[usize]) -> bool {
        let shape = without_ones(shape);
        shape == without_ones(&self.onnx_shape()) || shape == without_ones(&self.shape)
    }

    /// The shapes that fit, for messages.
    pub fn wanted(&self) -> String {
        let onnx = self.onnx_shape();
        match onnx == self.shape {
            true => format!("{onnx:?}"),
            false => format!("{onnx:?} or {:?}", self.shape),
        }
    }

    /// One sample in the device's layout.
    ///
    /// Axes of length 1 may be missing. A shape that fits both layouts is taken as ONNX's.
    ///
    /// # Errors
    /// If the shape fits neither layout.
    pub fn to_device<T: Clone>(&self, sample: ArrayD<T>) -> Result<ArrayD<T>> {
        let (found, onnx) = (without_ones(sample.shape()), self.onnx_shape());
        let sample = sample.as_standard_layout().into_owned();
        if found == without_ones(&onnx) {
            let sample = sample.into_shape_with_order(IxDyn(&onnx))?;
            return Ok(sample.permuted_axes(self.perm.as_slice()).as_standard_layout().into_owned());
        }
        anyhow::ensure!(found == without_ones(&self.shape), "the shape does not fit");
        Ok(sample.into_shape_with_order(IxDyn(&self.shape))?)
    }

    /// A sample in the device's layout as the ONNX model takes it.
    pub fn to_onnx(&self, sample: ArrayD<f32>) -> ArrayD<f32> {
        let mut inverse = vec![0; self.perm.len()];
        for (i, &axis) in self.perm.iter().enumerate() {
            inverse[axis] = i;
        }
        sample.permuted_axes(inverse).as_standard_layout().into_owned()
    }

    /// The axes of a picture, if the shape leaves no doubt: three axes beside a batch of 1, of which either the
    /// last or the first has length 1 or 3.
    pub fn image(&self) -> Option<ImageAxes> {
        let first = match self.shape.as_slice() {
            [1, _, _, _] => 1,
            [_, _, _] => 0,
            _ => return None,
        };
        let last = ImageAxes { height: first, width: first + 1, channel: first + 2 };
        let ahead = ImageAxes { channel: first, height: first + 1, width: first + 2 };
        // A transposed input is NHWC on the device.
        let transposed = !self.perm.is_sorted();
        let colours = |axes: &ImageAxes| matches!(self.shape[axes.channel], 1 | 3);
        match (colours(&last), colours(&ahead) && !transposed) {
            (true, false) => Some(last),
            (false, true) => Some(ahead),
            _ => None,
        }
    }

    /// The axis along which preprocessing may have a value each.
    pub fn channel_axis(&self) -> Option<Axis> {
        let last = self.shape.len().checked_sub(1);
        self.image().map(|axes| axes.channel).or(last).map(Axis)
    }
}

fn without_ones(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&d| d != 1).collect()
}
