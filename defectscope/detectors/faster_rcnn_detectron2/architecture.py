"""What the card of a Faster R-CNN of detectron2 says of its network; needs no detectron2."""

from __future__ import annotations

from typing import Literal

from defectscope.detectors.faster_rcnn.architecture import Architecture

__all__ = ["BackboneName", "Detectron2Architecture"]

BackboneName = Literal["resnet18-fpn", "resnet50-fpn", "resnet101-fpn"]


class Detectron2Architecture(Architecture):
    """What the network is built from: a ResNet with a feature pyramid, and the rest as elsewhere.

    Parameters
    ----------
    backbone
        What makes features.
    """

    backbone: BackboneName = "resnet50-fpn"  # type: ignore[assignment]

    @property
    def depth(self) -> int:
        """Layers of the ResNet."""
        return int(self.backbone.removeprefix("resnet").removesuffix("-fpn"))
