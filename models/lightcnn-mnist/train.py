#!/usr/bin/env python3
"""The recipe of lightcnn-mnist: writes model.onnx, the subsets and the labels.

    python3 models/lightcnn-mnist/train.py
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))

import export
import fetch
from training import Augmentation, Recipe, train

RECIPE = Recipe(
    augmentation=Augmentation(rotation=10, scale=0.1, shift=2),
    epochs=30,
    seed=1,
)
LABELS = [str(digit) for digit in range(10)]

if __name__ == "__main__":
    network = train(RECIPE, *fetch.load("mnist", "train"))
    export.write_all(network, "mnist", LABELS, HERE)
