"""The network of ``line-tracer``: a small U-Net that answers at half the frame's resolution."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn
from torch.nn import functional

from defectscope.core.errors import FormatError
from defectscope.core.weights import read_tensors
from defectscope.detectors.learning.blocks import Residual, convolution
from defectscope.detectors.learning.engines import expect_shapes

if TYPE_CHECKING:
    from defectscope import WeightFiles

__all__ = ["Architecture", "LineNetwork", "load_network"]

# Probability of a line that the untrained network starts from.
PRIOR = 0.005


class Architecture(BaseModel):
    """What the network is built from.

    Parameters
    ----------
    stem, head
        Channels at half resolution, coming in and going out.
    channels, blocks
        Channels and residual blocks of each level from a quarter of the frame on.
    bins
        Orientation channels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stem: int = Field(16, ge=1, le=2048)
    channels: tuple[int, ...] = Field((40, 64, 96, 96), min_length=1, max_length=6)
    blocks: tuple[int, ...] = (1, 1, 2, 1)
    head: int = Field(32, ge=1, le=2048)
    bins: int = Field(16, ge=4, le=64)

    @model_validator(mode="after")
    def _one_block_count_a_level(self) -> Architecture:
        if len(self.channels) != len(self.blocks):
            raise ValueError("channels and blocks must have one number for each level")
        return self

    @property
    def multiple_px(self) -> int:
        """Sides of the input must be multiples of this."""
        return int(4 * 2 ** (len(self.channels) - 1))


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
        self.encoder = nn.ModuleList(
            nn.Sequential(*(Residual(c) for _ in range(n)))
            for c, n in zip(channels, architecture.blocks, strict=True)
        )
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(channels))
        self.decoder = nn.ModuleList(Residual(c) for c in channels[:-1])
        self.last_up = nn.Conv2d(channels[0], 4 * stem, 1)
        self.head = convolution(2 * stem, architecture.head)
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
        for k in reversed(range(len(self.decoder))):
            coarser = functional.interpolate(self.up[k](x), scale_factor=2.0, mode="nearest")
            x = self.decoder[k](functional.relu(levels[k] + coarser))
        unfolded = functional.pixel_shuffle(self.last_up(x), 2)
        out = self.out(self.head(torch.cat([fine, functional.relu(unfolded)], dim=1)))
        presence, offsets, ends = out.split([self.bins, self.bins, 1], dim=1)
        return presence, offsets, ends

    def part(self, name: str) -> Any:
        """Return the modules of ``encoder`` or of ``all-but-head``, for freezing."""
        encoder = [self.stem, self.encoder, self.down]
        return encoder if name == "encoder" else [*encoder, self.up, self.decoder, self.last_up]


def load_network(files: WeightFiles) -> tuple[LineNetwork, Architecture]:
    """Return the network of a card with its weights in it.

    Raises
    ------
    FormatError
        The card describes no such network, or the file holds another one.
    """
    path = files.checked(".safetensors")
    try:
        architecture = Architecture(**files.card.architecture)
    except ValidationError as error:
        raise FormatError(
            f"the card of {path} describes no network of line-tracer: {error.errors()[0]['msg']}"
        ) from error
    network = LineNetwork(architecture)
    tensors = read_tensors(path)
    expect_shapes(path, tensors, network.state_dict())
    network.load_state_dict({name: torch.from_numpy(v) for name, v in tensors.items()})
    return network, architecture
