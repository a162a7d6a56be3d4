//! Language models: from a Hugging Face folder or an ONNX export to a `.teff` file of operators over rows, with a
//! tokenizer, a prefill and a decode entry point over the same weights.
//!
//! | module | what it is |
//! |---|---|
//! | [`network`] | the float model: architecture and weights, whatever it was read from |
//! | [`folder`] | reads a Hugging Face folder |
//! | [`onnx`] | reads an ONNX export, with a cache or without one |
//! | [`float`] | the network's meaning in float; what calibration sees |
//! | [`quantize`] | weights of 8, 4 or 2 bits, error-compensated on a calibration text |
//! | [`program`] | the steps of the runtime |
//! | `self_written` | texts to calibrate on where none are given |
//! | [`tokenizer`] | `tokenizer.json` as a section of the file |
//! | [`convert`] | all of it, in order |
//! | [`host`] | runs a converted model here |
//! | [`perplexity`] | measures one |

pub mod convert;
mod equalize;
pub mod float;
pub mod folder;
pub mod host;
pub mod network;
pub mod onnx;
pub mod perplexity;
pub mod program;
pub mod quantize;
mod self_written;
pub mod tokenizer;
