#!/usr/bin/env python3
"""Train the vibration model: an autoencoder that knows how the spectra of healthy machines vary.

    python3 models/vibration/train.py

Writes `model.onnx`, `calibration.npz`, `test.npz` and `recording.npz` beside itself and prints what it measured. The spectra are computed by the
application's own integer code (`cargo run --example vibration-spectra`), so training sees what the device will.
"""

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPRegressor

from machine import FAULTS, SENSORS, Machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SAMPLES, BANDS, BASELINE = 2048, 32, 16
SEVERITIES = {"slight": 0.25, "moderate": 0.5, "strong": 1.0}
HIDDEN = (48, 10, 48)
SEED = 7


def spectra(recordings):
    """Log energies in octaves, [n, BANDS], of int16 recordings [n, SAMPLES, 3]."""
    command = ["cargo", "run", "--quiet", "--release", "--package", "teff-app", "--example", "vibration-spectra"]
    result = subprocess.run(command, cwd=ROOT, input=recordings.astype("<i2").tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(result.stdout, "<i4").reshape(-1, BANDS)


def relative(energies):
    """To the mean of the first BASELINE, rounded half up as the application does; in octaves, float32."""
    mean = (energies[:BASELINE].astype(np.int64).sum(0) + BASELINE // 2) // BASELINE
    return ((energies[BASELINE:] - mean) / 65536).astype(np.float32)


def machines(seed, count, healthy, faulty):
    """For each machine: recordings (the baseline's, healthy ones, faulty ones) and severity (0: healthy) of each."""
    for index in range(count):
        machine = Machine(np.random.default_rng((seed, index)), sensor=index % len(SENSORS))
        recordings = [machine.record(SAMPLES) for _ in range(BASELINE + healthy)]
        severities = [0.0] * healthy
        for turn in range(faulty):
            severity = list(SEVERITIES.values())[turn % len(SEVERITIES)]
            fault = FAULTS[(index + turn // len(SEVERITIES)) % len(FAULTS)]
            recordings.append(machine.record(SAMPLES, fault, severity))
            severities.append(severity)
        yield np.stack(recordings), np.array(severities)


def data(seed, count, healthy, faulty):
    """Relative spectra [n, BANDS] and severities [n] of `count` machines."""
    recordings, severities = zip(*machines(seed, count, healthy, faulty))
    energies = spectra(np.concatenate(recordings)).reshape(count, -1, BANDS)
    return np.concatenate([relative(e) for e in energies]), np.concatenate(severities)


def scores(network, x):
    return np.square(network.predict(x) - x).mean(1)


def export(network, limit, path):
    """The autoencoder with its score: the mean square of what it does not reproduce, over `limit`."""
    nodes, weights, last = [], [], "spectrum"
    for index, (w, b) in enumerate(zip(network.coefs_, network.intercepts_)):
        weights += [numpy_helper.from_array(w.T.astype(np.float32), f"w{index}")]
        weights += [numpy_helper.from_array(b.astype(np.float32), f"b{index}")]
        final = index == len(network.coefs_) - 1
        nodes.append(helper.make_node("Gemm", [last, f"w{index}", f"b{index}"], [f"dense{index}"], f"dense{index}", transB=1))
        last = f"dense{index}"
        if not final:
            nodes.append(helper.make_node("Relu", [last], [f"relu{index}"], f"relu{index}"))
            last = f"relu{index}"
    # Scaled before it is squared, so that no number in between is much larger than the score.
    weights += [numpy_helper.from_array(np.float32(1 / np.sqrt(limit)).reshape(1), "scale")]
    weights += [numpy_helper.from_array(np.array([1], np.int64), "axes")]
    nodes += [
        helper.make_node("Sub", [last, "spectrum"], ["residual"], "residual"),
        helper.make_node("Mul", ["residual", "scale"], ["scaled"], "scaled"),
        helper.make_node("Mul", ["scaled", "scaled"], ["square"], "square"),
        helper.make_node("ReduceMean", ["square", "axes"], ["score"], "score", keepdims=1),
    ]
    port = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])
    graph = helper.make_graph(nodes, "vibration", [port("spectrum", BANDS)], [port("score", 1)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    started = time.process_time()
    train, _ = data((SEED, 1), 600, healthy=32, faulty=0)
    held_out, _ = data((SEED, 2), 150, healthy=32, faulty=0)
    network = MLPRegressor(hidden_layer_sizes=HIDDEN, activation="relu", learning_rate_init=2e-3, batch_size=128, max_iter=100,
                           early_stopping=True, n_iter_no_change=6, random_state=SEED)  # fmt: skip
    network.fit(train, train)
    # One healthy spectrum in 200 is above the limit; two in a row raise the alarm.
    limit = float(np.quantile(scores(network, held_out), 0.995))
    export(network, limit, HERE / "model.onnx")

    test, severity = data((SEED, 3), 150, healthy=12, faulty=9)
    score = scores(network, test) / limit
    well = severity == 0
    figures = {
        "parameters": int(sum(w.size for w in network.coefs_ + network.intercepts_)),
        "epochs": network.n_iter_,
        "healthy above the limit": float((score[well] >= 1).mean()),
        "cpu seconds": round(time.process_time() - started),
    }
    for name, value in SEVERITIES.items():
        damaged = severity == value
        figures[name] = {
            "AUC": round(float(roc_auc_score(damaged[well | damaged], score[well | damaged])), 4),
            "above the limit": round(float((score[damaged] >= 1).mean()), 4),
        }
    print(json.dumps(figures, indent=2))

    # Samples to calibrate with: of machines of their own, well and damaged, so that scores above 1 are in range.
    calibration, _ = data((SEED, 4), 20, healthy=6, faulty=9)
    np.savez_compressed(HERE / "calibration.npz", spectrum=calibration)
    np.savez_compressed(HERE / "test.npz", spectrum=test, severity=severity, score=score)
    # One machine from its first samples on, as a sensor gives them: well, then badly damaged.
    machine = Machine(np.random.default_rng((SEED, 6, 1)))
    recordings = [machine.record(SAMPLES) for _ in range(BASELINE + 4)]
    recordings += [machine.record(SAMPLES, "outer race", severity=2.0) for _ in range(4)]
    np.savez_compressed(HERE / "recording.npz", samples=np.concatenate(recordings))


if __name__ == "__main__":
    main()
