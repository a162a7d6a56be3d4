//! tools
pub mod aligned;
pub mod board;
pub mod calibrate;
pub mod cli;
pub mod convert;
pub mod data;
pub mod emit;
pub mod import;
pub mod ir;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod program;
pub mod quantize;
pub mod report;
