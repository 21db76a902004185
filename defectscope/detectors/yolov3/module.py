"""``yolov3`` as Lightning trains it.

By Adam and a step of the learning rate, as P2, or a cosine fall.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from defectscope.detectors.learning.box_training import LEAST_SCORE, BoxModule
from defectscope.detectors.learning.optimising import expect_finite
from defectscope.detectors.learning.suppression import Found
from defectscope.detectors.yolov3.architecture import STRIDES
from defectscope.detectors.yolov3.decoding import decoded
from defectscope.detectors.yolov3.loss import YoloLoss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.yolov3.options import YoloTrainingOptions

__all__ = ["YoloModule", "relative_rate"]

LAST_RATE = 0.02


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
        options = self.options
        learned = [p for p in self.network.parameters() if p.requires_grad]
        # Scales and biases are not pulled towards zero.
        groups = [
            {"params": [p for p in learned if p.ndim > 1], "weight_decay": options.weight_decay},
            {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
        ]
        kind = torch.optim.AdamW if options.optimiser == "adamw" else torch.optim.Adam
        optimiser = kind(groups, lr=options.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: relative_rate(step, self.steps, options)
        )
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]


def relative_rate(step: int, steps: int, options: YoloTrainingOptions) -> float:
    """Return the learning rate of a step as a part of the largest."""
    rise = min(1.0, (step + 1) / max(1, options.warm_up_steps))
    done = min(1.0, step / max(1, steps))
    if options.schedule == "step":
        return rise * (1.0 if done < 0.5 else 0.1)
    return rise * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done)))
