//! Dynamic quantization: products of integers whose activation is quantized by the range that it has in this run.
//!
//! The device's activations have fixed ranges, so this is read as the float model that it approximates, with the
//! weights' own integers; the activations are calibrated.

use anyhow::{Result, bail, ensure};
use tract_onnx::pb::NodeProto;

use super::mark::{Grid, Mark, Stored};
use super::{Flow, Rewriter, input, node_name, optional, output};

impl Rewriter {
    pub(super) fn dynamic(&mut self, node: &NodeProto) -> Result<()> {
        match node.op_type.as_str() {
            "DynamicQuantizeLinear" => self.dynamic_quantize(node),
            "MatMulInteger" => self.sum_of_products(node, "MatMul", -1),
            "ConvInteger" => self.sum_of_products(node, "Conv", 0),
            "DynamicQuantizeMatMul" => self.float_product(node, [1, 2, 3, 4]),
            _ => self.float_product(node, [1, 3, 5, 6]),
        }
    }

    fn dynamic_quantize(&mut self, node: &NodeProto) -> Result<()> {
        let [y, scale, zero_point] = node.output.as_slice() else { bail!("three results wanted") };
        let products = ["MatMulInteger", "ConvInteger", "MatMulIntegerToFloat", "DequantizeLinear"];
        for (name, also) in [(y, "Reshape"), (scale, "Mul"), (zero_point, "")] {
            ensure!(!self.outputs.contains(name), "{name} leaves the model, but the device has a fixed scale instead");
            for reader in self.readers.get(name).into_iter().flatten() {
                let known = products.contains(&reader.as_str()) || reader == also;
                ensure!(known, "{name} is read by {reader}: only products of integers can be read");
            }
        }
        self.floats(scale.clone(), &[], vec![1.0]);
        self.copy(node, input(node, 0)?);
        let flow = Flow::Dynamic { scale: scale.clone(), zero_point: zero_point.clone() };
        self.flows.insert(y.clone(), flow);
        Ok(())
    }

    /// `Σ (x − x's zero point)·(w − w's zero point)`, w constant with its channels along `axis`.
    fn sum_of_products(&mut self, node: &NodeProto, op: &str, axis: i64) -> Result<()> {
        let (x, w) = (input(node, 0)?, input(node, 1)?);
        let w = self.unscaled(node, w, optional(node, 3), axis)?;
        let attributes = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];
        let y = output(node).to_string();
        match self.flows.get(x).cloned() {
            Some(Flow::Dynamic { zero_point, .. }) => {
                ensure!(optional(node, 2) == Some(&zero_point), "another zero point than that of the operand");
                self.emit(node, op, &[x, &w], &y, &attributes);
            }
            Some(Flow::Known(grid)) => {
                let zero_point = match optional(node, 2) {
                    Some(name) => self.tensor(name)?.cast_to_scalar::<i32>()?,
                    None => 0,
                };
                let scale = grid.params()?.scale;
                ensure!(grid.zero_point == [zero_point], "another zero point than that of the operand");
                let scaled = format!("{y}/scaled");
                self.emit(node, op, &[x, &w], &scaled, &attributes);
                let steps = self.floats(format!("{y}/steps"), &[], vec![1.0 / scale]);
                self.emit(node, "Mul", &[&scaled, &steps], &y, &[]);
            }
            Some(Flow::Input(stored)) => {
                let zero_point = match optional(node, 2) {
                    Some(name) => self.tensor(name)?.cast_to_scalar::<i32>()?,
                    None => 0,
                };
                let grid = Grid { scale: vec![1.0], zero_point: vec![zero_point], axis: 0, stored };
                let real = format!("{x}/real{}", self.marks.len());
                self.mark(&format!("{}/{real}", node_name(node)), x, &real, Mark::Quantize(grid));
                self.emit(node, op, &[&real, &w], &y, &attributes);
            }
            _ => bail!("the first operand must be quantized, the second constant"),
        }
        self.flows.insert(y, Flow::Sum);
        Ok(())
    }

    /// A product of a dynamically quantized or float activation and constant integers, in real numbers; `slots` are
    /// those of the weights, their scale, their zero point and a bias.
    fn float_product(&mut self, node: &NodeProto, slots: [usize; 4]) -> Result<()> {
        let x = input(node, 0)?;
        let dynamic = matches!(self.flows.get(x), Some(Flow::Dynamic { scale, .. })
            if optional(node, 2) == Some(scale));
        ensure!(dynamic || !self.flows.contains_key(x), "the operand is quantized otherwise: dequantize it first");
        let [w, scale, zero_point, bias] = slots;
        let w = self.real(node_name(node), input(node, w)?, input(node, scale)?, optional(node, zero_point), -1)?;
        let (x, y) = (x.to_string(), output(node).to_string());
        match optional(node, bias) {
            Some(bias) => {
                let product = format!("{y}/product");
                self.emit(node, "MatMul", &[&x, &w], &product, &[]);
                self.emit(node, "Add", &[&product, bias], &y, &[]);
            }
            None => self.emit(node, "MatMul", &[&x, &w], &y, &[]),
        }
        Ok(())
    }

    /// Constant weights less their zero point, scale 1.
    fn unscaled(&mut self, node: &NodeProto, w: &str, zero_point: Option<&str>, axis: i64) -> Result<String> {
        ensure!(!self.flows.contains_key(w), "only constant weights: this is a product of two activations");
        let one = self.floats(format!("{}/one{}", node_name(node), self.initializers.len()), &[], vec![1.0]);
        let grid = self.grid(&one, zero_point, axis, Stored::I8)?;
        let real = format!("{w}/real{}", self.marks.len());
        self.mark(&format!("{}/{real}", node_name(node)), w, &real, Mark::Dequantize(grid));
        Ok(real)
    }
}
