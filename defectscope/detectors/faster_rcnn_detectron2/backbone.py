"""Feature maps of detectron2's ResNet and pyramid, from weights in torchvision's names or none."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from detectron2.modeling.backbone.fpn import FPN
from detectron2.modeling.backbone.resnet import BasicStem, ResNet
from torch import nn

from defectscope.detectors.faster_rcnn.backbone import MOMENTUM

if TYPE_CHECKING:
    from defectscope.detectors.faster_rcnn_detectron2.architecture import Detectron2Architecture

__all__ = ["LEVELS", "backbone_of", "torchvision_name"]

# Strides 4, 8 and 16; the pyramid begins at stride 32.
LEVELS = ("p2", "p3", "p4")
STAGES = ("res2", "res3", "res4", "res5")
CONVOLUTION = re.compile(r"(stem|res(\d)\.\d+)\.(conv(\d)|shortcut)\.(norm\.)?(\w+)")


def backbone_of(architecture: Detectron2Architecture) -> Any:
    """Return a pyramid on a ResNet, with random weights."""
    learned = partial(nn.BatchNorm2d, momentum=MOMENTUM)
    frozen = architecture.frozen_norm
    norm: Any = "FrozenBN" if frozen else learned
    body = ResNet(
        BasicStem(in_channels=architecture.channels_in, norm=norm),
        ResNet.make_default_stages(architecture.depth, norm=norm),
        out_features=list(STAGES),
    )
    return FPN(body, list(STAGES), architecture.fpn_channels, norm="" if frozen else learned)


def torchvision_name(name: str) -> str:
    """Return what torchvision calls a tensor of detectron2's ResNet.

    Examples
    --------
    ``res2.0.conv1.norm.weight`` is ``layer1.0.bn1.weight``.
    """
    found = CONVOLUTION.fullmatch(name)
    if found is None:
        return name
    block, stage, _, number, norm, what = found.groups()
    place = "" if block == "stem" else f"layer{int(stage) - 1}.{block.partition('.')[2]}."
    if number is None:
        return f"{place}downsample.{1 if norm else 0}.{what}"
    return f"{place}{'bn' if norm else 'conv'}{number}.{what}"
