"""The network of ``faster-rcnn``: backbone, proposals, heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from defectscope.detectors.faster_rcnn.architecture import Architecture
from defectscope.detectors.faster_rcnn.backbone import Backbone
from defectscope.detectors.faster_rcnn.heads import BoxHeads
from defectscope.detectors.faster_rcnn.proposals import Proposals
from defectscope.detectors.learning.networks import load_body

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FasterRcnnNetwork"]


class FasterRcnnNetwork(nn.Module):
    """Maps one (1, channels, H, W) frame to proposals, logits and corrections.

    Frames are taken as they are: torchvision's own model would first change their size.

    Parameters
    ----------
    architecture
        Its parts and sizes.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.classes = architecture.classes
        self.backbone = Backbone(architecture)
        self.rpn = Proposals(self.backbone.out_channels, architecture)
        self.roi_heads = BoxHeads(self.backbone.out_channels, architecture)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (k, 4) proposals, (k, classes + 1) logits, (k, 4·(classes + 1)) corrections.

        The first class is the background.
        """
        shape = pixels.shape[2], pixels.shape[3]
        features = self.backbone(pixels)
        (boxes,), _ = self.rpn(ImageList(pixels, [shape]), features)
        return boxes, *self.roi_heads.answers(features, boxes, shape)

    def losses(self, pixels: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the four losses by name.

        Parameters
        ----------
        pixels
            (n, channels, H, W).
        targets
            For each crop ``boxes`` (m, 4), ``labels`` (m,) from 1 on, and ``ignored`` (k, 4).
        """
        shapes = [(pixels.shape[2], pixels.shape[3])] * len(pixels)
        features = self.backbone(pixels)
        boxes, first = self.rpn(ImageList(pixels, shapes), features, targets)
        _, second = self.roi_heads(features, boxes, shapes, targets)
        return {**first, **second}

    def load_backbone(self, path: Path) -> None:
        """Start from weights of the backbone; raises what :func:`load_body` raises."""
        load_body(self.backbone.body, path, "features.")

    def learn_from(self, proposals: int) -> None:
        """Set how many proposals of each crop are learned from."""
        self.roi_heads.fg_bg_sampler.batch_size_per_image = proposals

    def part(self, name: str) -> list[nn.Module]:
        """Return the modules of ``backbone`` or of ``all-but-head``, for freezing."""
        return [self.backbone.body] if name == "backbone" else [self.backbone, self.rpn]

    def reorder(self, order: Sequence[int]) -> None:
        """Let the classes at these positions be the first, the second, and so on."""
        classes = [0, *(k + 1 for k in order)]
        rows = [4 * k + side for k in classes for side in range(4)]
        predictor = self.roi_heads.box_predictor
        with torch.no_grad():
            for layer, places in ((predictor.cls_score, classes), (predictor.bbox_pred, rows)):
                layer.weight.copy_(layer.weight[places])
                layer.bias.copy_(layer.bias[places])
