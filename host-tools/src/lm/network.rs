//! A decoder-only language model in float, whatever file it came from.

use anyhow::{Result, ensure};
use ndarray::{Array1, Array2};
use teff::kernels::attention::Rope;

/// How rows are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Zhang and Sennrich, 2019.
    Rms,
    /// Ba et al., 2016.
    Layer,
}

/// Activation of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationKind {
    /// `x · σ(x)`
    Silu,
    /// `x · Φ(x)`
    Gelu,
    /// GELU's tanh form.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `max(x, 0)²`
    SquaredRelu,
}

impl ActivationKind {
    /// The function.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Relu => x.max(0.0),
            Self::SquaredRelu => x.max(0.0).powi(2),
            gate => x * gate.gate(f64::from(x)) as f32,
        }
    }

    /// G of `x · G(x)`; 1 for what is no gate.
    pub fn gate(self, x: f64) -> f64 {
        match self {
            Self::Silu => 1.0 / (1.0 + (-x).exp()),
            Self::Gelu => 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2),
            Self::GeluTanh => 0.5 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()),
            Self::Relu | Self::SquaredRelu => 1.0,
        }
    }
}

/// Sizes and kinds.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Tokens.
    pub vocabulary: usize,
    /// Elements of the residual stream.
    pub dim: usize,
    /// Elements between the halves of an MLP.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// How positions turn heads.
    pub rope: Rope,
    /// Angle of a position for each pair; empty without rotary positions.
    pub frequencies: Vec<f64>,
    /// How rows are normalised.
    pub norm: NormKind,
    /// ε of the normalisation.
    pub epsilon: f64,
    /// Activation of the MLPs.
    pub activation: ActivationKind,
    /// Longest sequence the model was made for.
    pub context: usize,
}

impl Architecture {
    /// Elements of keys or values.
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Elements of queries.
    pub fn q_dim(&self) -> usize {
        self.heads * self.head_dim
    }
}

/// A matrix product with bias.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `(out, in)`
    pub weight: Array2<f32>,
    /// `(out)`
    pub bias: Option<Array1<f32>>,
}

/// γ and β of a normalisation.
#[derive(Debug, Clone)]
pub struct Norm {
    /// γ
    pub gamma: Array1<f32>,
    /// β
    pub beta: Option<Array1<f32>>,
}

/// A block: attention and MLP.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Before attention.
    pub attention_norm: Norm,
    /// Queries, keys and values, one below the other.
    pub qkv: Linear,
    /// Output of attention.
    pub output: Linear,
    /// Before the MLP.
    pub mlp_norm: Norm,
    /// Gate of a gated MLP.
    pub gate: Option<Linear>,
    /// First half of the MLP.
    pub up: Linear,
    /// Second half.
    pub down: Linear,
}

/// The model.
#[derive(Debug, Clone)]
pub struct Network {
    /// Sizes and kinds.
    pub architecture: Architecture,
    /// `(vocabulary, dim)`
    pub embedding: Array2<f32>,
    /// The blocks.
    pub layers: Vec<Layer>,
    /// Before the logits.
    pub final_norm: Norm,
    /// The logits; `None`: the embedding serves.
    pub head: Option<Linear>,
}

impl Network {
    /// Parameters, the embedding counted once.
    pub fn parameters(&self) -> usize {
        let linear = |l: &Linear| l.weight.len() + l.bias.as_ref().map_or(0, |b| b.len());
        let norm = |n: &Norm| n.gamma.len() + n.beta.as_ref().map_or(0, |b| b.len());
        let layer = |l: &Layer| {
            let linears = [Some(&l.qkv), Some(&l.output), l.gate.as_ref(), Some(&l.up), Some(&l.down)];
            linears.into_iter().flatten().map(linear).sum::<usize>() + norm(&l.attention_norm) + norm(&l.mlp_norm)
        };
        self.embedding.len()
            + self.layers.iter().map(layer).sum::<usize>()
            + norm(&self.final_norm)
            + self.head.as_ref().map_or(0, linear)
    }

    /// That all matrices have the sizes that the architecture asks for.
    ///
    /// # Errors
    /// The first that has not.
    pub fn check(&self) -> Result<()> {
        let a = &self.architecture;
        ensure!(
            a.heads > 0 && a.kv_heads > 0 && a.heads.is_multiple_of(a.kv_heads),
            "{} query heads for {} key heads",
            a.heads,
            a.kv_heads
        );
        let shape = |what: &str, l: &Linear, out: usize, inputs: usize| {
            ensure!(l.weight.dim() == (out, inputs), "{what}: {:?}, wanted [{out}, {inputs}]", l.weight.shape());
            ensure!(l.bias.as_ref().is_none_or(|b| b.len() == out), "{what}: a bias of another length");
            Ok(())
        };
        let norm = |what: &str, n: &Norm| {
            let fits = n.gamma.len() == a.dim && n.beta.as_ref().is_none_or(|b| b.len() == a.dim);
            ensure!(fits, "{what}: not of {} elements", a.dim);
            Ok(())
        };
        ensure!(self.embedding.dim() == (a.vocabulary, a.dim), "the embedding is {:?}", self.embedding.shape());
        for (i, layer) in self.layers.iter().enumerate() {
            let name = |what: &str| format!("layer {i}, {what}");
            shape(&name("queries, keys, values"), &layer.qkv, a.q_dim() + 2 * a.kv_dim(), a.dim)?;
            shape(&name("attention output"), &layer.output, a.dim, a.q_dim())?;
            shape(&name("MLP up"), &layer.up, a.hidden, a.dim)?;
            if let Some(gate) = &layer.gate {
                shape(&name("MLP gate"), gate, a.hidden, a.dim)?;
            }
            shape(&name("MLP down"), &layer.down, a.dim, a.hidden)?;
            norm(&name("attention norm"), &layer.attention_norm)?;
            norm(&name("MLP norm"), &layer.mlp_norm)?;
        }
        if let Some(head) = &self.head {
            shape("logits", head, a.vocabulary, a.dim)?;
        }
        norm("final norm", &self.final_norm)
    }
}
