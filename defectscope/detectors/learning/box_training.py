"""What the training of detectors of boxes has alike: validation by F1, and what cards say of it."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.detectors.learning.calming import calmed
from defectscope.detectors.learning.captions import in_captions
from defectscope.detectors.learning.detector import scaled_shape
from defectscope.detectors.learning.module import LearningModule
from defectscope.detectors.learning.scoring import Scored, best_threshold
from defectscope.detectors.learning.training import Facts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from defectscope.detectors.learning.suppression import Found

__all__ = ["LEAST_SCORE", "BoxModule", "box_facts"]

# Detections of less take no part in the choice of a threshold.
LEAST_SCORE = 0.1

box_facts = partial(
    Facts,
    threshold_from="best mean F1 at IoU 0.15 and 0.4",
    scores=lambda best: {"f1_iou_0.15": round(best.f1, 4), "mean_f1": round(best.score, 4)},
    score_labels={"score": "mean F1 at IoU 0.15 and 0.4", "f1": "F1 at IoU 0.15"},
)


class BoxModule(LearningModule):
    """Validation of one training: the best mean F1 over all thresholds.

    Parameters
    ----------
    defect_types
        Names in the order of the outputs.
    given
        What every such module takes.
    """

    def __init__(self, defect_types: tuple[str, ...], *given: Any) -> None:
        super().__init__(*given)
        self._types, self._scored = defect_types, list[Scored]()

    @abstractmethod
    def found_in(self, pixels: NDArray[Any]) -> Found:
        """Return what is found in a frame with at least `LEAST_SCORE`, px of the frame."""

    def in_frame(self, found: Found, shape: tuple[int, ...]) -> Found:
        """Return boxes in px of a frame of `shape` instead of those of the enlarged one."""
        height, width = shape
        given = scaled_shape((height, width), self.network.architecture.enlarge)
        ratio = np.divide(given, shape)[[1, 0, 1, 0]]
        return found._replace(boxes=(found.boxes / ratio).astype(np.float32))

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Find what is in the frame of a position, and keep it beside the truth."""
        pixels, truth = self.frames[int(batch)]
        # As when defects are looked for: it is for such frames that a threshold is chosen.
        pixels = calmed(pixels)
        known = {name: k for k, name in enumerate(self._types)}
        kinds = np.array([known.get(str(t), -1) for t in truth.defect_types], np.intp)
        boxes, scores, classes = self.found_in(pixels)
        real = ~in_captions(pixels, boxes)
        self._scored.append(
            Scored(boxes[real], scores[real], classes[real], truth.boxes, kinds, truth.ignore)
        )

    def on_validation_epoch_end(self) -> None:
        """Log the best mean F1, its threshold, and what goes with it."""
        best = best_threshold(self._scored)
        self._scored.clear()
        self.log_dict(best.logged)
