#!/usr/bin/env python3
"""The recipe of lightcnn-fashion: writes model.onnx, the subsets and the labels.

    python3 models/lightcnn-fashion/train.py
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))

import export
import fetch
from training import Augmentation, Recipe, train

RECIPE = Recipe(
    augmentation=Augmentation(rotation=0, scale=0.05, shift=1, flip=True),
    epochs=30,
    seed=1,
)
LABELS = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]

if __name__ == "__main__":
    network = train(RECIPE, *fetch.load("fashion", "train"))
    export.write_all(network, "fashion", LABELS, HERE)
