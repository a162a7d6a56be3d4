//! Angle of a point: arc tangent of a quotient.

use anyhow::Result;
use ndarray::ArrayD;
use teff::fixed::{ANGLE_FRACTION_BITS, Multiplier};
use teff::ops::{ANGLE, angle};

use super::{
    HostOp,
    shape::{arity, broadcast, elementwise},
};
use crate::quantize::lower::{Lower, Lowering};

/// `y = atan(a / b)`, or `atan2(a, b)` if `full`, shapes broadcast by the rules of numpy; either operand may be constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Angle {
    /// Whether all four quadrants are told apart.
    pub full: bool,
}

impl HostOp for Angle {
    fn infer(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        arity("Angle", inputs.len(), 2..=2)?;
        broadcast(inputs[0], inputs[1])
    }

    fn eval(&self, inputs: &[&ArrayD<f32>]) -> Result<ArrayD<f32>> {
        elementwise([inputs[0], inputs[1]], |a, b| {
            let (a, b) = (f64::from(a), f64::from(b));
            (if self.full { a.atan2(b) } else { (a / b).atan() }) as f32
        })
    }
}

impl Lower for Angle {
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let operands = [cx.x(0)?, cx.x(1)?];
        let scales = [cx.quant(0)?.scale, cx.quant(1)?.scale];
        let [mult_a, mult_b] = cx.like_scales(scales);
        let factor = 1.0 / f64::from(1_u32 << ANGLE_FRACTION_BITS) / f64::from(cx.out_quant()?.scale);
        let Multiplier { mult, shift } = cx.multiplier(factor)?;
        let params = angle::Params {
            mult_a,
            mult_b,
            mult,
            limits: cx.limits(None)?,
            shift,
            full: self.full.into(),
            reserved: [0; 2],
        };
        cx.step(&ANGLE, &operands, &params)
    }
}
