"""The first stage: where something might be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import clip_boxes_to_image, nms

from defectscope.detectors.faster_rcnn.ignoring import excused

if TYPE_CHECKING:
    from torchvision.models.detection.image_list import ImageList

    from defectscope.detectors.faster_rcnn.architecture import Architecture

__all__ = ["Proposals", "grid_anchors", "proposals_in"]

LEAST_PROPOSALS = 128
# As many candidates go into non-maximum suppression for each proposal that comes out.
CANDIDATES = 4
PX2_PER_MPX = 1_000_000
MOST_IOU = 0.7
RIGHT_IOU, WRONG_IOU = 0.6, 0.3
SAMPLES, RIGHT_PART = 256, 0.5


def proposals_in(shape: tuple[int, int], per_mpx: int) -> int:
    """Return how many proposals a frame of (height, width) px has."""
    height, width = shape
    megas, rest = height * width // PX2_PER_MPX, height * width % PX2_PER_MPX
    # In two steps of a thousand: OpenVINO computes whole numbers with 32 bits.
    thousands = rest // 1000 * per_mpx + rest % 1000 * per_mpx // 1000
    return LEAST_PROPOSALS + megas * per_mpx + thousands // 1000


def grid_anchors(maps: list[Tensor], sizes: list[Tensor], strides: tuple[int, ...]) -> Tensor:
    """Return the (n, 4) anchors around the centres of all cells, in the order of the head's output.

    Parameters
    ----------
    maps
        (n, channels, h, w) feature maps.
    sizes
        (a, 2) width and height for each map, px.
    strides
        Of each map, px.
    """
    found = []
    for features, size, stride in zip(maps, sizes, strides, strict=True):
        x, y = (
            (torch.arange(side, device=features.device, dtype=size.dtype) + 0.5) * stride
            for side in (features.shape[3], features.shape[2])
        )
        x, y = (t.reshape(-1) for t in torch.meshgrid(x, y, indexing="xy"))
        centres = torch.stack([x, y], dim=1)[:, None]
        found.append(torch.cat([centres - size / 2, centres + size / 2], dim=2).reshape(-1, 4))
    return torch.cat(found)


class _Anchors(nn.Module):
    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._strides = architecture.strides_px
        for k, level in enumerate(architecture.anchors):
            # In the architecture, and so not among the weights.
            self.register_buffer(f"level_{k}", torch.tensor(level), persistent=False)

    def forward(self, images: ImageList, maps: list[Tensor]) -> list[Tensor]:
        sizes = [self.get_buffer(f"level_{k}") for k in range(len(maps))]
        return [grid_anchors(maps, sizes, self._strides)] * len(images.image_sizes)


class Proposals(RegionProposalNetwork):  # type: ignore[misc]
    """torchvision's region proposals, with anchors and numbers of one's own, and ignored boxes."""

    def __init__(self, channels: int, architecture: Architecture) -> None:
        super().__init__(
            _Anchors(architecture),
            RPNHead(channels, len(architecture.anchors[0])),
            fg_iou_thresh=RIGHT_IOU,
            bg_iou_thresh=WRONG_IOU,
            batch_size_per_image=SAMPLES,
            positive_fraction=RIGHT_PART,
            # Numbers by the size of the frame take their place below.
            pre_nms_top_n={"training": 0, "testing": 0},
            post_nms_top_n={"training": 0, "testing": 0},
            nms_thresh=MOST_IOU,
        )
        self._per_mpx = architecture.proposals_per_mpx

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return labels and boxes of anchors; the wrong ones on ignored boxes are left out."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for mine, each, target in zip(labels, anchors, targets, strict=True):
            wrong = torch.where(mine == 0)[0]
            mine[wrong[excused(each[wrong], target["ignored"])]] = -1.0
        return labels, boxes

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the best proposals of each image, all levels together, and their scores."""
        scores = objectness.detach().reshape(proposals.shape[0], -1)
        height, width = image_shapes[0]
        count = proposals_in((height, width), self._per_mpx)
        kept = []
        for boxes, score in zip(proposals, scores, strict=True):
            # Of equal scores the first comes first; ONNX does so anyhow and cannot be told.
            stable = {} if torch.onnx.is_in_onnx_export() else {"stable": True}
            score, order = score.sort(dim=0, descending=True, **stable)
            order, score = order[: CANDIDATES * count], score[: CANDIDATES * count]
            boxes = clip_boxes_to_image(boxes[order], (height, width))
            best = nms(boxes, score, MOST_IOU)[:count]
            kept.append((boxes[best], score[best]))
        return [boxes for boxes, _ in kept], [score for _, score in kept]
