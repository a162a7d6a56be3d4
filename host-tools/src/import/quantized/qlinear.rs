//! Operators on quantized tensors that carry the scales of operands and result: ONNX's own and ONNX Runtime's.

use anyhow::{Result, bail, ensure};
use tract_onnx::pb::{NodeProto, TensorProto, tensor_proto::DataType};

use super::mark::Mark;
use super::{Flow, Rewriter, attribute, input, int, int_attribute, node_name, optional, output};

/// Attributes of convolutions and pools.
const WINDOW: [&str; 8] =
    ["auto_pad", "ceil_mode", "count_include_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

impl Rewriter {
    pub(super) fn qlinear(&mut self, node: &NodeProto) -> Result<()> {
        match node.op_type.as_str() {
            "QLinearConv" => self.qlinear_conv(node),
            "QLinearMatMul" => {
                let operands = [self.operand(node, 0, 1)?, self.operand(node, 3, -1)?];
                self.result(node, "MatMul", &operands, &[], 6)
            }
            "QGemm" => self.qgemm(node),
            "QLinearAdd" => self.binary(node, "Add"),
            "QLinearMul" => self.binary(node, "Mul"),
            "QLinearSigmoid" => self.unary(node, "Sigmoid", &[]),
            "QLinearLeakyRelu" => self.unary(node, "LeakyRelu", &["alpha"]),
            "QLinearAveragePool" => self.pool(node, "AveragePool"),
            "QLinearGlobalAveragePool" => self.pool(node, "GlobalAveragePool"),
            "QLinearSoftmax" => self.softmax(node),
            "QLinearReduceMean" => self.reduce_mean(node),
            "QLinearConcat" => {
                ensure!(node.input.len() % 3 == 2, "{} operands", node.input.len());
                let operands = (2..node.input.len()).step_by(3).map(|slot| self.operand(node, slot, 1));
                let operands = operands.collect::<Result<Vec<_>>>()?;
                self.result(node, "Concat", &operands, &["axis"], 0)
            }
            "QLinearWhere" => {
                let operands = [input(node, 0)?.to_string(), self.operand(node, 1, 1)?, self.operand(node, 4, 1)?];
                self.result(node, "Where", &operands, &[], 7)
            }
            _ => bail!("this operator is not supported: quantize the model with QuantizeLinear and DequantizeLinear"),
        }
    }

    /// The real numbers of the operand in `slot`, whose scale and zero point follow it.
    fn operand(&mut self, node: &NodeProto, slot: usize, axis: i64) -> Result<String> {
        self.real(node_name(node), input(node, slot)?, input(node, slot + 1)?, optional(node, slot + 2), axis)
    }

    /// The float operator, and the mark of its result, whose scale is operand `slot`.
    fn result(&mut self, node: &NodeProto, op: &str, operands: &[String], names: &[&str], slot: usize) -> Result<()> {
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        let real = format!("{}/real", output(node));
        self.emit(node, op, &operands, &real, names);
        self.finish(node, &real, slot)
    }

    /// The mark of a result.
    fn finish(&mut self, node: &NodeProto, real: &str, slot: usize) -> Result<()> {
        let operand = node.input.iter().find_map(|i| match self.flows.get(i) {
            Some(Flow::Known(grid)) => Some(grid.stored),
            Some(Flow::Input(stored)) => Some(*stored),
            _ => None,
        });
        let by_default = operand.unwrap_or(super::mark::Stored::U8);
        let grid = self.grid(input(node, slot)?, optional(node, slot + 1), 1, by_default)?;
        grid.params()?;
        self.mark(&format!("{}/quantized", node_name(node)), real, output(node), Mark::Quantize(grid.clone()));
        self.flows.insert(output(node).to_string(), Flow::Known(grid));
        Ok(())
    }

    fn unary(&mut self, node: &NodeProto, op: &str, names: &[&str]) -> Result<()> {
        let x = self.operand(node, 0, 1)?;
        self.result(node, op, &[x], names, 3)
    }

    fn binary(&mut self, node: &NodeProto, op: &str) -> Result<()> {
        let operands = [self.operand(node, 0, 1)?, self.operand(node, 3, 1)?];
        self.result(node, op, &operands, &[], 6)
    }

    fn pool(&mut self, node: &NodeProto, op: &str) -> Result<()> {
        ensure!(int(node, "channels_last", 0) == 0, "channels last are not supported: channels must be axis 1");
        self.unary(node, op, &WINDOW)
    }

    fn qlinear_conv(&mut self, node: &NodeProto) -> Result<()> {
        let mut operands = vec![self.operand(node, 0, 1)?, self.operand(node, 3, 0)?];
        if let Some(bias) = optional(node, 8) {
            operands.push(self.bias(node, bias, [1, 4], 1.0)?);
        }
        self.result(node, "Conv", &operands, &WINDOW, 6)
    }

    fn qgemm(&mut self, node: &NodeProto) -> Result<()> {
        let transposed = int(node, "transB", 0) != 0;
        let mut operands = vec![self.operand(node, 0, 1)?, self.operand(node, 3, if transposed { 0 } else { 1 })?];
        if let Some(bias) = optional(node, 6) {
            let alpha = attribute(node, "alpha").map_or(1.0, |a| a.f);
            operands.push(self.bias(node, bias, [1, 4], alpha)?);
        }
        let names = ["alpha", "transA", "transB"];
        if optional(node, 7).is_some() {
            return self.result(node, "Gemm", &operands, &names, 7);
        }
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        self.emit(node, "Gemm", &operands, output(node), &names);
        Ok(())
    }

    /// A bias of int32 whose scale is the product of the scales in `slots` and `factor`.
    fn bias(&mut self, node: &NodeProto, bias: &str, slots: [usize; 2], factor: f32) -> Result<String> {
        let [x, w] = slots;
        let x = self.tensor(input(node, x)?)?.cast_to_scalar::<f32>()?;
        let w = self.tensor(input(node, w)?)?.cast_to::<f32>()?.into_owned();
        let product: Vec<f32> = w.to_plain_array_view::<f32>()?.iter().map(|w| w * x * factor).collect();
        let dims = [product.len() as i64];
        let scale = self.floats(format!("{}/bias scale", node_name(node)), &dims, product);
        self.real(node_name(node), bias, &scale, None, 0)
    }

    fn softmax(&mut self, node: &NodeProto) -> Result<()> {
        let axis = int(node, "axis", -1);
        let by_axis = |opset: i64| opset >= 13 || axis == -1;
        ensure!(
            by_axis(int(node, "opset", 13)) && by_axis(self.opset),
            "a softmax over several axes at once is not supported"
        );
        self.unary(node, "Softmax", &["axis"])
    }

    fn reduce_mean(&mut self, node: &NodeProto) -> Result<()> {
        let mut operands = vec![self.operand(node, 0, 1)?];
        let mut node = node.clone();
        if attribute(&node, "keepdims").is_none() {
            node.attribute.push(int_attribute("keepdims", 1));
        }
        // From operator set 18 on the axes are an operand.
        if self.opset >= 18 {
            let axes = attribute(&node, "axes").map(|a| a.ints.clone()).unwrap_or_default();
            let name = format!("{}/axes", node_name(&node));
            self.initializers.push(TensorProto {
                name: name.clone(),
                dims: vec![axes.len() as i64],
                data_type: DataType::Int64 as i32,
                int64_data: axes,
                ..Default::default()
            });
            operands.push(name);
            return self.result(&node, "ReduceMean", &operands, &["keepdims"], 3);
        }
        self.result(&node, "ReduceMean", &operands, &["keepdims", "axes"], 3)
    }
}
