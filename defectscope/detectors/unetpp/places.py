"""Places of outputs on a grid over the tile: what tells them apart from the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope.detectors.unetpp.architecture import Architecture

__all__ = ["Places", "grid_of_places", "middle_loss", "place_cost"]

# By how much the logit of an output is less where the middle is at the next place.
FIRST_SHARPNESS = 3.0
# Answers of about 1 are so many pixels long.
REACH_PX = 16.0


def grid_of_places(outputs: int) -> tuple[Tensor, Tensor]:
    """Return y and x, 0 to 1, of the places of so many outputs: rows of nearly equal length."""
    rows = max(1, round(outputs**0.5))
    y, x = [], []
    for row, numbers in enumerate(torch.tensor_split(torch.arange(outputs), rows)):
        count = len(numbers)
        y += [(row + 0.5) / rows] * count
        x += [(column + 0.5) / count for column in range(count)]
    return torch.tensor(y), torch.tensor(x)


def place_cost(true: Tensor, outputs: int) -> Tensor:
    """Return how far every true mask is from the place of every output.

    Outputs have places on a grid over the image, row by row: what any of them is to show then
    depends on where a line is, which is learned sooner than an order that has to be found first.

    Parameters
    ----------
    true
        (n, M, h, w) masks.
    outputs
        N, the number of outputs.

    Returns
    -------
    (n, N, M) squared distances of the middles of the masks from the places, in sides of the image.
    """
    height, width = true.shape[-2:]
    mass = true.sum(dim=(2, 3)).clamp(min=1e-6)
    down = (torch.arange(height, device=true.device) + 0.5) / height
    across = (torch.arange(width, device=true.device) + 0.5) / width
    y = (true.sum(dim=3) * down).sum(dim=2) / mass
    x = (true.sum(dim=2) * across).sum(dim=2) / mass
    place_y, place_x = (p.to(true.device)[None, :, None] for p in grid_of_places(outputs))
    return (place_y - y[:, None, :]) ** 2 + (place_x - x[:, None, :]) ** 2


def middle_loss(middles: Tensor, true: Tensor, chosen: Tensor, outputs: int) -> Tensor:
    """Return how far the middles that pixels of lines show are from where they belong.

    A line belongs to the place of its output. Pixels of several lines do not count.

    Parameters
    ----------
    middles
        (n, 2, h, w) y and x of the middle of the line of each pixel, in sides of the image.
    true
        (n, M, h, w) masks, 0 to 1.
    chosen
        (n, M) of :func:`assigned_outputs`.
    outputs
        N, the number of outputs.

    Returns
    -------
    Mean distance, in distances of neighbouring places; of far ones it grows linearly.
    """
    places = torch.stack(grid_of_places(outputs)).to(middles.device)[:, chosen.clamp(min=0)]
    weight = true * (chosen >= 0)[:, :, None, None]
    covered = weight.sum(dim=1)
    counted = torch.where((covered > 0) & (true.sum(dim=1) <= 1), covered, 0)
    wanted = torch.einsum("cnm,nmhw->nchw", places, weight) / covered.clamp(min=1e-6)[:, None]
    apart = functional.smooth_l1_loss(
        outputs**0.5 * middles, outputs**0.5 * wanted, reduction="none"
    ).sum(dim=1)
    return (apart * counted).sum() / counted.sum().clamp(min=1)


class Places(nn.Module):
    """Last layers of a network whose outputs have places.

    From what the decoder knows of a pixel follows where the middle of its line is; the farther
    that is from the place of an output, the less the output shows.

    Parameters
    ----------
    architecture
        Number of masks, and the tile.
    head
        What gives the logits of all masks otherwise.
    """

    def __init__(self, architecture: Architecture, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.way = nn.Conv2d(architecture.decoder_channels[-1], 2, kernel_size=3, padding=1)
        assert self.way.bias is not None
        nn.init.zeros_(self.way.bias)
        self.sharpness = nn.Parameter(torch.tensor(FIRST_SHARPNESS))
        self.step = architecture.reduce / architecture.tile_px
        self.count = architecture.masks
        y, x = grid_of_places(architecture.masks)
        # |m - a|² is |m|² - 2 m a + |a|², so one convolution gives it for all outputs.
        weights = torch.stack([torch.ones_like(y), -2 * y, -2 * x], dim=1)[:, :, None, None]
        self.weights: Tensor
        self.constants: Tensor
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("constants", y**2 + x**2, persistent=False)

    def forward(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of all masks, and where the middles are."""
        ones = torch.ones_like(known[:, :1])
        # Sums of ones: an exported network then fits inputs of any size.
        here = torch.cat([ones.cumsum(dim=2), ones.cumsum(dim=3)], dim=1)
        middles = self.step * (here - 0.5 + REACH_PX * self.way(known))
        squares = torch.cat([(middles**2).sum(dim=1, keepdim=True), middles], dim=1)
        apart = functional.conv2d(squares, self.weights, self.constants)
        return self.head(known) - self.sharpness * self.count * apart, middles
