#!/usr/bin/env python3
"""Train the sine model: two small dense layers that learn the sine of an angle.

    python3 models/sine/train.py

Writes `model.onnx` and `calibration.npz` beside itself and prints what it measured.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
HIDDEN, SEED = 16, 7
SAMPLES, STEPS, RATE = 1024, 40_000, 3e-3
TURN = 2 * np.pi


def initial(random):
    """A line that bends at each of HIDDEN angles of the turn; w1 (HIDDEN, 1), b1, w2 (1, HIDDEN), b2."""
    bends = (np.arange(HIDDEN) + random.uniform(size=HIDDEN)) * TURN / HIDDEN
    slopes = random.choice([-1.0, 1.0], size=HIDDEN)
    return [slopes[:, None], -slopes * bends, random.normal(scale=0.3, size=(1, HIDDEN)), np.zeros(1)]


def gradients(parameters, x, y):
    """Of the mean square error of the network's outputs for x (n, 1), which should be y (n, 1)."""
    w1, b1, w2, b2 = parameters
    hidden = np.maximum(x @ w1.T + b1, 0)
    error = 2 * (hidden @ w2.T + b2 - y) / len(x)
    back = error @ w2 * (hidden > 0)
    return [back.T @ x, back.sum(0), error.T @ hidden, error.sum(0)]


def train(random):
    """Adam over random angles, its rate falling with a cosine to nothing."""
    parameters = initial(random)
    mean, square = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    for step in range(1, STEPS + 1):
        x = random.uniform(0, TURN, size=(SAMPLES, 1))
        rate = RATE * (1 + np.cos(np.pi * step / STEPS)) / 2
        for p, m, s, g in zip(parameters, mean, square, gradients(parameters, x, np.sin(x))):
            m += 0.1 * (g - m)
            s += 0.001 * (g * g - s)
            p -= rate * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)
    return [p.astype(np.float32) for p in parameters]


def predict(parameters, x):
    w1, b1, w2, b2 = parameters
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def export(parameters, path):
    weights = [numpy_helper.from_array(p, name) for p, name in zip(parameters, ("w1", "b1", "w2", "b2"))]
    nodes = [
        helper.make_node("Gemm", ["angle", "w1", "b1"], ["dense1"], "dense1", transB=1),
        helper.make_node("Relu", ["dense1"], ["relu1"], "relu1"),
        helper.make_node("Gemm", ["relu1", "w2", "b2"], ["sine"], "dense2", transB=1),
    ]
    port = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph(nodes, "sine", [port("angle")], [port("sine")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    parameters = train(np.random.default_rng(SEED))
    export(parameters, HERE / "model.onnx")
    # The whole turn, both ends in it: the range of the input is theirs.
    np.savez_compressed(HERE / "calibration.npz", angle=np.linspace(0, TURN, 200, dtype=np.float32)[:, None])
    x = np.linspace(0, TURN, 1000, dtype=np.float32)[:, None]
    error = predict(parameters, x) - np.sin(x)
    print(json.dumps({
        "parameters": int(sum(p.size for p in parameters)),
        "largest error": round(float(np.abs(error).max()), 4),
        "RMS error": round(float(np.sqrt(np.square(error).mean())), 4),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
