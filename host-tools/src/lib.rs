//! tools
pub mod aligned;
pub mod board;
pub mod calibrate;
pub mod convert;
pub mod emit;
pub mod plan;
pub mod program;
pub mod quantize;
pub mod ir;
pub mod ops;
pub mod cli;
pub mod data;
pub mod report;
pub mod import;
pub mod passes;
