"""A depthwise-separable CNN whose convolutions are not padded in time, so that it can become one of a stream."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WINDOW = 48  # frames
CHANNELS, CLASSES = 64, 12
# Of the first convolution: frames × bands, and strides.
KERNEL, STRIDE = (6, 8), (2, 4)
# Strides over the bands of the blocks: 10, 5, 5, 5 positions remain.
BLOCKS = (1, 2, 1, 1)


def layers():
    """The convolutions, up to the next that looks at several frames."""
    first = nn.Sequential(
        nn.Conv2d(1, CHANNELS, KERNEL, STRIDE, padding=(0, 2), bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU()
    )
    blocks = [
        nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, (1, stride), padding=(0, 1), groups=CHANNELS, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
        )
        for stride in BLOCKS
    ]
    return nn.ModuleList([first, *blocks])


class Keyword(nn.Module):
    """Features in [0, 1], (n, 1, 48, 40) -> scores, (n, 12); deployed, probabilities.

    Nothing is padded in time: what comes out depends on the 48 frames alone.
    """

    def __init__(self):
        super().__init__()
        self.convolutions = layers()
        self.head = nn.Linear(CHANNELS, CLASSES)
        self.last = nn.Identity()

    def forward(self, features):
        x = features * 2 - 1  # about 0, which is what a stream sees before its first frame
        for layer in self.convolutions:
            x = layer(x)
        return self.last(self.head(x.mean(3).mean(2)))

    def deployed(self):
        """This network for inference: norms merged, softmax at the end."""
        network = Keyword()
        network.convolutions = nn.ModuleList([merged(layer) for layer in self.convolutions])
        network.head, network.last = self.head, nn.Softmax(1)
        return network.eval()


def merged(sequence):
    """Each batch normalisation merged into the convolution before it."""
    out = []
    for layer in sequence.eval():
        if isinstance(layer, nn.BatchNorm2d):
            out[-1] = fuse_conv_bn_eval(out[-1], layer)
        else:
            out.append(layer)
    return nn.Sequential(*out)
