//! Constants that tract has no type for, or ONNX no operator that could be kept: integers of 4 bits, and blocks with a scale
//! each.

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, IxDyn};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::Tensor;

use super::{Rewriter, input, int, optional, output};

/// `TensorProto.UINT4` and `TensorProto.INT4`.
const UINT4: i32 = 21;
const INT4: i32 = 22;

/// Makes int8 and uint8 of constants of 4 bits, which stand for the same numbers. Those that a QuantizeLinear reads stay: it
/// would saturate at the ends of the wider type.
pub(super) fn widen(graph: &mut GraphProto) {
    let quantized = graph.node.iter().filter(|n| n.op_type == "QuantizeLinear").flat_map(|n| n.input.iter().cloned());
    let quantized: Vec<String> = quantized.collect();
    let kept = |name: &String| quantized.contains(name);
    graph.initializer.iter_mut().filter(|t| !kept(&t.name)).for_each(widen_tensor);
    let constants = graph.node.iter_mut().filter(|n| n.op_type == "Constant" && !n.output.iter().any(kept));
    constants.flat_map(|n| &mut n.attribute).filter_map(|a| a.t.as_mut()).for_each(widen_tensor);
}

/// The low half of a byte comes first.
fn widen_tensor(tensor: &mut TensorProto) {
    let signed = match tensor.data_type {
        INT4 => true,
        UINT4 => false,
        _ => return,
    };
    let len = tensor.dims.iter().product::<i64>().max(0) as usize;
    let packed = match tensor.raw_data.is_empty() {
        true => tensor.int32_data.iter().map(|&v| v as u8).collect(),
        false => std::mem::take(&mut tensor.raw_data),
    };
    if packed.len() < len.div_ceil(2) {
        return;
    }
    let halves = packed.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(len);
    tensor.raw_data = halves.map(|half| if signed && half > 7 { half | 0xF0 } else { half }).collect();
    tensor.int32_data.clear();
    tensor.data_type = if signed { DataType::Int8 } else { DataType::Uint8 } as i32;
}

impl Rewriter {
    /// A DequantizeLinear of a constant with a scale for each block of `size` elements along the axis: no form of weights that
    /// the device has, so that it gets the real numbers.
    pub(super) fn dequantize_blocks(&mut self, node: &NodeProto, size: usize) -> Result<()> {
        let missing = "quantization in blocks is supported for constants only";
        let q = array::<i32>(&self.tensor(input(node, 0)?).context(missing)?)?;
        let scale = array::<f32>(&self.tensor(input(node, 1)?)?)?;
        let zero_point = optional(node, 2).map(|name| array::<i32>(&self.tensor(name)?)).transpose()?;
        let axis = int(node, "axis", 1);
        let axis = usize::try_from(if axis < 0 { axis + q.ndim() as i64 } else { axis })?;
        ensure!(axis < q.ndim(), "no such axis");
        let mut blocks = q.shape().to_vec();
        blocks[axis] = blocks[axis].div_ceil(size);
        let fit = scale.shape() == blocks && zero_point.as_ref().is_none_or(|z| z.shape() == blocks);
        ensure!(fit, "scales of shape {:?}, but blocks of shape {blocks:?}", scale.shape());
        let real = |(at, &q): (IxDyn, &i32)| {
            let mut block = at;
            block[axis] /= size;
            (q - zero_point.as_ref().map_or(0, |z| z[&block])) as f32 * scale[&block]
        };
        let reals = q.indexed_iter().map(real).collect();
        let dims: Vec<i64> = q.shape().iter().map(|&d| d as i64).collect();
        self.floats(output(node).to_string(), &dims, reals);
        Ok(())
    }
}

/// The elements of a constant as numbers of one type.
fn array<T: tract_onnx::prelude::Datum + Copy>(tensor: &Tensor) -> Result<ArrayD<T>> {
    let tensor = tensor.cast_to::<T>()?;
    let view = tensor.to_plain_array_view::<T>()?;
    Ok(ArrayD::from_shape_vec(IxDyn(view.shape()), view.iter().copied().collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bits_become_eight() {
        let widened = |data_type, raw_data: Vec<u8>| {
            let mut tensor = TensorProto { data_type, dims: vec![3], raw_data, ..Default::default() };
            widen_tensor(&mut tensor);
            (tensor.data_type, tensor.raw_data)
        };
        assert_eq!(widened(INT4, vec![0x8F, 0x07]), (DataType::Int8 as i32, vec![0xFF, 0xF8, 7]));
        assert_eq!(widened(UINT4, vec![0x8F, 0x07]), (DataType::Uint8 as i32, vec![15, 8, 7]));
        assert_eq!(widened(INT4, vec![0x8F]), (INT4, vec![]));
    }
}
