//! The tools of Teff: from an ONNX model to a `.teff` file, and what a person wants to know of it before flashing.
//!
//! # The way of a model
//!
//! | module | what it does |
//! |---|---|
//! | [`import`] | ONNX through tract to the IR; what cannot be converted is listed, all at once |
//! | [`ir`], [`ops`] | the float graph, and its operators: one file each, the mirror of the runtime's |
//! | [`passes`] | brings the IR to the runtime's form: layout, folding, fusion |
//! | [`calibrate`] | the ranges that activations take on samples |
//! | [`quantize`] | scales and zero points; each node becomes a step of the runtime |
//! | [`chain`] | convolutions one after another become one step, where the arena would be too large |
//! | [`program`], [`mod@plan`], [`emit`] | lowered steps, memory, and the bytes of the file |
//! | [`mod@convert`] | all of that in order |
//!
//! [`interpreter`] runs a `.teff` on real numbers. Beside it stand [`data`] (sample sets), [`report`] (accuracy, per-layer
//! error, costs), [`board`] (emulated boards), [`host_bench`] (CPU time here), [`compare`] (a device against this computer,
//! step by step), [`update`] (signed models for devices in the field), [`mod@line`] (serial lines), [`project`] (new
//! firmware), [`mod@deploy`] (programs for a Raspberry Pi), and [`cli`], which holds one file a subcommand of `teff`.
//!
//! The tools link the very runtime that a board runs: what they compute is what the board will compute.
pub mod aligned;
pub mod board;
pub mod calibrate;
pub mod chain;
pub mod cli;
pub mod compare;
pub mod convert;
pub mod data;
pub mod deploy;
pub mod emit;
pub mod host_bench;
pub mod import;
pub mod interpreter;
pub mod ir;
pub mod line;
pub mod lm;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod program;
pub mod project;
pub mod quantize;
pub mod report;
pub mod state;
pub mod stream;
pub mod update;
