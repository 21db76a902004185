"""U-Net++ of segmentation-models-pytorch with one output for each mask."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn import functional

from defectscope.detectors.learning.networks import load_body
from defectscope.detectors.unetpp.architecture import Architecture
from defectscope.detectors.unetpp.places import Places

if TYPE_CHECKING:
    from torch import Tensor


__all__ = ["UnetppNetwork", "load_encoder"]

# Of every output before training: a probability of 5 %.
FIRST_LOGIT = -3.0


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


def load_encoder(network: UnetppNetwork, path: Path) -> None:
    """Put weights of an encoder, made for three channels or for one, into a network.

    Raises
    ------
    FormatError
        The file holds another encoder.
    """
    load_body(network.net.encoder, path, "encoder.")
