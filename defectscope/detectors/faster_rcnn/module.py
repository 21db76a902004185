"""Faster R-CNN as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from defectscope.detectors.faster_rcnn.crops import targets_in
from defectscope.detectors.faster_rcnn.decoding import MOST_OVERLAP, decoded
from defectscope.detectors.faster_rcnn.inputs import channels_of
from defectscope.detectors.learning.box_training import LEAST_SCORE, BoxModule
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.optimising import expect_finite, sgd_with_steps
from defectscope.detectors.learning.suppression import Found
from defectscope.detectors.learning.tiles import padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.faster_rcnn.architecture import InputName

__all__ = ["FasterRcnnModule"]


class FasterRcnnModule(BoxModule):
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

    most_overlap = MOST_OVERLAP

    def __init__(self, defect_types: tuple[str, ...], inputs: InputName, *given: Any) -> None:
        super().__init__(defect_types, *given)
        self._inputs = inputs

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

    @property
    def enlarge(self) -> float:
        """By how much frames are enlarged: the network takes them as they are."""
        return 1.0

    def decode(self, outputs: list[NDArray[Any]]) -> Found:
        """Return the boxes in what the network answers for a frame."""
        proposals, logits, deltas = outputs
        return decoded(proposals, logits, deltas, LEAST_SCORE)

    def answers(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        """Return proposals, logits and corrections of a whole frame."""
        planes = np.atleast_3d(channels_of(normalised(pixels), self._inputs))
        given = torch.from_numpy(
            np.concatenate([padded([plane], self._multiple) for plane in planes.transpose(2, 0, 1)],
                           axis=1)
        ).to(self.device)  # fmt: skip
        return [out.float().cpu().numpy() for out in self.outputs(given)]

    def configure_optimizers(self) -> Any:
        """Return AdamW with a cosine, or P3's SGD with steps."""
        options: Any = self.options
        if options.optimiser == "sgd":
            return sgd_with_steps(
                self.network, options, momentum=options.momentum, every=options.decay_every
            )
        return super().configure_optimizers()
