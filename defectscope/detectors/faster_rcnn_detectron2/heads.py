"""The second stage, of detectron2: what each proposal is, and where its box lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.proposal_generator.proposal_utils import add_ground_truth_to_proposals
from detectron2.modeling.roi_heads import (
    FastRCNNConvFCHead,
    FastRCNNOutputLayers,
    StandardROIHeads,
)
from detectron2.modeling.sampling import subsample_labels
from detectron2.structures import Boxes

from defectscope.detectors.faster_rcnn.decoding import WEIGHTS
from defectscope.detectors.faster_rcnn.heads import (
    CANONICAL_LEVEL,
    CANONICAL_PX,
    CELLS,
    RIGHT_IOU,
    RIGHT_PART,
)
from defectscope.detectors.faster_rcnn.ignoring import excused
from defectscope.detectors.faster_rcnn_detectron2.backbone import LEVELS

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope.detectors.faster_rcnn_detectron2.architecture import Detectron2Architecture

__all__ = ["BoxHeads"]


class BoxHeads(StandardROIHeads):  # type: ignore[misc]
    """detectron2's heads, with ignored boxes; the last class is the background.

    Attributes
    ----------
    ignored
        (m, 4) boxes of each crop that are neither right nor wrong; set before each step.
    """

    def __init__(self, channels: int, architecture: Detectron2Architecture) -> None:
        width, strides = architecture.head_channels, architecture.strides_px
        shape = ShapeSpec(channels=channels, height=CELLS, width=CELLS)
        super().__init__(
            box_in_features=list(LEVELS),
            box_pooler=ROIPooler(
                CELLS, [1 / stride for stride in strides], 2, "ROIAlignV2",
                canonical_box_size=CANONICAL_PX, canonical_level=CANONICAL_LEVEL,
            ),
            box_head=FastRCNNConvFCHead(shape, conv_dims=[], fc_dims=[width, width]),
            box_predictor=FastRCNNOutputLayers(
                ShapeSpec(channels=width), num_classes=architecture.classes,
                box2box_transform=Box2BoxTransform(weights=WEIGHTS),
            ),
            num_classes=architecture.classes,
            batch_size_per_image=128,
            positive_fraction=RIGHT_PART,
            proposal_matcher=Matcher([RIGHT_IOU], [0, 1], False),
            # They are added here, so that all boxes that are chosen from are known.
            proposal_append_gt=False,
        )  # fmt: skip
        self.ignored: list[Tensor] = []
        self._excused: Iterator[Tensor] = iter(())

    def label_and_sample_proposals(self, proposals: Any, targets: Any) -> Any:
        """Return the proposals to learn from; the wrong ones on ignored boxes are left out."""
        proposals = add_ground_truth_to_proposals(targets, proposals)
        every = [each.proposal_boxes.tensor for each in proposals]
        pairs = zip(every, self.ignored, strict=True)
        self._excused = iter([excused(boxes, ignored) for boxes, ignored in pairs])
        return super().label_and_sample_proposals(proposals, targets)

    def _sample_proposals(
        self, matched_idxs: Tensor, matched_labels: Tensor, gt_classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        # Called for one crop after the other. detectron2's own takes everything for background
        # where there is no true box, also what is on ignored ones.
        background = self.num_classes
        kinds = torch.full_like(matched_idxs, background)
        right = matched_labels == 1
        kinds[right] = gt_classes[matched_idxs[right]]
        kinds[(kinds == background) & next(self._excused)] = -1
        chosen = torch.cat(
            subsample_labels(kinds, self.batch_size_per_image, self.positive_fraction, background)
        )
        return chosen, kinds[chosen]

    def answers(self, features: dict[str, Tensor], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return (k, classes + 1) logits and (k, 4·classes) corrections of (k, 4) boxes."""
        maps = [features[name] for name in self.box_in_features]
        logits, deltas = self.box_predictor(self.box_head(self.box_pooler(maps, [Boxes(boxes)])))
        return logits, deltas
