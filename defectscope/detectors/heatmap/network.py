"""The network of ``heatmap``: a small U-Net whose finest level is a quarter of the frame.

Sixteen pixels become sixteen channels (no information is lost), so that no convolution runs at
full or half resolution, where most of the time of a usual U-Net goes. The outputs are unfolded to
half resolution in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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

__all__ = ["Architecture", "HeatmapNetwork", "load_network"]

# Probability of a centre that the untrained network starts from.
PRIOR = 0.01


class Architecture(BaseModel):
    """What the network is built from.

    Parameters
    ----------
    channels
        Of each level, the finest first; levels are a factor of 2 apart.
    blocks
        Residual blocks of each level on the way down.
    classes
        Defect types.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[int, ...] = Field((16, 32, 64, 128), min_length=1, max_length=6)
    blocks: tuple[int, ...] = (1, 2, 2, 1)
    classes: int = Field(1, ge=1, le=1000)

    @model_validator(mode="after")
    def _one_block_count_a_level(self) -> Architecture:
        if len(self.channels) != len(self.blocks):
            raise ValueError("channels and blocks must have one number for each level")
        return self

    @property
    def multiple_px(self) -> int:
        """Sides of the input must be multiples of this."""
        return int(4 * 2 ** (len(self.channels) - 1))


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
        self.classes = classes
        self.stem = convolution(16, channels[0])
        self.encoder = nn.ModuleList(
            nn.Sequential(*(Residual(c) for _ in range(n)))
            for c, n in zip(channels, architecture.blocks, strict=True)
        )
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
        for k in reversed(range(len(self.decoder))):
            coarser = functional.interpolate(self.up[k](x), scale_factor=2.0, mode="nearest")
            x = self.decoder[k](functional.relu(levels[k] + coarser))
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


def load_network(files: WeightFiles) -> tuple[HeatmapNetwork, Architecture]:
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
            f"the card of {path} describes no network of heatmap: {error.errors()[0]['msg']}"
        ) from error
    network = HeatmapNetwork(architecture)
    tensors = read_tensors(path)
    expect_shapes(path, tensors, network.state_dict())
    network.load_state_dict({name: torch.from_numpy(v) for name, v in tensors.items()})
    return network, architecture
