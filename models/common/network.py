"""The two-branch CNN of "Building Efficient Lightweight CNN Models"."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

PARAMETERS = 14_862


def sequence(**layers):
    """Named layers, one after the other."""
    return nn.Sequential(OrderedDict(layers))


def branch():
    """One of the two feature extractors, (1, 28, 28) -> (10)."""
    return sequence(
        conv1=nn.Conv2d(1, 10, 3),  # (10, 26, 26)
        norm1=nn.BatchNorm2d(10),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),  # (10, 13, 13)
        conv2=nn.Conv2d(10, 20, 3),  # (20, 11, 11)
        norm2=nn.BatchNorm2d(20),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),  # (20, 5, 5)
        flatten=nn.Flatten(),  # (500)
        dense=nn.Linear(500, 10),
        norm3=nn.BatchNorm1d(10),
        relu3=nn.ReLU(),
    )


class LightCnn(nn.Module):
    """Images in [0, 1], (n, 1, 28, 28) -> scores, (n, 10).

    Batch normalisation is there for training only: `deployed` merges it into
    the layers before it, which leaves the paper's layers and parameter count.
    """

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList([branch(), branch()])
        self.head = sequence(
            hidden=nn.Linear(20, 32),
            norm=nn.BatchNorm1d(32),
            relu=nn.ReLU(),
            scores=nn.Linear(32, 10),
        )

    def forward(self, images):
        """Scores of the ten classes; of a deployed network, probabilities."""
        features = torch.cat([branch(images) for branch in self.branches], dim=1)
        return self.head(features)

    def deployed(self):
        """This network for inference: norms merged, softmax at the end."""
        network = LightCnn()
        network.branches = nn.ModuleList([merge_norms(branch) for branch in self.branches])
        network.head = merge_norms(self.head)
        network.head.add_module("softmax", nn.Softmax(dim=1))
        count = sum(parameter.numel() for parameter in network.parameters())
        assert count == PARAMETERS, f"{count} parameters instead of {PARAMETERS}"
        return network.eval()


def merge_norms(layers):
    """Merge each batch normalisation of a sequence into the layer before it."""
    merged = OrderedDict()
    for name, layer in layers.eval().named_children():
        if isinstance(layer, nn.BatchNorm2d):
            merged[previous] = fuse_conv_bn_eval(merged[previous], layer)
        elif isinstance(layer, nn.BatchNorm1d):
            merged[previous] = fuse_linear_bn_eval(merged[previous], layer)
        else:
            merged[name] = layer
            previous = name
    return sequence(**merged)
