//! When a converted case of a quantized operator counts as right.
//!
//! Its integers stand for real numbers under the scales that the case prescribes, so nothing is calibrated but what is given
//! as float. Integer results may be one off: Teff rounds a half up where ONNX rounds it to even. Real results may be off by
//! half a step of the device's scale.

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use teff::Model;
use teff_tools::convert::{self, convert};
use teff_tools::interpreter::Interpreter;
use teff_tools::ir::Graph;
use teff_tools::quantize::uncalibrated;

use crate::Outcome;
use crate::case::Case;

/// In these cases ONNX's expected integers wrap around beyond the ends of int8; by its own definition, and in ONNX Runtime,
/// they saturate.
const WRAPPED: [&str; 4] = [
    "test_qlinearmatmul_2D_int8_float16",
    "test_qlinearmatmul_2D_int8_float32",
    "test_qlinearmatmul_3D_int8_float16",
    "test_qlinearmatmul_3D_int8_float32",
];

/// Real numbers may also differ by this part, as in [`crate::judge`].
const RTOL: f32 = 1e-3;

/// Holds the integer model against the expected outputs.
///
/// # Errors
/// If a result is wrong.
pub(crate) fn judge(case: &Case, constants: &[usize], graph: &Graph) -> Result<Outcome> {
    let (given, want) = (case.given(constants, graph)?, case.wanted(graph)?);
    let offsets = case.given_offsets(constants);
    let real = |((x, offset), port): ((ArrayD<f32>, Option<f32>), &teff_tools::ir::Port)| match offset {
        None => Ok(x),
        Some(offset) => {
            let pin = graph.value(port.value).pin.context("an integer input without a scale")?;
            Ok(x.mapv(|q| pin.dequantize((q - offset) as i32)))
        }
    };
    let given = given.into_iter().zip(offsets).zip(&graph.inputs).map(real).collect::<Result<Vec<_>>>()?;
    let samples = if uncalibrated(graph).is_empty() { vec![] } else { vec![given.clone()] };
    let converted = match convert(graph, &samples, &convert::Options::default(), &|| {}) {
        Ok(converted) => converted,
        Err(error) => return Ok(Outcome::Refused(format!("{error:#}"))),
    };
    let model = Model::verify(&converted.file)?;
    let found = Interpreter::new(&model).run(&given)?;
    let ports = model.entry(0).context("no entry point")?.outputs();
    for (((port, want), found), offset) in ports.zip(&want).zip(&found).zip(case.wanted_offsets()) {
        let tensor = port.tensor().context("no tensor")?;
        ensure!(found.device.shape() == want.shape(), "shape {:?} instead of {:?}", found.device.shape(), want.shape());
        for (&got, &want) in found.device.iter().zip(want) {
            let (got, tolerance) = match offset {
                Some(offset) => ((got / tensor.scale).round() + tensor.zero_point as f32 + offset, 1.0),
                None => (got, 0.5 * tensor.scale + RTOL * want.abs()),
            };
            let saturated = WRAPPED.contains(&case.name.as_str()) && [-128.0, 127.0].contains(&got);
            ensure!(saturated || (got - want).abs() <= tolerance, "{got} instead of {want}, tolerance {tolerance}");
        }
    }
    Ok(Outcome::Passed)
}
