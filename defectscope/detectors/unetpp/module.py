"""``unetpp`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from defectscope.core.line_metrics import LineScores, score_lines
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.optimising import adamw_with_cosine, expect_finite
from defectscope.detectors.learning.tiles import padded
from defectscope.detectors.unetpp.decoding import masks_of, spline_of
from defectscope.detectors.unetpp.loss import mask_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from defectscope import Instances
    from defectscope.detectors.unetpp.network import UnetppNetwork
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

__all__ = ["UnetppModule"]

# The masks themselves are cut at a probability of 0.5 (P1).
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


class UnetppModule(LightningModule):
    """Loss, optimiser and score of one training.

    Parameters
    ----------
    network
        What is trained.
    options
        Loss, learning rates and what is frozen.
    steps
        Optimiser steps in all.
    multiple_px
        Sides of frames are padded to multiples of this.
    frames
        Pixels and truth for validation, by position.
    """

    def __init__(
        self,
        network: UnetppNetwork,
        options: UnetppTrainingOptions,
        steps: int,
        multiple_px: int,
        frames: Sequence[tuple[NDArray[Any], Instances]],
    ) -> None:
        super().__init__()
        self.network, self.options, self.steps = network, options, steps
        self._multiple, self._frames = multiple_px, frames
        self._frozen = [] if options.freeze == "none" else network.part(options.freeze)
        for module in self._frozen:
            # Lightning takes modules as they are, and calls `train` only after a validation.
            module.requires_grad_(False).eval()
        self._found: list[tuple[list[tuple[Any, float]], list[NDArray[np.float64]]]] = []

    def train(self, mode: bool = True) -> UnetppModule:
        """Keep the statistics of frozen layers as they are."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the loss of masks in any order.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        options = self.options
        pixels = batch["pixels"].contiguous(memory_format=torch.channels_last)
        (logits,) = self.network(pixels)
        loss = mask_loss(
            logits.float(), batch["masks"], batch["real"], options.matching, options.empty_weight
        )
        self.log_dict({"loss_masks": loss})
        return expect_finite(loss, options, self.global_step)

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Lay splines through what is found in the frame of a position."""
        pixels, truth = self._frames[int(batch)]
        given = torch.from_numpy(padded([normalised(pixels)], self._multiple)).to(self.device)
        (logits,) = self.network(given.contiguous(memory_format=torch.channels_last))
        height, width = pixels.shape
        planes = logits[0, :, :height, :width].float().cpu().numpy()
        found = [(spline_of(f.mask), f.score) for f in masks_of(planes, self.options.least_area_px)]
        true = [truth.lines[k] for k in np.flatnonzero(~truth.ignore)] if truth.lines else []
        self._found.append((found, true))

    def on_validation_epoch_end(self) -> None:
        """Log P1's score, by which the best state is chosen, and the threshold of the best F1."""
        totals = {}
        for threshold in THRESHOLDS:
            totals[threshold] = sum(
                (
                    score_lines([line for line, score in found if score >= threshold], true)
                    for found, true in self._found
                ),
                LineScores(),
            )
        self._found.clear()
        best = max(THRESHOLDS, key=lambda t: ((totals[t].score or 0) + (totals[t].f1 or 0), -t))
        chosen = totals[best]
        self.log_dict(
            {"score": chosen.score or 0.0, "threshold": best, "f1": chosen.f1 or 0.0,
             "precision": chosen.precision or 0.0}
        )  # fmt: skip

    def configure_optimizers(self) -> Any:
        """Return AdamW with a rise and a cosine fall of the learning rate."""
        return adamw_with_cosine(self.network, self.options, self.steps)
