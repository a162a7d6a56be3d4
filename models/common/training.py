"""Training of the light CNN on one CPU core, repeatable from a seed."""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from network import LightCnn


@dataclass(frozen=True)
class Augmentation:
    """Random affine changes; each is drawn evenly from [-limit, limit]."""

    rotation: float  # degrees
    scale: float  # share of the size
    shift: float  # pixels
    shear: float = 0.0  # pixels across per pixel down
    flip: bool = False  # mirror half of the images left to right

    def __call__(self, images):
        """Change each image of a batch in a way of its own."""
        n, _, _, size = images.shape
        even = lambda limit: (torch.rand(n) * 2 - 1) * limit
        angle = even(math.radians(self.rotation))
        cos, sin = torch.cos(angle), torch.sin(angle)
        mirror = torch.where(torch.rand(n) < 0.5 * self.flip, -1.0, 1.0)
        width, height = 1 + even(self.scale), 1 + even(self.scale)
        shear = even(self.shear)
        across, down = even(2 * self.shift / size), even(2 * self.shift / size)
        # Rows map output coordinates in [-1, 1] to input coordinates.
        rows = [
            torch.stack([cos * width * mirror, (shear - sin) * height, across], dim=1),
            torch.stack([sin * width * mirror, cos * height, down], dim=1),
        ]
        grid = F.affine_grid(torch.stack(rows, dim=1), images.shape, align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


@dataclass(frozen=True)
class Recipe:
    """All that decides the outcome of a training run, beside the data."""

    augmentation: Augmentation
    epochs: int
    seed: int
    held_out: int = 5_000  # training images kept for validation
    batch: int = 128
    peak_rate: float = 6e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05


def scaled(images):
    """Raw bytes to the network's input, exactly x / 255."""
    return torch.from_numpy(images).float() / 255


@torch.no_grad()
def accuracy(network, x, y):
    """Share of the images that a network in evaluation mode gets right."""
    right = sum(
        (network(images).argmax(1) == labels).sum().item()
        for images, labels in zip(x.split(1_000), y.split(1_000))
    )
    return right / len(y)


def train(recipe, x, y):
    """Train on uint8 images `x` and labels `y`; return the network for inference.

    The last weights are taken, whatever the held-out images say: the accuracy
    on them is printed so that recipes can be compared without the test set.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(recipe.seed)

    order = torch.from_numpy(np.random.default_rng(recipe.seed).permutation(len(x)))
    x, y = scaled(x)[order], torch.from_numpy(y)[order]
    held_x, held_y = x[: recipe.held_out], y[: recipe.held_out]
    x, y = x[recipe.held_out :], y[recipe.held_out :]

    network = LightCnn().to(memory_format=torch.channels_last)  # a fifth faster
    steps = len(x) // recipe.batch
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_rate, total_steps=recipe.epochs * steps, pct_start=0.2
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)

    start = time.monotonic()
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        total = 0.0
        for chosen in torch.randperm(len(x))[: steps * recipe.batch].split(recipe.batch):
            loss = loss_of(network(recipe.augmentation(x[chosen])), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        held = accuracy(network.eval(), held_x, held_y)
        print(
            f"epoch {epoch:3}/{recipe.epochs}  loss {total / steps:.4f}  "
            f"held-out accuracy {held:.4f}  {time.monotonic() - start:5.0f} s",
            flush=True,
        )
    return network.deployed()
