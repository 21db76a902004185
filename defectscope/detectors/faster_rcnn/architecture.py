"""What the card of a Faster R-CNN says of its network; needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    pass

__all__ = ["Architecture", "BackboneName", "InputName", "strides_px_of"]

BackboneName = Literal["vgg16", "resnet50-fpn", "mobilenet-v3-fpn"]
InputName = Literal["grey", "grey-clahe-blur"]
AnchorsOfLevel = tuple[tuple[float, float], ...]


def strides_px_of(backbone: str) -> tuple[int, ...]:
    """Return the strides of the feature maps that objects are looked for on, px, finest first."""
    # Defects have 8 to 60 px: what is coarser than these is context only.
    return (16,) if backbone == "vgg16" else (4, 8, 16)


class Architecture(BaseModel):
    """What the network is built from.

    Parameters
    ----------
    backbone
        What makes features.
    classes
        Number of defect types; the background is one more.
    inputs
        One grey channel, or P3's three.
    anchors
        (width, height) of the anchors of each level in px, the finest level first.
    fpn_channels
        Channels of the feature pyramid; `vgg16` has none.
    head_channels
        Of the two layers that look at each proposal.
    frozen_norm
        Whether the batch normalisation of the backbone keeps what its weights came with.
    proposals_per_mpx
        Proposals that are looked at, for every 10⁶ px².
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: BackboneName = "mobilenet-v3-fpn"
    classes: int = Field(1, ge=1, le=1000)
    inputs: InputName = "grey"
    anchors: tuple[AnchorsOfLevel, ...] = Field(min_length=1)
    fpn_channels: int = Field(64, ge=8, le=1024)
    head_channels: int = Field(256, ge=8, le=8192)
    frozen_norm: bool = False
    proposals_per_mpx: int = Field(1200, ge=10, le=100_000)

    @model_validator(mode="after")
    def _anchors_for_each_level(self) -> Architecture:
        levels = len(self.strides_px)
        if len(self.anchors) != levels or len({len(level) for level in self.anchors}) != 1:
            raise ValueError(
                f"{self.backbone} needs as many anchors for each of {levels} levels, found "
                f"{[len(level) for level in self.anchors]}"
            )
        return self

    @property
    def strides_px(self) -> tuple[int, ...]:
        """Of the feature maps, px, the finest first."""
        return strides_px_of(self.backbone)

    @property
    def channels_in(self) -> int:
        """Channels of the input."""
        return 1 if self.inputs == "grey" else 3

    @property
    def multiple_px(self) -> int:
        """Sides of the input must be multiples of this."""
        return 32
