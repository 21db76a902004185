"""``line-tracer`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from defectscope.detectors.learning.line_scoring import FoundLines, best_line_threshold
from defectscope.detectors.learning.module import LearningModule, true_lines
from defectscope.detectors.learning.optimising import expect_finite
from defectscope.detectors.line_tracer.lattice import STRIDE
from defectscope.detectors.line_tracer.loss import offset_loss, soft_focal_loss
from defectscope.detectors.line_tracer.tracing import TracingRules, tokens_of, traced

if TYPE_CHECKING:
    from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions

__all__ = ["LineModule"]

# Of the mean probability along lines.
THRESHOLDS = np.round(np.arange(0.3, 0.96, 0.025), 3)
# Ends count less than lines: they are few, and only say where lines stop.
ENDS_WEIGHT = 0.4


class LineModule(LearningModule):
    """Losses and score of one training."""

    options: LineTracerTrainingOptions
    rim = "reflect"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._found: list[FoundLines] = []

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of presence, offsets and ends.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        logits, offsets, ends = self.outputs(batch["pixels"])
        wanted, counted = batch["presence"], batch["counted"]
        lines = soft_focal_loss(logits.float(), wanted, counted)
        places = offset_loss(offsets.float(), batch["offsets"], wanted * counted)
        tips = soft_focal_loss(ends.float(), batch["ends"], counted)
        self.log_dict({"loss_lines": lines, "loss_offsets": places, "loss_ends": tips})
        return expect_finite(lines + places + ENDS_WEIGHT * tips, self.options, self.global_step)

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Trace the frame of a position, and keep what was found beside the truth."""
        pixels, truth = self.frames[int(batch)]
        shape, rules = (pixels.shape[0], pixels.shape[1]), TracingRules()
        rows, columns = (-(-side // STRIDE) for side in shape)
        # Cells of the frame: what the padding mirrors is no line of it.
        logits, offsets, ends = (out[:, :rows, :columns] for out in self.answers(pixels))
        tokens = tokens_of(logits, offsets, rules)
        found = traced(tokens, logits.max(axis=0), shape, rules, ends[0])
        self._found.append(FoundLines.of(found, truth, true_lines))

    def on_validation_epoch_end(self) -> None:
        """Log the mean of P1's score and F1 at the best threshold."""
        best = best_line_threshold(self._found, THRESHOLDS)
        self._found.clear()
        scores = {
            "score": best.score,
            "threshold": best.threshold,
            "f1": best.lines.f1 or 0.0,
            "spline_score": best.lines.score or 0.0,
            **best.detection,
        }
        self.log_dict(scores)
