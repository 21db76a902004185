"""Building blocks of the small networks here."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Residual", "convolution"]


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
