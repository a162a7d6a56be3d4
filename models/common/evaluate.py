#!/usr/bin/env python3
"""Measure an ONNX model's accuracy over all 10,000 official test images.

    python3 models/common/evaluate.py models/lightcnn-mnist/model.onnx mnist
"""

import argparse

import numpy as np
import onnxruntime

import fetch


def predictions(model, x):
    """The class that the float model at path `model` gives each image."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = x.astype(np.float32) / 255
    return np.array([session.run(None, {"image": image[None]})[0].argmax() for image in inputs])


def main():
    """Print how many test images the model gets right."""
    parser = argparse.ArgumentParser(description="accuracy over the official test images")
    parser.add_argument("model", help="an .onnx file")
    parser.add_argument("dataset", choices=("mnist", "fashion"))
    arguments = parser.parse_args()

    x, y = fetch.load(arguments.dataset, "test")
    right = int((predictions(arguments.model, x) == y).sum())
    print(f"{arguments.dataset}: {right} of {len(y)} right, accuracy {right / len(y):.2%}")


if __name__ == "__main__":
    main()
