//! Golden cases of the operators over rows: tiny language models with random weights, in all their kinds.

use ndarray::{Array1, Array2};
use teff::kernels::attention::Rope;
use teff_tools::aligned::AlignedBytes;
use teff_tools::emit::{Extras, emit};
use teff_tools::lm::convert::{Options, quantize_network, real_network};
use teff_tools::lm::network::{ActivationKind, Architecture, Layer, Linear, Network, Norm, NormKind};
use teff_tools::lm::program::{Layout, program};
use teff_tools::lm::quantize::{Rounding, Width};
use zerocopy::IntoBytes;

/// One golden case.
pub struct LanguageCase {
    /// Unique, for messages and goldens.
    pub name: &'static str,
    /// The converted model.
    pub file: AlignedBytes,
    /// The float network of its very weights.
    pub network: Network,
    /// What it is fed.
    pub tokens: Vec<u16>,
    /// Largest difference of a logit, as a part of the largest logit.
    pub tolerance: f32,
}

/// Numbers in [-1, 1), the same at each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    fn linear(&mut self, outputs: usize, inputs: usize, biased: bool) -> Linear {
        let scale = 2.0 / (inputs as f32).sqrt();
        let weight = Array2::from_shape_fn((outputs, inputs), |_| self.next() * scale);
        Linear { weight, bias: biased.then(|| Array1::from_shape_fn(outputs, |_| self.next())) }
    }

    fn norm(&mut self, len: usize, biased: bool) -> Norm {
        let gamma = Array1::from_shape_fn(len, |_| 1.0 + 0.5 * self.next());
        Norm { gamma, beta: biased.then(|| Array1::from_shape_fn(len, |_| self.next())) }
    }
}

/// What differs between the cases.
struct Kind {
    name: &'static str,
    rope: Rope,
    norm: NormKind,
    activation: ActivationKind,
    gated: bool,
    tied: bool,
    weights: Width,
    activations: u32,
    sinks: Option<usize>,
}

fn case(kind: &Kind) -> LanguageCase {
    let numbers = &mut Numbers(7);
    let (vocabulary, dim, hidden, kv_heads, head_dim) = (40, 32, 48, 2, 8);
    let layer_norm = kind.norm == NormKind::Layer;
    let pairs = if kind.rope == Rope::None { 0 } else { head_dim / 2 };
    let architecture = Architecture {
        vocabulary,
        dim,
        hidden,
        heads: dim / head_dim,
        kv_heads,
        head_dim,
        rope: kind.rope,
        frequencies: (0..pairs).map(|i| 0.1_f64.powi(i as i32)).collect(),
        norm: kind.norm,
        epsilon: 1e-5,
        activation: kind.activation,
        context: 16,
    };
    let layer = |numbers: &mut Numbers| Layer {
        attention_norm: numbers.norm(dim, layer_norm),
        qkv: numbers.linear(dim + 2 * kv_heads * head_dim, dim, layer_norm),
        output: numbers.linear(dim, dim, layer_norm),
        mlp_norm: numbers.norm(dim, layer_norm),
        gate: kind.gated.then(|| numbers.linear(hidden, dim, layer_norm)),
        up: numbers.linear(hidden, dim, layer_norm),
        down: numbers.linear(dim, hidden, layer_norm),
    };
    let layers = vec![layer(numbers), layer(numbers)];
    let network = Network {
        architecture,
        embedding: numbers.linear(vocabulary, dim, false).weight,
        layers,
        final_norm: numbers.norm(dim, layer_norm && !kind.tied),
        head: (!kind.tied).then(|| numbers.linear(vocabulary, dim, false)),
    };
    let layout = Layout { activations: kind.activations, context: 16, sinks: kind.sinks, prefill: 4, verify: 3 };
    let options = Options {
        weights: kind.weights,
        widths: vec![("layers.1.mlp.down".into(), Width { bits: 8, group: 0 })],
        rounding: Rounding::Nearest,
        layout,
        metadata: Vec::new(),
        tokenizer: Vec::new(),
        debug_names: true,
    };
    // A text gives the keys a centre.
    let centred = kind.sinks.is_some() || kind.rope == Rope::Interleaved;
    let texts: &[Vec<u32>] = if centred { &[(0..16).map(|i| i * 11 % 40).collect()] } else { &[] };
    let quantized = quantize_network(&network, texts, &options, &|| {}).expect(kind.name);
    let extras = Extras { self_test_input: Some([3_i32, 0].as_bytes().to_vec()), ..Extras::default() };
    let file = emit(&program(&quantized, &layout).expect(kind.name), &extras).expect(kind.name).file;
    let tolerance = if kind.activations == 8 { 0.12 } else { 0.05 };
    let tokens = (0..12).map(|i| i * 7 % 40).collect();
    LanguageCase { name: kind.name, file, network: real_network(&quantized), tokens, tolerance }
}

/// All of them.
pub fn cases() -> Vec<LanguageCase> {
    let llama = Kind {
        name: "language_llama_w8a16",
        rope: Rope::Half,
        norm: NormKind::Rms,
        activation: ActivationKind::Silu,
        gated: true,
        tied: true,
        weights: Width { bits: 8, group: 0 },
        activations: 16,
        sinks: None,
    };
    let g16 = |bits| Width { bits, group: 16 };
    let kinds = [
        Kind { name: "language_interleaved_w4a16", rope: Rope::Interleaved, weights: g16(4), ..llama },
        Kind { name: "language_window_w2a16", weights: g16(2), sinks: Some(2), ..llama },
        Kind { name: "language_llama_w8a8", activations: 8, tied: false, ..llama },
        Kind {
            name: "language_gelu_layer_norm",
            norm: NormKind::Layer,
            activation: ActivationKind::Gelu,
            gated: false,
            tied: false,
            ..llama
        },
        Kind {
            name: "language_squared_relu_no_rope",
            rope: Rope::None,
            activation: ActivationKind::SquaredRelu,
            gated: false,
            ..llama
        },
        Kind {
            name: "language_relu_w4_rows",
            activation: ActivationKind::Relu,
            weights: Width { bits: 4, group: 0 },
            ..llama
        },
        Kind { name: "language_gelu_tanh", activation: ActivationKind::GeluTanh, weights: g16(8), ..llama },
    ];
    std::iter::once(&llama).chain(&kinds).map(case).collect()
}
