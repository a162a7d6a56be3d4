"""A depthwise-separable CNN whose convolutions in time are causal and unpadded, for a window or a stream."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BANDS, WINDOW, HOP = 40, 48, 2  # bands; frames of a window; frames of a run of the stream
CHANNELS, CLASSES = 64, 12
# Of the first convolution: frames × bands, and strides.
KERNEL, STRIDE = (6, 8), (2, 4)
# Strides over the bands of the blocks: 10, 5, 5, 5 positions remain.
BLOCKS = (1, 2, 1, 1)
COLUMNS = (WINDOW - KERNEL[0]) // STRIDE[0] + 1 - 2 * len(BLOCKS)  # that the average sees: 14


def layers():
    """The convolutions: pairs of (columns of the past that it wants, layers up to the next that wants some)."""
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
        x = features * 2 - 1  # about 0, where state begins
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


class Streaming(nn.Module):
    """A deployed network that takes two frames a run, (1, 1, 2, 40), and keeps the columns that it will need again.

    From the 24th run on, what it gives is what the network gives of the last 48 frames. State is (1, columns, bands,
    channels), as devices hold images: nothing has to be transposed there.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    @staticmethod
    def states():
        """Shapes of the state: for each convolution the past of its input, then that of the average."""
        first = (1, KERNEL[0] - STRIDE[0], BANDS, 1)
        bands, blocks = BANDS // STRIDE[1], []
        for stride in BLOCKS:
            blocks.append((1, 2, bands, CHANNELS))
            bands = (bands - 1) // stride + 1
        return [first, *blocks, (1, COLUMNS - 1, CHANNELS)]

    def forward(self, features, *states):
        x = (features * 2 - 1).permute(0, 2, 3, 1)
        kept = []
        for layer, state in zip(self.network.convolutions, states):
            x = torch.cat([state, x], 1)
            kept.append(x[:, -state.shape[1] :])
            x = layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = torch.cat([states[-1], x.mean(2)], 1)
        kept.append(x[:, 1:])
        return self.network.last(self.network.head(x.mean(1))), *kept
