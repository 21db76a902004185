"""``heatmap`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from defectscope.detectors.heatmap.decoding import decoded, suppressed
from defectscope.detectors.heatmap.loss import focal_loss, giou_loss
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.optimising import adamw_with_cosine, expect_finite
from defectscope.detectors.learning.scoring import Scored, best_threshold
from defectscope.detectors.learning.tiles import padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from defectscope import Instances
    from defectscope.detectors.heatmap.network import HeatmapNetwork
    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions

__all__ = ["HeatmapModule"]

LEAST_SCORE = 0.1
MOST_OVERLAP = 0.35


class HeatmapModule(LightningModule):
    """Losses, optimiser and score of one training.

    Parameters
    ----------
    network
        What is trained.
    options
        Learning rates and what is frozen.
    steps
        Optimiser steps in all.
    defect_types
        Names in the order of the output channels.
    multiple_px
        Sides of frames are padded to multiples of this.
    frames
        Pixels and truth for validation, by position.
    """

    def __init__(
        self,
        network: HeatmapNetwork,
        options: HeatmapTrainingOptions,
        steps: int,
        defect_types: tuple[str, ...],
        multiple_px: int,
        frames: Sequence[tuple[NDArray[Any], Instances]],
    ) -> None:
        super().__init__()
        self.network, self.options, self.steps = network, options, steps
        self._types, self._multiple = defect_types, multiple_px
        self._frozen = [] if options.freeze == "none" else network.part(options.freeze)
        for module in self._frozen:
            # Lightning takes modules as they are, and calls `train` only after a validation.
            module.requires_grad_(False).eval()
        self._frames, self._scored = frames, list[Scored]()

    def train(self, mode: bool = True) -> HeatmapModule:
        """Keep the statistics of frozen layers as they are."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of centres and boxes.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        pixels = batch["pixels"].contiguous(memory_format=torch.channels_last)
        logits, logarithms = self.network(pixels)
        centres = focal_loss(logits.float(), batch["centres"], batch["counted"])
        boxes = giou_loss(logarithms.float(), batch["sides"], batch["weights"])
        self.log_dict({"loss_centres": centres, "loss_boxes": boxes})
        return expect_finite(centres + boxes, self.options, self.global_step)

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Find what is in the frame of a position, and keep it beside the truth."""
        pixels, truth = self._frames[int(batch)]
        values = padded([normalised(pixels)], self._multiple)
        given = torch.from_numpy(values).to(self.device)
        logits, logarithms = self.network(given.contiguous(memory_format=torch.channels_last))
        found = decoded(
            logits[0].float().cpu().numpy(), logarithms[0].float().cpu().numpy(), LEAST_SCORE
        )
        known = {name: k for k, name in enumerate(self._types)}
        kinds = np.array([known.get(str(t), -1) for t in truth.defect_types], np.intp)
        kept = suppressed(found, MOST_OVERLAP)
        self._scored.append(Scored(*kept, truth.boxes, kinds, truth.ignore))

    def on_validation_epoch_end(self) -> None:
        """Log the best mean F1 and its threshold."""
        best = best_threshold(self._scored)
        self._scored.clear()
        self.log_dict({"score": best.score, "threshold": best.threshold, "f1": best.f1})

    def configure_optimizers(self) -> Any:
        """Return AdamW with a rise and a cosine fall of the learning rate."""
        return adamw_with_cosine(self.network, self.options, self.steps)
