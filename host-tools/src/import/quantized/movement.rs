//! Operators of standard ONNX on integer tensors: they move and select elements, and do so with real numbers too.

use anyhow::{Context, Result, bail, ensure};
use tract_onnx::pb::{NodeProto, tensor_proto::DataType};

use super::mark::{Grid, Mark};
use super::{Flow, Rewriter, input, int, node_name, optional, output};

impl Rewriter {
    /// A node of standard ONNX that reads an integer tensor.
    pub(super) fn movement(&mut self, node: &NodeProto) -> Result<()> {
        let first = node.input.iter().find_map(|i| self.flows.get(i)).cloned().context("no integer operand")?;
        if node.op_type == "Cast" {
            return self.cast(node, first);
        }
        // Slots whose elements the result consists of, beside the first.
        let elements: Vec<usize> = match node.op_type.as_str() {
            "Concat" | "Max" | "Min" => (0..node.input.len()).collect(),
            "Pad" => vec![0, 2],
            "Clip" => vec![0, 1, 2],
            "Where" => vec![1, 2],
            "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Flatten" | "Identity" | "Slice" | "MaxPool"
            | "GlobalMaxPool" | "Gather" | "GatherElements" | "Split" | "Expand" | "Tile" | "DepthToSpace"
            | "SpaceToDepth" | "Resize" | "ReduceMax" | "ReduceMin" => vec![0],
            "Relu" => {
                let symmetric = matches!(&first, Flow::Known(grid) if grid.zero_point == [0]);
                ensure!(symmetric, "Relu of integers whose zero point is not 0");
                vec![0]
            }
            _ => bail!("this operator on integers is not supported: dequantize its operands first"),
        };
        if node.op_type == "Resize" {
            let mode = super::attribute(node, "mode").map_or("nearest", |a| std::str::from_utf8(&a.s).unwrap_or(""));
            ensure!(mode == "nearest", "only resizing to the nearest is supported on integers: dequantize first");
        }
        let mut node = node.clone();
        for slot in elements {
            let Some(name) = optional(&node, slot).map(str::to_string) else { continue };
            match (self.flows.get(&name), &first) {
                (Some(flow), _) => ensure!(*flow == first, "operands with different scales: requantize them first"),
                (None, Flow::Known(grid)) => node.input[slot] = self.constant_reals(&name, &grid.clone())?,
                (None, _) => bail!("a constant among integers whose scale is not known here: dequantize first"),
            }
        }
        if node.op_type == "Pad" && optional(&node, 2).is_none() {
            let Flow::Known(grid) = &first else {
                bail!("padding of integers whose scale is not known: dequantize first")
            };
            let params = grid.params()?;
            let stored_zero = -grid.zero_point[0];
            let value = self.floats(format!("{}/pad", node_name(&node)), &[], vec![stored_zero as f32 * params.scale]);
            node.input.resize(node.input.len().max(3), String::new());
            node.input[2] = value;
        }
        self.flows.extend(node.output.iter().map(|o| (o.clone(), first.clone())));
        self.nodes.push(node);
        Ok(())
    }

    /// A constant integer operand as real numbers.
    fn constant_reals(&mut self, name: &str, grid: &Grid) -> Result<String> {
        let params = grid.params()?;
        let tensor = self.tensor(name)?.cast_to::<i32>()?.into_owned();
        let zero_point = grid.zero_point[0];
        let view = tensor.to_plain_array_view::<i32>()?;
        let reals = view.iter().map(|&q| (q - zero_point) as f32 * params.scale).collect();
        let dims: Vec<i64> = tensor.shape().iter().map(|&d| d as i64).collect();
        Ok(self.floats(format!("{name}/real{}", self.initializers.len()), &dims, reals))
    }

    /// Integers as real numbers of the same value.
    fn cast(&mut self, node: &NodeProto, flow: Flow) -> Result<()> {
        let to_float = DataType::try_from(int(node, "to", 0) as i32) == Ok(DataType::Float);
        ensure!(to_float, "only conversions of integers to float32 are supported");
        let x = input(node, 0)?.to_string();
        match flow {
            Flow::Sum => self.copy(node, &x),
            Flow::Input(stored) => {
                let grid = Grid { scale: vec![1.0], zero_point: vec![0], axis: 0, stored };
                self.mark(node_name(node), &x, output(node), Mark::Quantize(grid));
            }
            _ => bail!("quantized values are read without their scale: dequantize them instead"),
        }
        Ok(())
    }
}
