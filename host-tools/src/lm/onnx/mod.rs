//! Reads a language model from an ONNX export, with a cache or without one.
//!
//! Exporters write the same network in many ways. So what is looked for is its skeleton, which all of them keep: the matrix
//! products with constant weights, and the stream of additions that they feed (`skeleton`). What stands between products is
//! not matched node by node but asked what it does (`probe`, `attention`): it is evaluated on inputs from which its
//! parameters follow, such as γ, β and ε of a normalisation, the activation of an MLP, the head size, the pairs that positions
//! turn and their angles. In the end the network found and the graph must give the same logits (`check`).
//!
//! | module | what it is |
//! |---|---|
//! | `graph`, `lower` | the graph: constants folded, fused nodes taken apart |
//! | `eval`, `value` | evaluates it in f64 |
//! | `inputs` | which input is what; the cache's inputs, which become state |

mod attention;
mod check;
mod eval;
mod graph;
mod inputs;
mod lower;
mod probe;
mod skeleton;
mod value;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2};
use teff::kernels::attention::Rope;

use self::graph::Graph;
use self::inputs::Feed;
use self::skeleton::{Block, Product, Skeleton};
use super::folder::stacked;
use super::network::{Architecture, Layer, Linear, Network};

/// Reads the file as a model of at most `context` tokens.
///
/// # Errors
/// If it is no decoder of the kinds that [`Network`] describes; the message names the node where it differs.
pub fn read(path: &Path, context: usize) -> Result<Network> {
    let said = || format!("{}: not recognised as a language model", path.display());
    recognised(path, context).with_context(said)
}

fn recognised(path: &Path, context: usize) -> Result<Network> {
    let graph = Graph::read(path)?;
    let feed = Feed::of(&graph)?;
    let tokens = feed.tokens(8);
    let given = feed.values(&vec![0; tokens], 0, &[])?;
    let skeleton = Skeleton::find(&graph, &given, &feed)?;
    let probe = probe::Probe { graph: &graph, given: &given, skeleton: &skeleton, tokens };
    let mut network = network(&probe, context)?;
    network.embedding = embedding(&graph, &feed, &skeleton, network.architecture.vocabulary)?;
    let dim = network.architecture.dim;
    ensure!(network.embedding.ncols() == dim, "the embedding has rows of {}, not {dim}", network.embedding.ncols());
    network.head = network.head.filter(|head| head.bias.is_some() || head.weight != network.embedding);
    network.check()?;
    check::same_logits(&graph, &feed, &network)?;
    Ok(network)
}

/// Everything but the embedding.
fn network(probe: &probe::Probe<'_>, context: usize) -> Result<Network> {
    let skeleton = probe.skeleton;
    let dim = skeleton.head.weight.ncols();
    let (kind, epsilon, final_norm) = probe.norm(&skeleton.head.input, &skeleton.last, dim)?;
    let mut layers = Vec::new();
    let mut found: Option<Architecture> = None;
    for (i, pair) in skeleton.blocks.chunks(2).enumerate() {
        let [attention, mlp] = pair else {
            anyhow::bail!("{}: a block of attention has no MLP behind it", pair[0].title);
        };
        let (layer, own) = layer(probe, attention, mlp, dim).with_context(|| format!("layer {i}"))?;
        let own = Architecture { vocabulary: skeleton.head.weight.nrows(), context, ..own };
        ensure!(
            own.norm == kind && (own.epsilon / epsilon - 1.0).abs() < 0.05,
            "layer {i}, {}: its normalisation is {:?} with ε {:e}, but the last is {kind:?} with ε {epsilon:e}: all must be alike",
            attention.title,
            own.norm,
            own.epsilon
        );
        let own = Architecture { epsilon, ..own };
        if let Some(first) = &found {
            ensure!(
                alike(first, &own),
                "layer {i}, {}: it differs from layer 0: {own:?}, not {first:?}",
                attention.title
            );
        }
        found.get_or_insert(own);
        layers.push(layer);
    }
    let architecture = found.context("no block of attention and MLP stands between embedding and logits")?;
    let head = Some(linear(&skeleton.head));
    Ok(Network { architecture, embedding: Array2::zeros((0, 0)), layers, final_norm, head })
}

/// Whether two layers are of one kind; angles may differ by what their measurement does.
fn alike(a: &Architecture, b: &Architecture) -> bool {
    let angles = a.frequencies.len() == b.frequencies.len()
        && a.frequencies.iter().zip(&b.frequencies).all(|(a, b)| (a - b).abs() < 1e-5);
    angles && Architecture { frequencies: a.frequencies.clone(), ..b.clone() } == *a
}

