"""The network of ``heatmap``: a small U-Net whose finest level is a quarter of the frame.

Sixteen pixels become sixteen channels (no information is lost), so that no convolution runs at
full or half resolution, where most of the time of a usual U-Net goes. The outputs are unfolded to
half resolution in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from defectscope.detectors.heatmap.architecture import Architecture
from defectscope.detectors.learning.blocks import Residual, convolution, residual_stages, upwards

__all__ = ["HeatmapNetwork"]

# Probability of a centre that the untrained network starts from.
PRIOR = 0.01


class HeatmapNetwork(nn.Module):
    """Maps (n, 1, H, W) to centre logits and side logarithms at half resolution.

    Parameters
    ----------
    architecture
        Its size.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels, classes = architecture.channels, architecture.classes
        self.architecture, self.classes = architecture, classes
        self.stem = convolution(16, channels[0])
        self.encoder = residual_stages(channels, architecture.blocks)
        self.down = nn.ModuleList(convolution(a, b, 2) for a, b in pairwise(channels))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(channels))
        self.decoder = nn.ModuleList(Residual(c) for c in channels[:-1])
        self.head = convolution(channels[0], channels[0] + 8)
        self.out = nn.Conv2d(channels[0] + 8, 4 * classes + 16, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[: 4 * classes] = -math.log(1 / PRIOR - 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (n, classes, H/2, W/2) logits, and (n, 4, H/2, W/2) logarithms of sides.

        Sides are the distances to the left, upper, right and lower rim of the box.
        """
        x = self.stem(functional.pixel_unshuffle(pixels, 4))
        levels: list[Tensor] = []
        for k, stage in enumerate(self.encoder):
            x = stage(self.down[k - 1](x) if k else x)
            levels.append(x)
        x = upwards(levels, self.up, self.decoder)
        out = self.out(self.head(x))
        centres, sides = out.split([4 * self.classes, 16], dim=1)
        return functional.pixel_shuffle(centres, 2), functional.pixel_shuffle(sides, 2)

    def part(self, name: str) -> Any:
        """Return the modules of ``encoder`` or of ``all-but-head``, for freezing."""
        encoder = [self.stem, self.encoder, self.down]
        return encoder if name == "encoder" else [*encoder, self.up, self.decoder]

    def reorder(self, order: Sequence[int]) -> None:
        """Let the classes at these positions be the first, the second, and so on."""
        rows = [4 * k + part for k in order for part in range(4)]
        rows += range(4 * self.classes, 4 * self.classes + 16)
        assert self.out.bias is not None
        with torch.no_grad():
            self.out.weight.copy_(self.out.weight[rows])
            self.out.bias.copy_(self.out.bias[rows])
