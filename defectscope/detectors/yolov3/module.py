"""``yolov3`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from defectscope.detectors.learning.box_training import LEAST_SCORE, BoxModule
from defectscope.detectors.learning.optimising import expect_finite
from defectscope.detectors.learning.suppression import Found
from defectscope.detectors.yolov3.architecture import STRIDES
from defectscope.detectors.yolov3.decoding import decoded
from defectscope.detectors.yolov3.loss import YoloLoss
from defectscope.detectors.yolov3.optimising import optimiser_and_schedule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.yolov3.options import YoloTrainingOptions

__all__ = ["YoloModule"]


class YoloModule(BoxModule):
    """Losses and score of one training.

    Parameters
    ----------
    defect_types
        Names in the order of the outputs.
    given
        What every such module takes.
    """

    options: YoloTrainingOptions
    # P2's overlap for non-maximum suppression.
    most_overlap = 0.45

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._loss: YoloLoss | None = None

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of boxes, types and distances.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        if self._loss is None:
            # Not before the network is on its device.
            self._loss = YoloLoss(self.network)
        losses = self._loss(self.outputs(batch["pixels"]), batch["boxes"], batch["ignored"])
        self.log_dict(losses)
        return expect_finite(sum(losses.values(), torch.tensor(0.0, device=self.device)),
                             self.options, self.global_step)  # fmt: skip

    def decode(self, outputs: list[NDArray[Any]]) -> Found:
        """Return the boxes in what the network answers for a frame."""
        return decoded(outputs, STRIDES[self.network.architecture.variant], LEAST_SCORE)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and the course of its learning rate."""
        return optimiser_and_schedule(self.network, self.options, self.steps)
