#!/usr/bin/env python3
"""Small decoders with random weights, written as different exporters write them: FOLDER/NAME.onnx, and NAME.npz with tokens
(`ids`) and the logits that ONNX Runtime computes (`logits`). Those in FOLDER/refused are not to be converted.

    python3 language-models.py FOLDER
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

VOCAB, DIM, HIDDEN, HEAD, LAYERS, TOKENS = 96, 32, 48, 16, 2, 24
MS = "com.microsoft"


@dataclass
class Form:
    """What is exported, and how."""

    name: str
    norm: str = "rms"  # rms, layer
    written: str = "pow"  # of the norm: pow, mul, rsqrt, one, skip
    rope: str = "half"  # half, interleaved, none
    tables: str = "cached"  # cached, computed, fused
    heads: int = 4
    kv_heads: int = 2
    part: float = 1.0  # of a head that positions turn
    theta: float = 10000.0
    mlp: str = "swiglu"  # swiglu, geglu, gelu, gelu_tanh, relu2, relu, quick
    fused_gelu: bool = False
    tied: str = "transpose"  # transpose, copy, no
    bias: bool = False
    cache: bool = False
    packed: bool = False  # queries, keys, values in one product
    gemm: bool = False
    attention: str = "plain"  # plain, gqa, mha
    mask: str = "where"  # where, add, trilu
    half: bool = False
    scale_in_query: bool = False
    wrong: str = ""


class Writer:
    """Collects nodes and initializers."""

    def __init__(self, form):
        self.form, self.nodes, self.constants, self.count = form, [], {}, 0
        self.random = np.random.default_rng(abs(hash_of(form.name)))

    def op(self, kind, *inputs, outputs=1, domain="", **attributes):
        self.count += 1
        names = [f"/{kind}_{self.count}_out{i}" for i in range(outputs)]
        inputs = [self.constant(i) if isinstance(i, (np.ndarray, int, float, list)) else i for i in inputs]
        self.nodes.append(helper.make_node(kind, inputs, names, f"/{kind}_{self.count}", domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value, name=None):
        if isinstance(value, (int, list)):
            value = np.array(value, np.int64)
        if isinstance(value, float):
            value = np.array(value, np.float32)
        self.count += 1
        name = name or f"constant_{self.count}"
        self.constants[name] = value
        return name

    def weight(self, *shape, scale=None, around=0.0):
        scale = 1 / np.sqrt(shape[0]) if scale is None else scale
        value = (around + scale * self.random.standard_normal(shape)).astype(np.float32)
        return value.astype(np.float16).astype(np.float32) if self.form.half else value


def hash_of(text):
    value = 0
    for character in text:
        value = (value * 31 + ord(character)) % (1 << 31)
    return value


def linear(w, x, inputs, outputs, bias=None):
    form = w.form
    bias = form.bias if bias is None else bias
    weight, offset = w.weight(inputs, outputs), w.weight(outputs, scale=0.3)
    if form.half:
        y = w.op("MatMul", x, w.op("Cast", weight.astype(np.float16), to=TensorProto.FLOAT))
    elif form.gemm:
        flat = w.op("Reshape", x, [-1, inputs])
        arguments = [flat, weight.T.copy()] + ([offset] if bias else [])
        shape = w.op("Concat", [1], w.op("Slice", w.op("Shape", x), [1], [2], [0]), [outputs], axis=0)
        return w.op("Reshape", w.op("Gemm", *arguments, transB=1), shape)
    else:
        y = w.op("MatMul", x, weight)
    return w.op("Add", offset, y) if bias else y


def norm(w, x):
    form = w.form
    gamma, beta = w.weight(DIM, scale=0.2, around=1.0), w.weight(DIM, scale=0.2)
    if form.norm == "layer":
        if form.written == "one":
            return w.op("LayerNormalization", x, gamma, beta, axis=-1, epsilon=1e-5)
        centred = w.op("Sub", x, w.op("ReduceMean", x, axes=[-1]))
        variance = w.op("ReduceMean", w.op("Pow", centred, 2.0), axes=[-1])
        normal = w.op("Div", centred, w.op("Sqrt", w.op("Add", variance, 1e-5)))
        return w.op("Add", w.op("Mul", normal, gamma), beta)
    if form.written == "one":
        return w.op("SimplifiedLayerNormalization", x, gamma, axis=-1, epsilon=1e-6)
    square = w.op("Mul", x, x) if form.written == "mul" else w.op("Pow", x, 2.0)
    root = w.op("Sqrt", w.op("Add", w.op("ReduceMean", square, axes=[-1]), 1e-6))
    if form.written == "mul":
        return w.op("Mul", w.op("Div", x, root), gamma)
    reciprocal = w.op("Reciprocal", root) if form.written == "rsqrt" else w.op("Div", 1.0, root)
    return w.op("Mul", gamma, w.op("Mul", x, reciprocal))


def positions(w, ids, past):
    """Token positions (1, tokens)."""
    if w.form.cache:
        return "position_ids"
    length = w.op("Gather", w.op("Shape", ids), 1, axis=0)
    return w.op("Unsqueeze", w.op("Range", 0, length, 1), [0])


def turned(w, x, cos, sin):
    """Rotary positions of (1, heads, tokens, head)."""
    form, part = w.form, int(HEAD * w.form.part)
    if form.tables == "fused":
        return w.op("RotaryEmbedding", x, w.places, cos, sin, domain=MS, interleaved=int(form.rope == "interleaved"))
    rest = None
    if part < HEAD:
        x, rest = (w.op("Slice", x, [a], [b], [3]) for a, b in ((0, part), (part, HEAD)))
    if form.rope == "half":
        low, high = (w.op("Slice", x, [a], [b], [-1]) for a, b in ((0, part // 2), (part // 2, 2**62)))
        rotated = w.op("Concat", w.op("Neg", high), low, axis=-1)
    else:
        even, odd = (w.op("Slice", x, [a], [2**62], [3], [2]) for a in (0, 1))
        pairs = [w.op("Unsqueeze", p, [-1]) for p in (w.op("Neg", odd), even)]
        rotated = w.op("Reshape", w.op("Concat", *pairs, axis=-1), w.op("Shape", x))
    x = w.op("Add", w.op("Mul", x, cos), w.op("Mul", rotated, sin))
    return w.op("Concat", x, rest, axis=-1) if rest else x


def angles(w):
    """cos and sin for the tokens, or their tables."""
    form, part = w.form, int(HEAD * w.form.part)
    inverse = form.theta ** (-np.arange(0, part, 2) / part)
    if form.tables == "fused":
        table = np.outer(np.arange(64), inverse)
        return w.constant(np.cos(table).astype(np.float32)), w.constant(np.sin(table).astype(np.float32))
    if form.tables == "computed":
        column = w.op("Expand", inverse.astype(np.float32).reshape(1, -1, 1), [1, 1, 1])
        row = w.op("Cast", w.op("Unsqueeze", w.places, [1]), to=TensorProto.FLOAT)
        product = w.op("Transpose", w.op("MatMul", column, row), perm=[0, 2, 1])
        if form.rope == "half":
            both = w.op("Concat", product, product, axis=-1)
        else:
            pairs = w.op("Unsqueeze", product, [-1])
            both = w.op("Reshape", w.op("Concat", pairs, pairs, axis=-1), [1, -1, part])
        return tuple(w.op("Unsqueeze", w.op(kind, both), [1]) for kind in ("Cos", "Sin"))
    table = np.outer(np.arange(64), inverse)
    table = np.concatenate([table, table], 1) if form.rope == "half" else np.repeat(table, 2, 1)
    rows = [w.op("Gather", f(table).astype(np.float32), w.places, axis=0) for f in (np.cos, np.sin)]
    return tuple(w.op("Unsqueeze", row, [1]) for row in rows)


def repeated(w, x):
    """(1, kv_heads, tokens, head) to as many heads as there are queries."""
    times = w.form.heads // w.form.kv_heads
    if times == 1:
        return x
    dims = w.op("Shape", x)
    tokens = w.op("Slice", dims, [2], [3], [0])
    wide = w.op("Concat", [1, w.form.kv_heads, times], tokens, [HEAD], axis=0)
    expanded = w.op("Expand", w.op("Unsqueeze", x, [2]), wide)
    return w.op("Reshape", expanded, w.op("Concat", [1, w.form.heads], tokens, [HEAD], axis=0))


def causal(w, scores):
    """The mask over scores (1, heads, tokens, keys)."""
    dims = w.op("Shape", scores)
    tokens, keys = (w.op("Gather", dims, i, axis=0) for i in (2, 3))
    past = w.op("Sub", keys, tokens)
    if w.form.mask == "trilu":
        shape = w.op("Slice", dims, [2], [4], [0])
        minus = helper.make_tensor("value", TensorProto.FLOAT, [1], [-3.4028235e38])
        full = w.op("ConstantOfShape", shape, value=minus)
        return w.op("Add", scores, w.op("Trilu", full, w.op("Add", past, 1), upper=1))
    row = w.op("Unsqueeze", w.op("Add", w.op("Range", 0, tokens, 1), past), [1])
    column = w.op("Unsqueeze", w.op("Range", 0, keys, 1), [0])
    later = w.op("Greater", column, row)
    if w.form.mask == "add":
        return w.op("Add", scores, w.op("Mul", w.op("Cast", later, to=TensorProto.FLOAT), -1e9))
    return w.op("Where", later, -1e9, scores)


def attention(w, x, layer, cos, sin):
    form = w.form
    width, kv_width = form.heads * HEAD, form.kv_heads * HEAD
    if form.packed:
        all_three = linear(w, x, DIM, width + 2 * kv_width)
        sizes = w.constant([width, kv_width, kv_width])
        parts = w.op("Split", all_three, sizes, outputs=3, axis=-1)
    else:
        parts = [linear(w, x, DIM, n) for n in (width, kv_width, kv_width)]
    past = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
    present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
    if form.attention == "gqa":
        outputs = ["attended", *present] if form.cache else ["attended"]
        outputs[0] = f"/attended_{layer}"
        total = w.op("ReduceSum", "attention_mask", [1], keepdims=0)
        lengths = w.op("Cast", w.op("Sub", total, 1), to=TensorProto.INT32)
        keys = w.op("Cast", w.op("Gather", w.op("Shape", "attention_mask"), 1, axis=0), to=TensorProto.INT32)
        node = helper.make_node(
            "GroupQueryAttention", [*parts, *past, lengths, keys, cos, sin], outputs, f"/gqa_{layer}", domain=MS,
            num_heads=form.heads, kv_num_heads=form.kv_heads, do_rotary=1,
            rotary_interleaved=int(form.rope == "interleaved"),
        )
        w.nodes.append(node)
        return linear(w, outputs[0], width, DIM)
    q, k, v = (
        w.op("Transpose", w.op("Reshape", part, [0, 0, -1, HEAD]), perm=[0, 2, 1, 3]) for part in parts
    )
    if form.wrong == "query_norm":
        q = w.op("Div", q, w.op("Sqrt", w.op("Add", w.op("ReduceMean", w.op("Mul", q, q), axes=[-1]), 1e-6)))
    if form.rope != "none":
        q, k = turned(w, q, cos, sin), turned(w, k, cos, sin)
    if form.cache:
        k, v = (w.op("Concat", p, new, axis=2) for p, new in zip(past, (k, v)))
        for name, tensor in zip(present, (k, v)):
            w.nodes.append(helper.make_node("Identity", [tensor], [name], f"/{name}"))
    k, v = repeated(w, k), repeated(w, v)
    root = float(np.sqrt(HEAD))
    if form.scale_in_query:
        q = w.op("Mul", q, 1 / root)
    scores = w.op("MatMul", q, w.op("Transpose", k, perm=[0, 1, 3, 2]))
    if not form.scale_in_query:
        scores = w.op("Div", scores, root)
    if form.wrong == "alibi":
        scores = w.op("Add", scores, w.op("Mul", w.op("Cast", w.op("Range", 0, w.op("Gather", w.op("Shape", scores), 3, axis=0), 1), to=TensorProto.FLOAT), 0.3))
    weights = w.op("Softmax", causal(w, scores), axis=-1)
    merged = w.op("Reshape", w.op("Transpose", w.op("MatMul", weights, v), perm=[0, 2, 1, 3]), [0, 0, width])
    return linear(w, merged, width, DIM)


def gelu(w, x, tanh):
    if w.form.fused_gelu:
        return w.op("FastGelu" if tanh else "Gelu", x, domain=MS)
    if tanh:
        cube = w.op("Mul", w.op("Pow", x, 3.0), 0.044715)
        inner = w.op("Tanh", w.op("Mul", w.op("Add", x, cube), float(np.sqrt(2 / np.pi))))
        return w.op("Mul", w.op("Mul", x, 0.5), w.op("Add", inner, 1.0))
    inner = w.op("Erf", w.op("Div", x, float(np.sqrt(2))))
    return w.op("Mul", w.op("Mul", x, w.op("Add", inner, 1.0)), 0.5)


def mlp(w, x):
    kind = w.form.mlp
    if kind in ("swiglu", "geglu"):
        if w.form.packed:
            gate, up = w.op("Split", linear(w, x, DIM, 2 * HIDDEN), w.constant([HIDDEN, HIDDEN]), outputs=2, axis=-1)
        else:
            gate, up = linear(w, x, DIM, HIDDEN), linear(w, x, DIM, HIDDEN)
        gate = w.op("Mul", gate, w.op("Sigmoid", gate)) if kind == "swiglu" else gelu(w, gate, True)
        return linear(w, w.op("Mul", gate, up), HIDDEN, DIM)
    up = linear(w, x, DIM, HIDDEN)
    if kind in ("gelu", "gelu_tanh"):
        up = gelu(w, up, kind == "gelu_tanh")
    elif kind == "quick":
        up = w.op("Mul", up, w.op("Sigmoid", w.op("Mul", up, 1.702)))
    elif kind == "elu":
        up = w.op("Elu", up)
    else:
        up = w.op("Relu", up)
        up = w.op("Pow", up, 2.0) if kind == "relu2" else up
    return linear(w, up, HIDDEN, DIM)


def build(form):
    w = Writer(form)
    table = w.weight(VOCAB, DIM, scale=1.0)
    x = w.op("Gather", w.constant(table, "model.embed_tokens.weight"), "input_ids", axis=0)
    w.places = positions(w, "input_ids", form.cache)
    if form.wrong == "learned":
        x = w.op("Add", x, w.op("Gather", w.weight(64, DIM, scale=1.0), w.places, axis=0))
    cos, sin = angles(w) if form.rope != "none" else (None, None)
    pending = None

    def normed(x, pending):
        """The stream with what is pending added, and its normalisation."""
        if pending is None:
            return x, norm(w, x)
        if form.written != "skip":
            x = w.op("Add", x, pending)
            return x, norm(w, x)
        gamma, beta = w.weight(DIM, scale=0.2, around=1.0), w.weight(DIM, scale=0.2)
        kind = "SkipLayerNormalization" if form.norm == "layer" else "SkipSimplifiedLayerNormalization"
        inputs = [w.constant(v) for v in ((gamma, beta) if form.norm == "layer" else (gamma,))]
        w.count += 1
        y, total = f"/skip_{w.count}", f"/sum_{w.count}"
        w.nodes.append(helper.make_node(kind, [x, pending, *inputs], [y, "", "", total], f"/skip_{w.count}", domain=MS, epsilon=1e-6 if form.norm == "rms" else 1e-5))
        return total, y

    for layer in range(LAYERS):
        x, rows = normed(x, pending)
        pending = attention(w, rows, layer, cos, sin)
        if form.wrong == "side_by_side":
            x = w.op("Add", x, pending)
            pending = mlp(w, rows)
            continue
        x, rows = normed(x, pending)
        pending = mlp(w, rows)
    _, rows = normed(x, pending)
    if form.tied == "transpose":
        head = w.op("Transpose", "model.embed_tokens.weight", perm=[1, 0])
    elif form.tied == "copy":
        head = table.T.copy()
    else:
        head = w.weight(DIM, VOCAB)
    w.nodes.append(helper.make_node("MatMul", [rows, head if isinstance(head, str) else w.constant(head)], ["logits"], "/lm_head"))
    return model_of(w)


def model_of(w):
    form = w.form
    info = helper.make_tensor_value_info
    inputs = [info("input_ids", TensorProto.INT64, ["batch", "sequence"])]
    outputs = [info("logits", TensorProto.FLOAT, ["batch", "sequence", VOCAB])]
    if form.cache:
        inputs.append(info("attention_mask", TensorProto.INT64, ["batch", "total"]))
        if form.attention != "gqa":
            inputs.append(info("position_ids", TensorProto.INT64, ["batch", "sequence"]))
        for layer in range(LAYERS):
            for kind in ("key", "value"):
                past, present = ["batch", form.kv_heads, "past", HEAD], ["batch", form.kv_heads, "total", HEAD]
                inputs.append(info(f"past_key_values.{layer}.{kind}", TensorProto.FLOAT, past))
                outputs.append(info(f"present.{layer}.{kind}", TensorProto.FLOAT, present))
    constants = [numpy_helper.from_array(value, name) for name, value in w.constants.items()]
    graph = helper.make_graph(w.nodes, form.name, inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


FORMS = [
    Form("llama"),
    Form("llama_cache", cache=True, tables="computed"),
    Form("llama_gqa_op", cache=True, tables="fused", attention="gqa", written="skip"),
    Form("interleaved", rope="interleaved", written="mul", mask="add"),
    Form("interleaved_cache", rope="interleaved", cache=True, written="rsqrt", heads=4, kv_heads=1, tables="computed"),
    Form("rotary_op", tables="fused", written="one", cache=True),
    Form("interleaved_op", rope="interleaved", tables="fused", attention="gqa", cache=True, written="one"),
    Form("qwen2_biases", bias=True, theta=1000000.0, tied="copy", kv_heads=4),
    Form("phi3_packed", packed=True, tied="no", mask="trilu"),
    Form("layer_norm_gelu", norm="layer", mlp="gelu", bias=True, tied="no"),
    Form("layer_norm_tied", norm="layer", mlp="gelu_tanh", written="one", gemm=True, bias=True),
    Form("layer_norm_skip", norm="layer", mlp="gelu", written="skip", fused_gelu=True, cache=True),
    Form("partial_rotary", part=0.5, norm="layer", mlp="relu2", tied="no"),
    Form("relu2", mlp="relu2", kv_heads=1, mask="trilu", cache=True),
    Form("relu_no_positions", mlp="relu", rope="none"),
    Form("geglu", mlp="geglu", theta=500000.0),
    Form("geglu_fused", mlp="geglu", fused_gelu=True, gemm=True),
    Form("quick_gelu", mlp="quick"),
    Form("half_weights", half=True, cache=True),
    Form("scaled_queries", scale_in_query=True, heads=8, kv_heads=2),
]
REFUSED = [
    Form("learned_positions", rope="none", wrong="learned"),
    Form("query_norm", wrong="query_norm"),
    Form("alibi", rope="none", wrong="alibi"),
    Form("side_by_side", wrong="side_by_side"),
    Form("elu", mlp="elu"),
]


def save(form, folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{form.name}.onnx"
    model = build(form)
    onnx.save(model, path)
    ids = np.random.default_rng(1).integers(0, VOCAB, (1, TOKENS))
    feeds = {"input_ids": ids}
    if form.cache:
        feeds["attention_mask"] = np.ones((1, TOKENS), np.int64)
        if form.attention != "gqa":
            feeds["position_ids"] = np.arange(TOKENS)[None]
        for layer in range(LAYERS):
            for kind in ("key", "value"):
                feeds[f"past_key_values.{layer}.{kind}"] = np.zeros((1, form.kv_heads, 0, HEAD), np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], feeds)[0][0]
    np.savez(folder / f"{form.name}.npz", ids=ids[0].astype(np.int32), logits=logits.astype(np.float32))


def main():
    folder = Path(sys.argv[1])
    for form in FORMS:
        save(form, folder)
    for form in REFUSED:
        save(form, folder / "refused")


if __name__ == "__main__":
    main()
