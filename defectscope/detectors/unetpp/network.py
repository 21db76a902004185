"""U-Net++ of segmentation-models-pytorch with one output for each mask."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from defectscope.core.weights import read_tensors
from defectscope.detectors.learning.networks import expect_shapes, with_weights
from defectscope.detectors.unetpp.architecture import Architecture
from defectscope.detectors.unetpp.loss import grid_of_places

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope import WeightFiles

__all__ = ["UnetppNetwork", "load_encoder", "load_network"]

# Of every output before training: a probability of 5 %.
FIRST_LOGIT = -3.0
# By how much the logit of an output is less where the middle is at the next place.
FIRST_SHARPNESS = 3.0
# Answers of about 1 are so many pixels long.
REACH_PX = 16.0


class UnetppNetwork(nn.Module):
    """Maps (n, 1, H, W) to (n, masks, H, W) logits.

    Parameters
    ----------
    architecture
        Encoder, decoder and number of masks; weights are random.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.reduce = architecture.reduce
        import segmentation_models_pytorch as smp

        with warnings.catch_warnings():
            # Names of encoders change; those that are written in cards stay.
            warnings.simplefilter("ignore")
            self.net: Any = smp.UnetPlusPlus(
                encoder_name=architecture.encoder,
                encoder_weights=None,
                in_channels=1,
                decoder_channels=architecture.decoder_channels,
                classes=architecture.masks,
            )
        nn.init.constant_(self.net.segmentation_head[0].bias, FIRST_LOGIT)
        self.places: Places | None = None
        if architecture.places:
            self.places = Places(architecture, self.net.segmentation_head)
            self.net.segmentation_head = nn.Identity()

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        """Return the logits of the masks."""
        logits, _ = self.reduced(pixels)
        if self.reduce > 1:
            logits = functional.interpolate(logits, scale_factor=self.reduce, mode="bilinear")
        return (logits,)

    def reduced(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits at the resolution that the network works at, which training needs.

        The other tensor, with places, is (n, 2, h, w): y and x of the middle of the line that
        each pixel belongs to, in sides of the tile.
        """
        if self.reduce > 1:
            pixels = functional.avg_pool2d(pixels, self.reduce)
        shown: Tensor = self.net(pixels)
        return (shown, None) if self.places is None else self.places(shown)

    def part(self, name: str) -> list[nn.Module]:
        """Return the modules of ``encoder`` or of ``all-but-head``, for freezing."""
        encoder = [self.net.encoder]
        return encoder if name == "encoder" else [*encoder, self.net.decoder]


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


def load_encoder(network: UnetppNetwork, path: Path) -> None:
    """Put weights of an encoder, made for three channels or for one, into a network.

    Raises
    ------
    FormatError
        The file holds another encoder.
    """
    tensors = {
        name.removeprefix("encoder."): torch.from_numpy(value)
        for name, value in read_tensors(path).items()
    }
    expected = network.net.encoder.state_dict()
    for name, value in tensors.items():
        if name in expected and value.ndim == 4 and value.shape[1] == 3 != expected[name].shape[1]:
            # Grey goes into all three channels of such a network.
            tensors[name] = value.sum(dim=1, keepdim=True)
    counters = [name for name in expected if name.endswith("num_batches_tracked")]
    needed = {name: value for name, value in expected.items() if name not in counters}
    expect_shapes(path, tensors, needed)
    network.net.encoder.load_state_dict({name: tensors.get(name, expected[name])
                                         for name in expected})  # fmt: skip


def load_network(files: WeightFiles) -> tuple[UnetppNetwork, Architecture]:
    """Return the network of a card with its weights in it.

    Raises
    ------
    FormatError
        The card describes no such network, or the file holds another one.
    """
    return with_weights(files, Architecture, UnetppNetwork)
