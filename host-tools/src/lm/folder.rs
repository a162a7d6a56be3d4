//! Reads a Hugging Face folder: config.json, model.safetensors, tokenizer.json. LLaMA's family.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array1, Array2, Axis, concatenate};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use teff::kernels::attention::Rope;

use super::network::{ActivationKind, Architecture, Layer, Linear, Network, Norm, NormKind};

/// What is read of config.json.
#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Vec<String>,
    model_type: Option<String>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    #[serde(default = "ten_thousand")]
    rope_theta: f64,
    rope_scaling: Option<serde_json::Value>,
    sliding_window: Option<usize>,
    #[serde(default)]
    hidden_act: Option<String>,
}

fn ten_thousand() -> f64 {
    10_000.0
}

/// Model types whose tensors have LLaMA's names and meaning.
const FAMILY: [&str; 3] = ["llama", "mistral", "qwen2"];

/// Reads the folder.
///
/// # Errors
/// If a file is missing or broken, or the architecture is not of LLaMA's family; the message says which and what to do.
pub fn read(folder: &Path) -> Result<Network> {
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let kind = value.get("model_type").and_then(|v| v.as_str()).unwrap_or("unnamed").to_string();
    let family = FAMILY.join(", ");
    ensure!(
        FAMILY.contains(&kind.as_str()),
        "{}: the architecture `{kind}` is not supported; those of LLaMA's family are: {family}. Export the model to ONNX \
         (optimum-cli export onnx) and convert that with --lm --context N",
        path.display()
    );
    let config: Config =
        serde_json::from_value(value).with_context(|| format!("{}: not as a `{kind}` has it", path.display()))?;
    let architecture = architecture(&config).with_context(|| path.display().to_string())?;
    let path = folder.join("model.safetensors");
    let missing = "; models in several shards are to be saved in one (save_pretrained(…, max_shard_size=\"100GB\"))";
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}{missing}", path.display()))?;
    let tensors =
        SafeTensors::deserialize(&bytes).with_context(|| format!("{} is no safetensors file", path.display()))?;
    let network = Reader { tensors }.network(architecture, config.num_hidden_layers);
    let network = network.with_context(|| path.display().to_string())?;
    network.check().with_context(|| path.display().to_string())?;
    Ok(network)
}

fn architecture(config: &Config) -> Result<Architecture> {
    let heads = config.num_attention_heads;
    ensure!(heads > 0, "no attention heads");
    let head_dim = config.head_dim.unwrap_or(config.hidden_size / heads);
    let plain =
        config.rope_scaling.as_ref().is_none_or(|s| s.is_null() || s.get("rope_type").is_some_and(|t| t == "default"));
    ensure!(plain, "rope_scaling is not supported: only plain rotary positions are");
    if let Some(window) = config.sliding_window {
        ensure!(
            window >= config.max_position_embeddings,
            "sliding_window {window} is not supported; convert with --sinks for a window of Teff's"
        );
    }
    let activation = match config.hidden_act.as_deref().unwrap_or("silu") {
        "silu" | "swish" => ActivationKind::Silu,
        "gelu" => ActivationKind::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => ActivationKind::GeluTanh,
        "relu" => ActivationKind::Relu,
        "relu2" => ActivationKind::SquaredRelu,
        other => bail!("hidden_act `{other}` is not supported: silu, gelu, gelu_pytorch_tanh, relu and relu2 are"),
    };
    let _ = (&config.architectures, &config.model_type);
    let frequencies = (0..head_dim / 2).map(|i| config.rope_theta.powf(-((2 * i) as f64) / head_dim as f64)).collect();
    Ok(Architecture {
        vocabulary: config.vocab_size,
        dim: config.hidden_size,
        hidden: config.intermediate_size,
        heads,
        kv_heads: config.num_key_value_heads.unwrap_or(heads),
        head_dim,
        rope: Rope::Half,
        frequencies,
        norm: NormKind::Rms,
        epsilon: config.rms_norm_eps,
        activation,
        context: config.max_position_embeddings,
    })
}

struct Reader<'a> {
    tensors: SafeTensors<'a>,
}

impl Reader<'_> {
    fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// The elements of a tensor, and its shape.
    fn values(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
        let tensor = self.tensors.tensor(name).with_context(|| format!("no tensor {name}"))?;
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            other => bail!("tensor {name}: elements of type {other:?}; float32, float16 and bfloat16 are supported"),
        };
        Ok((values, tensor.shape().to_vec()))
    }

    fn vector(&self, name: &str) -> Result<Array1<f32>> {
        let (values, shape) = self.values(name)?;
        ensure!(shape.len() == 1, "tensor {name}: shape {shape:?}, wanted one axis");
        Ok(Array1::from(values))
    }

    fn matrix(&self, name: &str) -> Result<Array2<f32>> {
        let (values, shape) = self.values(name)?;
        let [rows, columns] = shape[..] else { bail!("tensor {name}: shape {shape:?}, wanted two axes") };
        Ok(Array2::from_shape_vec((rows, columns), values)?)
    }

    fn linear(&self, name: &str) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"))?;
        let bias = format!("{name}.bias");
        let bias = self.has(&bias).then(|| self.vector(&bias)).transpose()?;
        Ok(Linear { weight, bias })
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        Ok(Norm { gamma: self.vector(&format!("{name}.weight"))?, beta: None })
    }

    fn network(&self, architecture: Architecture, layers: usize) -> Result<Network> {
        let layer = |i: usize| -> Result<Layer> {
            let at = |name: &str| format!("model.layers.{i}.{name}");
            let parts = ["q", "k", "v"].map(|part| self.linear(&at(&format!("self_attn.{part}_proj"))));
            let [q, k, v] = parts;
            Ok(Layer {
                attention_norm: self.norm(&at("input_layernorm"))?,
                qkv: stacked(&[q?, k?, v?])?,
                output: self.linear(&at("self_attn.o_proj"))?,
                mlp_norm: self.norm(&at("post_attention_layernorm"))?,
                gate: Some(self.linear(&at("mlp.gate_proj"))?),
                up: self.linear(&at("mlp.up_proj"))?,
                down: self.linear(&at("mlp.down_proj"))?,
            })
        };
        let head = "lm_head.weight";
        Ok(Network {
            architecture,
            embedding: self.matrix("model.embed_tokens.weight")?,
            layers: (0..layers).map(layer).collect::<Result<_>>()?,
            final_norm: self.norm("model.norm")?,
            head: if self.has(head) { Some(self.linear("lm_head")?) } else { None },
        })
    }
}

/// Several products of the same rows as one.
pub(super) fn stacked(parts: &[Linear]) -> Result<Linear> {
    let weights: Vec<_> = parts.iter().map(|p| p.weight.view()).collect();
    let weight = concatenate(Axis(0), &weights)?;
    let bias = if parts.iter().any(|p| p.bias.is_some()) {
        let zeros = |p: &Linear| p.bias.clone().unwrap_or_else(|| Array1::zeros(p.weight.nrows()));
        let biases: Vec<_> = parts.iter().map(zeros).collect();
        Some(concatenate(Axis(0), &biases.iter().map(|b| b.view()).collect::<Vec<_>>())?)
    } else {
        None
    };
    Ok(Linear { weight, bias })
}
