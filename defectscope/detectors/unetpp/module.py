"""``unetpp`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from defectscope.detectors.learning.line_scoring import FoundLines, best_line_threshold
from defectscope.detectors.learning.module import LearningModule
from defectscope.detectors.learning.optimising import expect_finite
from defectscope.detectors.unetpp.crops import true_courses
from defectscope.detectors.unetpp.decoding import LEAST_AREA_PX, Tiling, lines_in_tiles
from defectscope.detectors.unetpp.loss import mask_loss, union_loss
from defectscope.detectors.unetpp.places import middle_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

__all__ = ["UnetppModule"]

# The masks themselves are cut at a probability of 0.5 (P1).
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
# A logit of no probability.
NOTHING = -20.0


class UnetppModule(LearningModule):
    """Loss and score of one training."""

    options: UnetppTrainingOptions

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._found: list[FoundLines] = []

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the loss of masks in any order.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        options, counted = self.options, batch["counted"].float()
        # Most outputs have no line in most crops: planes beyond the last true mask cost time only.
        most = max(1, int(batch["real"].sum(dim=1).max()))
        masks, real = batch["masks"][:, :most], batch["real"][:, :most]
        pixels = batch["pixels"].contiguous(memory_format=torch.channels_last)
        shown, middles = self.network.reduced(pixels)
        logits = shown.float()
        if self.network.reduce > 1:
            masks = functional.avg_pool2d(masks.float(), self.network.reduce)
            counted = -functional.max_pool2d(-counted, self.network.reduce)
        # Whatever is shown of ignored lines is as good as nothing.
        logits = logits.masked_fill(counted == 0, NOTHING)
        loss, chosen = mask_loss(
            logits, masks, real, options.matching, options.empty_weight,
            0.0 if middles is None else options.place_weight,
        )  # fmt: skip
        if middles is not None:
            away = middle_loss(middles.float(), masks.float(), chosen, options.masks)
            self.log_dict({"loss_middles": away})
            loss = loss + options.middle_weight * away
        if options.union_weight:
            loss = loss + options.union_weight * union_loss(logits, masks)
        self.log_dict({"loss_masks": loss})
        return expect_finite(loss, options, self.global_step)

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Lay splines through what is found in the frame of a position."""
        pixels, truth = self.frames[int(batch)]
        # As detection does: what training leaves out of crops is another matter.
        lines = lines_in_tiles(
            self.given(pixels), self._shown, Tiling.of(self.options.crop_px, self._multiple),
            LEAST_AREA_PX,
        )  # fmt: skip
        self._found.append(FoundLines.of(lines, truth, true_courses))

    def _shown(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        (logits,) = self.outputs(torch.from_numpy(batch).to(self.device))
        return np.asarray(logits.float().cpu().numpy())

    def on_validation_epoch_end(self) -> None:
        """Log P1's score, by which the best state is chosen, and the threshold of the best F1."""
        best = best_line_threshold(self._found, THRESHOLDS)
        self._found.clear()
        chosen = best.lines
        self.log_dict(
            {"score": chosen.score or 0.0, "threshold": best.threshold, "f1": chosen.f1 or 0.0,
             **best.detection}
        )  # fmt: skip
