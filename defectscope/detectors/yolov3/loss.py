"""ultralytics' loss of the anchor-free head, told what to ignore."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from defectscope.detectors.yolov3.decoding import BINS
from defectscope.detectors.yolov3.offline import offline_ultralytics

if TYPE_CHECKING:
    from defectscope.detectors.yolov3.network import YoloNetwork

__all__ = ["YoloLoss", "counted_cells"]

# ultralytics' own weights of the three terms.
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}


def counted_cells(ignored: Tensor, images: int, shapes: Sequence[Any], strides: Tensor) -> Tensor:
    """Return 1 for each cell where a type can be learned, 0 for those inside of ignored boxes.

    Parameters
    ----------
    ignored
        (k, 5) position of the image, and x_min, y_min, x_max, y_max in px.
    images
        Their number.
    shapes, strides
        (h, w) and px of each level.

    Returns
    -------
    (images, cells of all levels)
    """
    centres = []
    for (h, w), stride in zip(shapes, strides.tolist(), strict=True):
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        centres.append((torch.stack([x.flatten(), y.flatten()], dim=1) + 0.5) * stride)
    points = torch.cat(centres).to(ignored.device)
    counted = torch.ones(images, len(points), device=ignored.device)
    for row in ignored:
        inside = ((points >= row[1:3]) & (points < row[3:5])).all(dim=1)
        counted[int(row[0]), inside] = 0
    return counted


class YoloLoss:
    """Box, type and distance losses of a batch, each by the number of images.

    Complete IoU for boxes, cross entropy for types, distribution focal loss for distances, with
    task-aligned assignment of cells (Feng et al., TOOD, 2021).

    Parameters
    ----------
    network
        Whose outputs they are; on its device.
    """

    def __init__(self, network: YoloNetwork) -> None:
        package = offline_ultralytics()
        network.net.args = SimpleNamespace(**GAINS)
        self._loss: Any = package.utils.loss.v8DetectionLoss(network.net)
        self._loss.bce = self._cross_entropy
        self._strides: Tensor = network.head.stride
        self._counted: Tensor | None = None

    def _cross_entropy(self, logits: Tensor, wanted: Tensor) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        if self._counted is None:
            return each
        # A defect counts even where it lies in an ignored box.
        return torch.where(wanted > 0, each, each * self._counted[..., None])

    def __call__(self, levels: Sequence[Tensor], boxes: Tensor, ignored: Tensor) -> dict[str, Any]:
        """Return the losses by name.

        Parameters
        ----------
        levels
            (n, 64 + classes, h, w) each.
        boxes
            (m, 6) position of the image, type, and centre x, y, width, height as parts of the
            image's sides.
        ignored
            (k, 5) as in :func:`counted_cells`.
        """
        maps = [level.float() for level in levels]
        images = len(maps[0])
        flat = torch.cat([level.flatten(2) for level in maps], dim=2)
        shapes = [level.shape[2:] for level in maps]
        self._counted = (
            counted_cells(ignored, images, shapes, self._strides) if len(ignored) else None
        )
        predicted = {"boxes": flat[:, : 4 * BINS], "scores": flat[:, 4 * BINS :], "feats": maps}
        # ultralytics counts on rows of one image standing together.
        boxes = boxes[boxes[:, 0].argsort(stable=True)]
        truth = {"batch_idx": boxes[:, 0], "cls": boxes[:, 1], "bboxes": boxes[:, 2:]}
        total, _ = self._loss(predicted, truth)
        box, kind, distance = total / images
        return {"loss_boxes": box, "loss_types": kind, "loss_distances": distance}
