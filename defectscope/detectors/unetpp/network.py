"""U-Net++ of segmentation-models-pytorch with one output for each mask."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from defectscope.core.weights import read_tensors
from defectscope.detectors.learning.networks import expect_shapes, with_weights
from defectscope.detectors.unetpp.options import Encoder

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope import WeightFiles

__all__ = ["Architecture", "UnetppNetwork", "load_encoder", "load_network"]


class Architecture(BaseModel):
    """What the network is built from: encoder and number of output masks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: Encoder = "resnet50"
    masks: int = Field(20, ge=1, le=256)

    @property
    def multiple_px(self) -> int:
        """Sides of the input must be multiples of this."""
        return 32


class UnetppNetwork(nn.Module):
    """Maps (n, 1, H, W) to (n, masks, H, W) logits.

    Parameters
    ----------
    architecture
        Encoder and number of masks; weights are random.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp

        with warnings.catch_warnings():
            # Names of encoders change; those that are written in cards stay.
            warnings.simplefilter("ignore")
            self.net: Any = smp.UnetPlusPlus(
                encoder_name=architecture.encoder,
                encoder_weights=None,
                in_channels=1,
                classes=architecture.masks,
            )

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        """Return the logits of the masks."""
        return (self.net(pixels),)

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
