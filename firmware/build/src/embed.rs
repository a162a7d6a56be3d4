//! From the bytes of a model to the source that embeds it.

use std::collections::BTreeMap;

use teff::Model;
use teff::ops::{NARROW, OpDef};

use crate::Budget;
use crate::error::EmbedError;

/// A model as the firmware sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Embedding {
    /// Rust items `MODEL`, `MEMORY_LEN`, `ARENA_LEN`, `STATE_LEN`, `OPS` and `embedded`; reads `model.teff` from the folder that it is in.
    pub source: String,
    /// Bytes of arena and state.
    pub memory_len: usize,
    /// Names of the operators, each once, in the order of their ids.
    pub ops: Vec<&'static str>,
}

/// Checks `file` and that it fits `budget`, and writes the source that embeds it.
///
/// # Errors
/// If the file is no valid model, or does not fit.
pub fn embed(file: &[u8], budget: Budget) -> Result<Embedding, EmbedError> {
    budget.check(file.len(), 0)?;
    let mut buffer = vec![0; file.len() + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT);
    let aligned = &mut buffer[start..start + file.len()];
    aligned.copy_from_slice(file);
    let model = Model::verify(aligned).map_err(EmbedError::Invalid)?;

    let memory_len = model.memory_len();
    budget.check(file.len(), memory_len)?;
    let ops: BTreeMap<u16, &'static OpDef> = model.steps().map(|step| (step.op.id, step.op)).collect();
    let narrow: Vec<_> = ops.values().map(|op| narrowest(&model, op).name).collect();
    let ops: Vec<_> = ops.values().map(|op| op.name).collect();
    Ok(Embedding { source: source(&model, &ops, &narrow), memory_len, ops })
}

/// The form of `op` that links least and accepts all steps of `model`.
fn narrowest(model: &Model<'_>, op: &'static OpDef) -> &'static OpDef {
    let accepts = |narrow: &&&'static OpDef| {
        let mut steps = model.steps().filter(|step| step.op.id == op.id);
        narrow.id == op.id && narrow.proof.is_some_and(|proof| steps.all(|step| (proof.check)(&step).is_ok()))
    };
    NARROW.iter().find(accepts).map_or(op, |narrow| narrow)
}

const ALIGNMENT: usize = align_of::<teff::Aligned<u8>>();

fn source(model: &Model<'_>, ops: &[&str], narrow: &[&str]) -> String {
    let (file_len, memory_len) = (model.file_len(), model.memory_len());
    let (arena_len, state_len) = (model.arena_len(), model.state_len());
    // The table of operators names each static after the operator's file, in capitals.
    let list = |names: &[&str], suffix: &str| {
        let items = names.iter().map(|name| format!("&::teff::ops::{}{suffix}", name.to_uppercase()));
        items.collect::<Vec<_>>().join(", ")
    };
    let (statics, only_run) = (list(ops, ""), list(narrow, ".only_run()"));
    format!(
        "\
/// The model file, aligned to {ALIGNMENT} bytes.
pub static MODEL: &[u8] = &MODEL_FILE.0;
static MODEL_FILE: ::teff::Aligned<[u8; {file_len}]> =
    ::teff::Aligned(*include_bytes!(concat!(env!(\"OUT_DIR\"), \"/model.teff\")));

/// Bytes of memory for a session: arena and state.
pub const MEMORY_LEN: usize = {memory_len};

/// Bytes of the arena: what lasts within a run.
#[allow(dead_code, reason = \"most firmwares need the sum alone\")]
pub const ARENA_LEN: usize = {arena_len};

/// Bytes of the state: what outlives a run.
#[allow(dead_code, reason = \"most firmwares need the sum alone\")]
pub const STATE_LEN: usize = {state_len};

/// The operators that the model uses.
pub static OPS: &[&::teff::ops::OpDef] = &[{statics}];

/// The model, as the build script verified it: without [`OPS`] in the firmware, no checks are linked.
///
/// # Errors
/// If the flash no longer holds its bytes.
#[allow(dead_code, reason = \"a firmware that takes models from elsewhere too verifies this one as it does those\")]
pub fn embedded() -> Result<::teff::Model<'static>, ::teff::VerifyError> {{
    static ONLY_RUN: &[&::teff::ops::OpDef] = &[{only_run}];
    ::teff::Model::embedded(MODEL, ONLY_RUN)
}}
"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const ROOMY: Budget = Budget { flash: usize::MAX, ram: usize::MAX };

    fn shipped() -> Vec<u8> {
        shipped_as("lightcnn-mnist/model.teff")
    }

    fn shipped_as(path: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(path);
        std::fs::read(path).expect("the repository holds the model")
    }

    #[test]
    fn every_operator_is_named_once() {
        let embedding = embed(&shipped(), ROOMY).expect("the model is valid");
        assert_eq!(embedding.source.matches("&::teff::ops::CONV2D,").count(), 1, "{}", embedding.source);
        assert!(embedding.ops.iter().all(|name| teff::ops::ALL.iter().any(|op| op.name == *name)));
        assert!(embedding.source.contains(&format!("MEMORY_LEN: usize = {};", embedding.memory_len)));
    }

    #[test]
    fn arena_and_state_are_constants_of_their_own() {
        let constant = |source: &str, name: &str| -> usize {
            let (_, value) = source.split_once(&format!("pub const {name}: usize = ")).expect(name);
            value.split_once(';').and_then(|(value, _)| value.parse().ok()).expect(name)
        };
        for (path, has_state) in [("lightcnn-mnist/model.teff", false), ("keyword/streaming.teff", true)] {
            let Embedding { source, memory_len, .. } = embed(&shipped_as(path), ROOMY).expect("the model is valid");
            let [memory, arena, state] = ["MEMORY_LEN", "ARENA_LEN", "STATE_LEN"].map(|name| constant(&source, name));
            assert_eq!((memory, arena + state), (memory_len, memory_len), "{path}");
            assert!(arena > 0 && (state > 0) == has_state, "{path}: {arena} and {state}");
        }
    }

    #[test]
    fn the_embedded_model_gets_the_narrowest_operators_and_others_all_of_them() {
        let source = embed(&shipped(), ROOMY).expect("the model is valid").source;
        let (all, only_run) = source.split_once("pub fn embedded").expect("both tables");
        assert!(all.contains("::CONV2D]") || all.contains("::CONV2D,"), "{source}");
        assert!(!all.contains("CONV2D_DENSE") && only_run.contains("::CONV2D_DENSE.only_run()"), "{source}");
    }

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_both_numbers() {
        let file = shipped();
        let small = Budget { flash: file.len() - 1, ..ROOMY };
        let error = embed(&file, small).expect_err("one byte is missing");
        assert_eq!(error, EmbedError::Flash { needed: file.len(), budget: file.len() - 1 });
        assert!(error.to_string().contains("1 bytes too many"), "{error}");

        let memory_len = embed(&file, ROOMY).expect("the model is valid").memory_len;
        let small = Budget { ram: memory_len - 1, ..ROOMY };
        assert_eq!(embed(&file, small), Err(EmbedError::Ram { needed: memory_len, budget: memory_len - 1 }));
        assert!(embed(&file, Budget { flash: file.len(), ram: memory_len }).is_ok());
    }

    #[test]
    fn what_is_no_model_is_refused() {
        assert!(matches!(embed(b"not a model", ROOMY), Err(EmbedError::Invalid(_))));
    }
}
