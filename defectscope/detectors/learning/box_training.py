"""What the training of detectors of boxes has alike: validation by F1, and what cards say of it."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from defectscope.detectors.learning.boxes import BoxDetector
from defectscope.detectors.learning.calming import calmed
from defectscope.detectors.learning.captions import edges_of
from defectscope.detectors.learning.detector import scaled_shape
from defectscope.detectors.learning.module import LearningModule
from defectscope.detectors.learning.rims import counted, settled
from defectscope.detectors.learning.scoring import (
    THRESHOLDS,
    Scored,
    best_threshold,
    scores_by_type,
)
from defectscope.detectors.learning.tiles import Tile
from defectscope.detectors.learning.training import Facts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from defectscope.detectors.learning.suppression import Found

__all__ = ["LEAST_SCORE", "THRESHOLD_FROM", "BoxModule", "box_facts"]

# Detections of less take no part in the choice of a threshold.
LEAST_SCORE = 0.1
THRESHOLD_FROM = "best mean F1 at IoU 0.15 and 0.4, of those as good the best number of detections"

box_facts = partial(
    Facts,
    threshold_from=THRESHOLD_FROM,
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

    Attributes
    ----------
    most_overlap
        Of two boxes that overlap more (IoU), one stays, as when defects are looked for.
    """

    most_overlap: ClassVar[float]

    def __init__(self, defect_types: tuple[str, ...], *given: Any) -> None:
        super().__init__(*given)
        # What a network sees beyond the rim counts: it is as much as when defects are looked for.
        self._multiple = BoxDetector.multiple_px
        self._types, self._scored = defect_types, list[Scored]()

    @property
    def enlarge(self) -> float:
        """By how much frames are enlarged before the network sees them."""
        return float(self.network.architecture.enlarge)

    def given(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return what the network is given of a whole frame."""
        return np.asarray(self.network.architecture.given(pixels))

    @abstractmethod
    def decode(self, outputs: list[NDArray[Any]]) -> Found:
        """Return the boxes in some outputs with at least `LEAST_SCORE`, px of the input."""

    def found_in(self, pixels: NDArray[Any]) -> Found:
        """Return what detection would find in a frame, but for captions, px of the frame."""
        height, width = pixels.shape
        given = scaled_shape((height, width), self.enlarge)
        own = counted(self.decode(self.answers(pixels)), Tile.whole(given), given)
        return settled([own], given, (height, width), self.most_overlap)

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Find what is in the frame of a position, and keep it beside the truth."""
        pixels, truth = self.frames[int(batch)]
        # As when defects are looked for: it is for such frames that a threshold is chosen.
        pixels = calmed(pixels)
        known = {name: k for k, name in enumerate(self._types)}
        kinds = np.array([known.get(str(t), -1) for t in truth.defect_types], np.intp)
        found = self.found_in(pixels)
        dropped = _in_captions(pixels, found)
        self._scored.append(Scored(*found, truth.boxes, kinds, truth.ignore, dropped))

    def on_validation_epoch_end(self) -> None:
        """Log the best mean F1, its threshold, and what goes with it, also by type."""
        best = best_threshold(self._scored)
        logged = best.logged
        if len(self._types) > 1:
            logged |= scores_by_type(self._scored, best.threshold, self._types)
        self._scored.clear()
        self.log_dict(logged)


def _in_captions(pixels: NDArray[Any], found: Found) -> NDArray[np.bool_]:
    """Return which boxes are letters at each threshold, beside those that are seen there."""
    edges = edges_of(pixels, found.boxes)
    letters = np.zeros((len(THRESHOLDS), len(found.boxes)), bool)
    for row, threshold in enumerate(THRESHOLDS):
        seen = found.scores >= threshold
        letters[row, seen] = edges.of(seen).letters()
    return letters
