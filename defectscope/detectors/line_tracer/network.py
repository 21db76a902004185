"""The network of ``line-tracer``: a small U-Net that answers at half the frame's resolution."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from defectscope.detectors.learning.blocks import Residual, convolution, residual_stages, upwards
from defectscope.detectors.learning.levels import Levels

__all__ = ["Architecture", "LineNetwork"]

# Probability of a line that the untrained network starts from.
PRIOR = 0.005


class Architecture(Levels):
    """What the network is built from.

    Parameters
    ----------
    stem, head
        Channels at half resolution, coming in and going out.
    channels, blocks
        Of each level from a quarter of the frame on.
    bins
        Orientation channels.
    fine
        Residual blocks at half resolution, going out.
    """

    stem: int = Field(16, ge=1, le=2048)
    channels: tuple[int, ...] = Field((40, 64, 96, 96), min_length=1, max_length=6)
    blocks: tuple[int, ...] = (1, 1, 2, 1)
    head: int = Field(32, ge=1, le=2048)
    bins: int = Field(16, ge=4, le=64)
    # Cards of weights that have none do not name it.
    fine: int = Field(0, ge=0, le=16)


class LineNetwork(nn.Module):
    """Maps (n, 1, H, W) to presence, offsets and ends at half resolution.

    Parameters
    ----------
    architecture
        Its size.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels, stem, bins = architecture.channels, architecture.stem, architecture.bins
        self.bins = bins
        # Four pixels become four channels: nothing runs at full resolution.
        self.stem = convolution(4, stem)
        self.down = nn.ModuleList(convolution(a, b, 2) for a, b in pairwise((stem, *channels)))
        self.encoder = residual_stages(channels, architecture.blocks)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(channels))
        self.decoder = nn.ModuleList(Residual(c) for c in channels[:-1])
        self.last_up = nn.Conv2d(channels[0], 4 * stem, 1)
        self.head = nn.Sequential(
            *convolution(2 * stem, architecture.head),
            *(Residual(architecture.head) for _ in range(architecture.fine)),
        )
        self.out = nn.Conv2d(architecture.head, 2 * bins + 1, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[:bins] = -math.log(1 / PRIOR - 1)
            self.out.bias[-1] = -math.log(1 / PRIOR - 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (n, bins, H/2, W/2) logits, as many offsets in px, and (n, 1, H/2, W/2) ends."""
        fine = self.stem(functional.pixel_unshuffle(pixels, 2))
        x, levels = fine, list[Tensor]()
        for down, stage in zip(self.down, self.encoder, strict=True):
            x = stage(down(x))
            levels.append(x)
        x = upwards(levels, self.up, self.decoder)
        unfolded = functional.pixel_shuffle(self.last_up(x), 2)
        out = self.out(self.head(torch.cat([fine, functional.relu(unfolded)], dim=1)))
        presence, offsets, ends = out.split([self.bins, self.bins, 1], dim=1)
        return presence, offsets, ends

    def part(self, name: str) -> Any:
        """Return the modules of ``encoder`` or of ``all-but-head``, for freezing."""
        encoder = [self.stem, self.encoder, self.down]
        return encoder if name == "encoder" else [*encoder, self.up, self.decoder, self.last_up]
