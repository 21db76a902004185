"""``heatmap`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from defectscope.detectors.heatmap.decoding import decoded
from defectscope.detectors.heatmap.loss import focal_loss, giou_loss
from defectscope.detectors.learning.module import LearningModule
from defectscope.detectors.learning.optimising import expect_finite
from defectscope.detectors.learning.scoring import Scored, best_threshold
from defectscope.detectors.learning.suppression import suppressed

if TYPE_CHECKING:
    pass

__all__ = ["HeatmapModule"]

LEAST_SCORE = 0.1
MOST_OVERLAP = 0.35


class HeatmapModule(LearningModule):
    """Losses and score of one training.

    Parameters
    ----------
    defect_types
        Names in the order of the output channels.
    given
        What every such module takes.
    """

    def __init__(self, defect_types: tuple[str, ...], *given: Any) -> None:
        super().__init__(*given)
        self._types, self._scored = defect_types, list[Scored]()

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of centres and boxes.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        logits, logarithms = self.outputs(batch["pixels"])
        centres = focal_loss(logits.float(), batch["centres"], batch["counted"])
        boxes = giou_loss(logarithms.float(), batch["sides"], batch["weights"])
        self.log_dict({"loss_centres": centres, "loss_boxes": boxes})
        return expect_finite(centres + boxes, self.options, self.global_step)

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Find what is in the frame of a position, and keep it beside the truth."""
        pixels, truth = self.frames[int(batch)]
        logits, logarithms = self.answers(pixels)
        found = decoded(logits, logarithms, LEAST_SCORE)
        known = {name: k for k, name in enumerate(self._types)}
        kinds = np.array([known.get(str(t), -1) for t in truth.defect_types], np.intp)
        kept = suppressed(found, MOST_OVERLAP)
        self._scored.append(Scored(*kept, truth.boxes, kinds, truth.ignore))

    def on_validation_epoch_end(self) -> None:
        """Log the best mean F1 and its threshold."""
        best = best_threshold(self._scored)
        self._scored.clear()
        self.log_dict(best.logged)
