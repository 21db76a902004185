"""Faster R-CNN as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from defectscope.detectors.faster_rcnn.crops import targets_in
from defectscope.detectors.faster_rcnn.decoding import MOST_OVERLAP, decoded
from defectscope.detectors.faster_rcnn.inputs import channels_of
from defectscope.detectors.learning.module import LearningModule
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.optimising import expect_finite, sgd_with_steps
from defectscope.detectors.learning.scoring import Scored, best_threshold
from defectscope.detectors.learning.suppression import suppressed
from defectscope.detectors.learning.tiles import padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.faster_rcnn.architecture import InputName

__all__ = ["FasterRcnnModule"]

LEAST_SCORE = 0.1


class FasterRcnnModule(LearningModule):
    """Losses and score of one training.

    Parameters
    ----------
    defect_types
        Names in the order of the classes.
    inputs
        Channels of the input.
    given
        What every such module takes.
    """

    def __init__(self, defect_types: tuple[str, ...], inputs: InputName, *given: Any) -> None:
        super().__init__(*given)
        self._types, self._inputs, self._scored = defect_types, inputs, list[Scored]()

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of proposals and of their classes and boxes.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        torch.manual_seed(int(batch["seed"][0]))
        pixels = batch["pixels"].contiguous(memory_format=torch.channels_last)
        losses = self.network.losses(pixels, targets_in(batch))
        self.log_dict(losses)
        return expect_finite(torch.stack(list(losses.values())).sum(), self.options,
                             self.global_step)  # fmt: skip

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Find what is in the frame of a position, and keep it beside the truth."""
        pixels, truth = self.frames[int(batch)]
        proposals, logits, deltas = self.answers(pixels)
        found = suppressed(decoded(proposals, logits, deltas, LEAST_SCORE), MOST_OVERLAP)
        known = {name: k for k, name in enumerate(self._types)}
        kinds = np.array([known.get(str(t), -1) for t in truth.defect_types], np.intp)
        self._scored.append(Scored(*found, truth.boxes, kinds, truth.ignore))

    def answers(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        """Return proposals, logits and corrections of a whole frame."""
        planes = np.atleast_3d(channels_of(normalised(pixels), self._inputs))
        given = torch.from_numpy(
            np.concatenate([padded([plane], self._multiple) for plane in planes.transpose(2, 0, 1)],
                           axis=1)
        ).to(self.device)  # fmt: skip
        return [out.float().cpu().numpy() for out in self.outputs(given)]

    def on_validation_epoch_end(self) -> None:
        """Log the best mean F1 and its threshold."""
        best = best_threshold(self._scored)
        self._scored.clear()
        self.log_dict(best.logged)

    def configure_optimizers(self) -> Any:
        """Return AdamW with a cosine, or P3's SGD with steps."""
        options: Any = self.options
        if options.optimiser == "sgd":
            return sgd_with_steps(
                self.network, options, momentum=options.momentum, every=options.decay_every
            )
        return super().configure_optimizers()
