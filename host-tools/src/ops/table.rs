//! Elementwise function of one variable.

use anyhow::Result;
use ndarray::ArrayD;
use teff::format::DataType;
use teff::ops::{TABLE, TABLE_S16_S32, TABLE_S32_S16, table_s32_s16};

use crate::quantize::lower::{Lower, Lowering};
use crate::quantize::interpolate::Interpolation;
use crate::quantize::octaves::OctaveTable;
use crate::quantize::{Rule, Span};
use super::{HostOp, function::Function, shape::arity};

/// `y = f(x)`, element by element: on the device a table with an entry for each of the 256 inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The function.
    pub function: Function,
}

impl HostOp for Table {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Table", inputs.len(), 1..=1)?;
        Ok(inputs[0].to_vec())
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        Ok(inputs[0].mapv(|x| self.function.apply(x)))
    }
}

impl Lower for Table {
    fn rule(&self) -> Rule {
        match self.function {
            Function::Sigmoid | Function::HardSigmoid { .. } => Rule::Natural(Span::Unit),
            Function::Tanh => Rule::Natural(Span::SignedUnit),
            _ => Rule::Calibrated,
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        lower_function(cx, |x| self.function.apply(x))
    }
}

/// A step that computes `f` by a table: in int8 entry `q + 128` is `f` of what q stands for, in int16 `f` is interpolated
/// within a step of the output; so is a function from or to int32.
pub(super) fn lower_function(cx: &mut Lowering<'_>, f: impl Fn(f32) -> f32) -> Result<()> {
    let (from, to) = (cx.quant(0)?, cx.out_quant()?);
    let x = cx.x(0)?;
    let steps = |q: f64| f64::from(f((q * f64::from(from.scale)) as f32)) / f64::from(to.scale);
    if from.data_type == DataType::I32 {
        let table = OctaveTable::new(steps);
        let knots = cx.constant("knots", DataType::I32, &[table.knots.len()], &table.knots);
        return cx.step(&TABLE_S32_S16, &[x, knots], &table_s32_s16::Params { bits: table.bits, reserved: [0; 3] });
    }
    if to.data_type == DataType::I32 {
        let table = Interpolation::wide(|q| steps(f64::from(q)))?;
        let segments = cx.constant("segments", DataType::I32, &[table.segments.len()], &table.segments);
        let knots = cx.constant("knots", DataType::I32, &[table.knots.len()], &table.knots);
        return cx.step(&TABLE_S16_S32, &[x, segments, knots], &[0_u8; 0]);
    }
    if cx.data_type() == DataType::I16 {
        let table = Interpolation::new(|q| f64::from(f(from.dequantize(q))) / f64::from(to.scale))?;
        let segments = cx.constant("segments", DataType::I32, &[table.segments.len()], &table.segments);
        let knots = cx.constant("knots", DataType::I32, &[table.knots.len()], &table.knots);
        return cx.step(&TABLE, &[x, segments, knots], &[0_u8; 0]);
    }
    let entries: Vec<f32> = (-128..128).map(|q| f(from.dequantize(q))).collect();
    let table = cx.constant("table", DataType::I8, &[256], &to.quantized(&entries));
    cx.step(&TABLE, &[x, table], &[0_u8; 0])
}
