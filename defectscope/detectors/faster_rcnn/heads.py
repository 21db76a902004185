"""The second stage: what each proposal is, and where its box lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import MultiScaleRoIAlign

from defectscope.detectors.faster_rcnn.ignoring import excused

if TYPE_CHECKING:
    from defectscope.detectors.faster_rcnn.architecture import Architecture

__all__ = ["BoxHeads"]

CELLS = 7
# Proposals of this size, px, are looked at on the second map; torchvision's 224 is for photographs.
CANONICAL_PX, CANONICAL_LEVEL = 32, 3
RIGHT_IOU = 0.5
RIGHT_PART = 0.4


class BoxHeads(RoIHeads):  # type: ignore[misc]
    """torchvision's heads, with ignored boxes and without its limit of detections."""

    def __init__(self, channels: int, architecture: Architecture) -> None:
        levels = [str(k) for k in range(len(architecture.strides_px))]
        width = architecture.head_channels
        super().__init__(
            MultiScaleRoIAlign(
                levels, CELLS, 2, canonical_scale=CANONICAL_PX, canonical_level=CANONICAL_LEVEL
            ),
            TwoMLPHead(channels * CELLS**2, width),
            FastRCNNPredictor(width, architecture.classes + 1),
            fg_iou_thresh=RIGHT_IOU,
            bg_iou_thresh=RIGHT_IOU,
            batch_size_per_image=128,
            positive_fraction=RIGHT_PART,
            bbox_reg_weights=None,
            # Scores, suppression and numbers are decided where boxes are decoded.
            score_thresh=0.0,
            nms_thresh=1.0,
            detections_per_img=0,
        )
        self._ignored: list[Tensor] = []

    def select_training_samples(self, proposals: Any, targets: Any) -> Any:
        """Return the proposals to learn from; the wrong ones on ignored boxes are left out."""
        self._ignored = [target["ignored"] for target in targets]
        return super().select_training_samples(proposals, targets)

    def assign_targets_to_proposals(self, proposals: Any, gt_boxes: Any, gt_labels: Any) -> Any:
        """Return positions of true boxes, and labels: 0 for the background, -1 for neither."""
        matched, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        for mine, each, ignored in zip(labels, proposals, self._ignored, strict=True):
            wrong = torch.where(mine == 0)[0]
            mine[wrong[excused(each[wrong], ignored)]] = -1
        return matched, labels

    def answers(
        self, features: dict[str, Tensor], boxes: Tensor, shape: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return (k, classes + 1) logits and (k, 4·(classes + 1)) corrections of (k, 4) boxes."""
        logits, deltas = self.box_predictor(
            self.box_head(self.box_roi_pool(features, [boxes], [shape]))
        )
        return logits, deltas