fn layer(probe: &probe::Probe<'_>, attention: &Block, mlp: &Block, dim: usize) -> Result<(Layer, Architecture)> {
    ensure!(attention.mixes, "{}: attention is expected here, and this mixes no tokens", attention.title);
    ensure!(!mlp.mixes, "{}: an MLP is expected here, and this mixes tokens", mlp.title);
    let mut a = probe.attention(attention)?;
    let (norm_kind, epsilon, attention_norm) = probe.norm(&a.parts[0].input, &attention.stream, dim)?;
    probe.same_input(&a.parts)?;
    let mut m = probe.mlp(mlp)?;
    let (mlp_kind, mlp_epsilon, mlp_norm) = probe.norm(&m.up.input, &mlp.stream, dim)?;
    ensure!(
        mlp_kind == norm_kind && (mlp_epsilon / epsilon - 1.0).abs() < 0.05,
        "{}: its normalisation is {mlp_kind:?} with ε {mlp_epsilon:e}, that of attention {norm_kind:?} with ε {epsilon:e}: all must be alike",
        mlp.title
    );
    let mut gate = m.gate.take();
    if let Some(gate) = &gate {
        probe.same_input(&[gate.clone(), m.up.clone()])?;
    }
    // x·σ(αx) = silu(αx)/α
    let mut down = mlp.product.clone();
    if m.alpha != 1.0 {
        gate.as_mut().unwrap_or(&mut m.up).scale(m.alpha as f32);
        down.weight /= m.alpha as f32;
    }
    a.parts[0].scale(a.query_scale as f32);
    let [q, k, v] = [0, 1, 2].map(|i| linear(&a.parts[i]));
    let hidden = m.up.weight.nrows();
    let architecture = Architecture {
        vocabulary: 0,
        dim,
        hidden,
        heads: q.weight.nrows() / a.head_dim,
        kv_heads: k.weight.nrows() / a.head_dim,
        head_dim: a.head_dim,
        rope: if a.frequencies.is_empty() { Rope::None } else { a.rope },
        frequencies: a.frequencies,
        norm: norm_kind,
        epsilon,
        activation: m.activation,
        context: 0,
    };
    let layer = Layer {
        attention_norm,
        qkv: stacked(&[q, k, v])?,
        output: linear(&attention.product),
        mlp_norm,
        gate: gate.as_ref().map(linear),
        up: linear(&m.up),
        down: linear(&down),
    };
    Ok((layer, architecture))
}

fn linear(product: &Product) -> Linear {
    Linear { weight: product.weight.clone(), bias: product.bias.clone() }
}

/// The first tensor of the stream for each token, wherever it stands.
fn embedding(graph: &Graph, feed: &Feed<'_>, skeleton: &Skeleton, vocabulary: usize) -> Result<Array2<f32>> {
    let start = skeleton.start.as_str();
    let title = graph.producer(start).map_or_else(|| format!("input {start}"), |n| n.title());
    let rows = |ids: &[u32]| -> Result<Array2<f32>> {
        let value = graph.eval(&feed.values(ids, 0, &[])?, &[start])?.remove(0);
        let len = value.len() / ids.len();
        let values = value.f().iter().map(|&v| v as f32).collect();
        Ok(Array2::from_shape_vec((ids.len(), len), values)?)
    };
    let one = rows(&vec![0; feed.tokens(8)])?;
    let apart = (&one - &one.row(0)).fold(0.0_f32, |m, d| m.max(d.abs()));
    ensure!(
        apart < 1e-6,
        "{title}: a token's row depends on its position: learned positions are not supported, only rotary ones"
    );
    let of = feed.tokens(256);
    let mut all = Array2::zeros((vocabulary, one.ncols()));
    for first in (0..vocabulary).step_by(of) {
        let ids: Vec<u32> = (first..first + of).map(|i| i.min(vocabulary - 1) as u32).collect();
        let found = rows(&ids).with_context(|| format!("{title}: tokens from {first} of {vocabulary}"))?;
        for (row, &id) in found.rows().into_iter().zip(&ids) {
            all.row_mut(id as usize).assign(&row);
        }
    }
    Ok(all)
}

/// Elements of a constant vector.
fn vector(values: impl Iterator<Item = f64>) -> Array1<f32> {
    values.map(|v| v as f32).collect()
}
