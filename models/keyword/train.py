#!/usr/bin/env python3
"""The recipe of the keyword model: writes every file of this folder but the card and the .teff files.

    python3 models/keyword/train.py

Speech comes from espeak-ng (PyPI's espeakng-loader), features from `cargo teff features`: the integers that a board
computes. Trains on one CPU thread; see models/README.md for the packages.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

import words
from network import WINDOW, Keyword
from sounds import LABELS, Studio
from voices import Speaker

HERE = Path(__file__).resolve().parent
OPSET = 17 if torch.__version__ >= "2" else 16
EACH = {"train": 2000, "held-out": 60, "test": 50}  # clips of a class
CALIBRATION_EACH = 15
EPOCHS, BATCH, PEAK_RATE, WEIGHT_DECAY, SMOOTHING, SEED = 24, 100, 4e-3, 1e-2, 0.05, 1


def features(sound):
    """The levels of the first 48 frames of clips: uint8 (n, 1, 48, 40)."""
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/sound.npy", f"{folder}/features.npy"]
        np.save(files[0], sound)
        subprocess.run(["cargo", "teff", "features", *files], cwd=HERE, check=True, stdout=subprocess.DEVNULL)
        return np.ascontiguousarray(np.load(files[1])[:, None, :WINDOW])


def data(split, speaker):
    """Features and labels of a split."""
    sound, y = Studio(split, speaker).clips(EACH[split])
    return features(sound), y


def scaled(x):
    """Levels to the network's input, exactly x / 255."""
    return torch.from_numpy(x).float() / 255


def augmented(x):
    """Each window up to 2 frames later or earlier, and a stretch of frames and of bands gone: SpecAugment's masks."""
    n, _, frames, bands = x.shape
    shift = torch.randint(-2, 3, (n, 1))
    at = (torch.arange(frames)[None] + shift).clamp(0, frames - 1)
    x = x.gather(2, at[:, None, :, None].expand(-1, 1, -1, bands))
    mean = x.mean((1, 2, 3), keepdim=True)
    for axis, size, most in ((2, frames, 8), (3, bands, 8)):
        width, start = torch.randint(0, most, (n, 1)), torch.randint(0, size, (n, 1))
        places = torch.arange(size)[None]
        gone = (places >= start) & (places < start + width)
        x = torch.where(gone[:, None, :, None] if axis == 2 else gone[:, None, None], mean, x)
    return x


@torch.no_grad()
def accuracy(network, x, y):
    """Share of the windows that a network in evaluation mode gets right."""
    found = torch.cat([network(part).argmax(1) for part in x.split(500)])
    return (found == y).float().mean().item()


def train(x, y, held_x, held_y):
    """Trains on uint8 features; the last weights are taken, whatever the held-out voices say."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    x, y, held_x, held_y = scaled(x), torch.from_numpy(y), scaled(held_x), torch.from_numpy(held_y)
    network = Keyword().to(memory_format=torch.channels_last)
    steps = len(x) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=EPOCHS * steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    start = time.process_time()
    for epoch in range(1, EPOCHS + 1):
        network.train()
        total = 0.0
        for chosen in torch.randperm(len(x))[: steps * BATCH].split(BATCH):
            loss = loss_of(network(augmented(x[chosen])), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        held = accuracy(network.eval(), held_x, held_y)
        spent = time.process_time() - start
        print(f"epoch {epoch:2}/{EPOCHS}  loss {total / steps:.4f}  held-out {held:.4f}  {spent:4.0f} s", flush=True)
    return network.deployed().to(memory_format=torch.contiguous_format)


def export(network):
    """Writes the network, for a window."""
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, WINDOW, 40),),
        str(HERE / "model.onnx"),
        input_names=["features"],
        output_names=["probabilities"],
        opset_version=OPSET,
        **({"dynamo": False} if torch.__version__ >= "2" else {}),
    )
    onnx.checker.check_model(onnx.load(HERE / "model.onnx"), full_check=True)


def main():
    """Makes the data, trains, writes."""
    speaker = Speaker()
    start = time.process_time()
    train_x, train_y = data("train", speaker)
    held = data("held-out", speaker)
    test_x, test_y = data("test", speaker)
    print(f"data: {len(train_x)} clips to train with, {time.process_time() - start:.0f} s", flush=True)
    network = train(train_x, train_y, *held)
    export(network)

    chosen = np.concatenate([np.flatnonzero(train_y == label)[:CALIBRATION_EACH] for label in range(len(LABELS))])
    chosen.sort()
    x, y = train_x[chosen], train_y[chosen]
    np.savez_compressed(HERE / "calibration.npz", x=x, y=y)
    np.savez_compressed(HERE / f"test-{len(test_y)}.npz", x=test_x, y=test_y)
    (HERE / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    words.write(HERE / "words.wav", speaker)
    right = accuracy(network, scaled(test_x), torch.from_numpy(test_y))
    print(f"voices that training never heard: {right:.2%} of {len(test_y)}")


if __name__ == "__main__":
    main()
