"""Building blocks of the small networks here."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Residual", "convolution", "residual_stages", "upwards"]


def convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    """Return a 3 x 3 convolution with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions whose result is added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is as large as `x`."""
        return functional.relu(x + self.norm(self.second(self.first(x))))


def residual_stages(channels: Sequence[int], blocks: Sequence[int]) -> nn.ModuleList:
    """Return for each level as many residual blocks as asked for."""
    return nn.ModuleList(
        nn.Sequential(*(Residual(c) for _ in range(n)))
        for c, n in zip(channels, blocks, strict=True)
    )


def upwards(levels: Sequence[Tensor], up: nn.ModuleList, decoder: nn.ModuleList) -> Tensor:
    """Return what comes out of the finest level of a U-Net.

    Parameters
    ----------
    levels
        What the encoder gave, the finest level first.
    up
        For each level but the last, what brings the next one to its number of channels.
    decoder
        What follows on each level but the last.
    """
    x = levels[-1]
    for k in reversed(range(len(decoder))):
        coarser = functional.interpolate(up[k](x), scale_factor=2.0, mode="nearest")
        x = decoder[k](functional.relu(levels[k] + coarser))
    return x
