"""The first stage, of detectron2: where something might be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.proposal_generator.rpn import RPN, StandardRPNHead
from detectron2.structures import Boxes
from torch import Tensor, nn

from defectscope.detectors.faster_rcnn.ignoring import excused
from defectscope.detectors.faster_rcnn.proposals import (
    CANDIDATES,
    MOST_IOU,
    RIGHT_IOU,
    RIGHT_PART,
    SAMPLES,
    WRONG_IOU,
    grid_anchors,
    proposals_in,
)
from defectscope.detectors.faster_rcnn_detectron2.backbone import LEVELS

if TYPE_CHECKING:
    from defectscope.detectors.faster_rcnn_detectron2.architecture import Detectron2Architecture

__all__ = ["Proposals"]


class _Anchors(nn.Module):
    box_dim = 4

    def __init__(self, architecture: Detectron2Architecture) -> None:
        super().__init__()
        self._strides = architecture.strides_px
        for k, level in enumerate(architecture.anchors):
            # In the architecture, and so not among the weights.
            self.register_buffer(f"level_{k}", torch.tensor(level), persistent=False)

    def forward(self, maps: list[Tensor]) -> list[Any]:
        sizes = [self.get_buffer(f"level_{k}") for k in range(len(maps))]
        levels = zip(maps, sizes, self._strides, strict=True)
        return [Boxes(grid_anchors([m], [size], (stride,))) for m, size, stride in levels]


class Proposals(RPN):  # type: ignore[misc]
    """detectron2's region proposals, with anchors and numbers of one's own, and ignored boxes.

    Attributes
    ----------
    ignored
        (m, 4) boxes of each crop that are neither right nor wrong; set before each step.
    """

    def __init__(self, channels: int, architecture: Detectron2Architecture) -> None:
        super().__init__(
            in_features=list(LEVELS),
            head=StandardRPNHead(in_channels=channels, num_anchors=len(architecture.anchors[0])),
            anchor_generator=_Anchors(architecture),
            anchor_matcher=Matcher([WRONG_IOU, RIGHT_IOU], [0, -1, 1], True),
            box2box_transform=Box2BoxTransform(weights=(1.0, 1.0, 1.0, 1.0)),
            batch_size_per_image=SAMPLES,
            positive_fraction=RIGHT_PART,
            # Numbers by the size of the frame take their place below.
            pre_nms_topk=(0, 0),
            post_nms_topk=(0, 0),
            nms_thresh=MOST_IOU,
        )
        self._per_mpx = architecture.proposals_per_mpx
        self.ignored: list[Tensor] = []
        self._excused: Iterator[Tensor] = iter(())

    def label_and_sample_anchors(self, anchors: Any, gt_instances: Any) -> Any:
        """Return labels and boxes of anchors; the wrong ones on ignored boxes are left out."""
        every = Boxes.cat(anchors).tensor
        self._excused = iter([excused(every, boxes) for boxes in self.ignored])
        return super().label_and_sample_anchors(anchors, gt_instances)

    def _subsample_labels(self, label: Tensor) -> Tensor:
        # Called for one crop after the other.
        label[(label == 0) & next(self._excused)] = -1
        return super()._subsample_labels(label)  # type: ignore[no-any-return]

    def predict_proposals(
        self, anchors: Any, logits: Any, deltas: Any, image_sizes: list[tuple[int, int]]
    ) -> Any:
        """Return the best proposals of each image."""
        count = proposals_in(image_sizes[0], self._per_mpx)
        self.pre_nms_topk = dict.fromkeys((True, False), CANDIDATES * count)
        self.post_nms_topk = dict.fromkeys((True, False), count)
        return super().predict_proposals(anchors, logits, deltas, image_sizes)
