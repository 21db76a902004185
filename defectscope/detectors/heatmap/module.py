"""``heatmap`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from defectscope.detectors.heatmap.decoding import decoded
from defectscope.detectors.heatmap.loss import focal_loss, giou_loss
from defectscope.detectors.learning.box_training import LEAST_SCORE, BoxModule
from defectscope.detectors.learning.optimising import expect_finite
from defectscope.detectors.learning.suppression import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HeatmapModule"]


class HeatmapModule(BoxModule):
    """Losses and score of one training.

    Parameters
    ----------
    defect_types
        Names in the order of the output channels.
    given
        What every such module takes.
    """

    most_overlap = 0.35

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

    def decode(self, outputs: list[NDArray[Any]]) -> Found:
        """Return the boxes in what the network answers for a frame."""
        logits, logarithms = outputs
        return decoded(logits, logarithms, LEAST_SCORE)
