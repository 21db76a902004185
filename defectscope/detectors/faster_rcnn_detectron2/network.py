"""The network of ``faster-rcnn-detectron2``: backbone, proposals, heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from detectron2.structures import Boxes, ImageList, Instances
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from defectscope.detectors.faster_rcnn_detectron2.architecture import Detectron2Architecture
from defectscope.detectors.faster_rcnn_detectron2.backbone import backbone_of, torchvision_name
from defectscope.detectors.faster_rcnn_detectron2.heads import BoxHeads
from defectscope.detectors.faster_rcnn_detectron2.proposals import Proposals
from defectscope.detectors.learning.networks import load_body

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Detectron2Network"]


class Detectron2Network(nn.Module):
    """Maps one (1, channels, H, W) frame to proposals, logits and corrections.

    Frames are taken as they are: detectron2's own model would first change their size.

    Parameters
    ----------
    architecture
        Its parts and sizes.
    """

    def __init__(self, architecture: Detectron2Architecture) -> None:
        super().__init__()
        self.backbone = backbone_of(architecture)
        self.rpn = Proposals(architecture.fpn_channels, architecture)
        self.roi_heads = BoxHeads(architecture.fpn_channels, architecture)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (k, 4) proposals, (k, classes + 1) logits, (k, 4·(classes + 1)) corrections.

        The first class is the background, as for ``faster-rcnn``; detectron2 has it last, and no
        corrections for it.
        """
        shape = pixels.shape[2], pixels.shape[3]
        features = self.backbone(pixels)
        (found,), _ = self.rpn(ImageList(pixels, [shape]), features)
        boxes = found.proposal_boxes.tensor
        logits, deltas = self.roi_heads.answers(features, boxes)
        logits = torch.cat([logits[:, -1:], logits[:, :-1]], dim=1)
        return boxes, logits, torch.cat([torch.zeros_like(boxes), deltas], dim=1)

    def losses(self, pixels: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the four losses by name; no numbers where the network answers none.

        Parameters
        ----------
        pixels
            (n, channels, H, W).
        targets
            For each crop ``boxes`` (m, 4), ``labels`` (m,) from 1 on, and ``ignored`` (k, 4).
        """
        shape = pixels.shape[2], pixels.shape[3]
        self.rpn.ignored = self.roi_heads.ignored = [target["ignored"] for target in targets]
        images = ImageList(pixels, [shape] * len(pixels))
        truth = [_truth(shape, target) for target in targets]
        features = self.backbone(pixels)
        # Both stages write statistics into such a storage; nobody looks at them.
        with EventStorage():
            try:
                found, first = self.rpn(images, features, truth)
            except FloatingPointError:
                return {"loss_rpn_cls": torch.full((), torch.nan, device=pixels.device)}
            _, second = self.roi_heads(images, features, found, truth)
        return {**first, **second}

    def load_backbone(self, path: Path) -> None:
        """Start from weights of the backbone; raises what :func:`load_body` raises."""
        load_body(self.backbone.bottom_up, path, "features.", torchvision_name)

    def learn_from(self, proposals: int) -> None:
        """Set how many proposals of each crop are learned from."""
        self.roi_heads.batch_size_per_image = proposals

    def part(self, name: str) -> list[nn.Module]:
        """Return the modules of ``backbone`` or of ``all-but-head``, for freezing."""
        return [self.backbone.bottom_up] if name == "backbone" else [self.backbone, self.rpn]

    def reorder(self, order: Sequence[int]) -> None:
        """Let the classes at these positions be the first, the second, and so on."""
        rows = [4 * k + side for k in order for side in range(4)]
        predictor = self.roi_heads.box_predictor
        parts = (predictor.cls_score, [*order, len(order)]), (predictor.bbox_pred, rows)
        with torch.no_grad():
            for layer, places in parts:
                layer.weight.copy_(layer.weight[places])
                layer.bias.copy_(layer.bias[places])


def _truth(shape: tuple[int, int], target: dict[str, Tensor]) -> Any:
    return Instances(shape, gt_boxes=Boxes(target["boxes"]), gt_classes=target["labels"] - 1)
