"""Writing a trained network, its labels and its data subsets into a folder."""

import numpy as np
import onnx
import torch

import fetch

OPSET = 17
CALIBRATION_IMAGES_A_CLASS = 20
CALIBRATION_SEED = 0
TEST_IMAGES = 300


def write_model(network, path):
    """Write a deployed network as a single ONNX file and check it."""
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, 28, 28),),
        path,
        input_names=["image"],
        output_names=["probabilities"],
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def write_subsets(dataset, folder):
    """Write the calibration images and the first official test images.

    Calibration takes the same number of each class from the training images.
    """
    x, y = fetch.load(dataset, "train")
    random = np.random.default_rng(CALIBRATION_SEED)
    chosen = np.concatenate(
        [
            random.choice(np.flatnonzero(y == label), CALIBRATION_IMAGES_A_CLASS, replace=False)
            for label in np.unique(y)
        ]
    )
    random.shuffle(chosen)
    np.savez_compressed(folder / "calibration.npz", x=x[chosen], y=y[chosen])

    x, y = fetch.load(dataset, "test")
    np.savez_compressed(folder / f"test-{TEST_IMAGES}.npz", x=x[:TEST_IMAGES], y=y[:TEST_IMAGES])


def write_all(network, dataset, labels, folder):
    """Write everything that a model folder holds beside its recipe and card."""
    write_model(network, folder / "model.onnx")
    write_subsets(dataset, folder)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
