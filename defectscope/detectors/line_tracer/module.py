"""``line-tracer`` as Lightning trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.optimising import adamw_with_cosine, expect_finite
from defectscope.detectors.learning.tiles import padded
from defectscope.detectors.line_tracer.loss import offset_loss, soft_focal_loss
from defectscope.detectors.line_tracer.scoring import best_line_threshold
from defectscope.detectors.line_tracer.tracing import TracedLine, TracingRules, tokens_of, traced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from defectscope import Instances
    from defectscope.detectors.line_tracer.network import LineNetwork
    from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions

__all__ = ["LineModule"]

# Ends count less than lines: they are few, and only help.
ENDS_WEIGHT = 0.2


class LineModule(LightningModule):
    """Losses, optimiser and score of one training.

    Parameters
    ----------
    network
        What is trained.
    options
        Learning rates and what is frozen.
    steps
        Optimiser steps in all.
    multiple_px
        Sides of frames are padded to multiples of this.
    frames
        Pixels and truth for validation, by position.
    """

    def __init__(
        self,
        network: LineNetwork,
        options: LineTracerTrainingOptions,
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
        self._found: list[tuple[list[TracedLine], list[NDArray[np.float64]]]] = []

    def train(self, mode: bool = True) -> LineModule:
        """Keep the statistics of frozen layers as they are."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the sum of the losses of presence, offsets and ends.

        Raises
        ------
        OptionError
            It is no number any more.
        """
        pixels = batch["pixels"].contiguous(memory_format=torch.channels_last)
        logits, offsets, ends = self.network(pixels)
        wanted, counted = batch["presence"], batch["counted"]
        lines = soft_focal_loss(logits.float(), wanted, counted)
        places = offset_loss(offsets.float(), batch["offsets"], wanted * counted)
        tips = soft_focal_loss(ends.float(), batch["ends"], counted)
        self.log_dict({"loss_lines": lines, "loss_offsets": places, "loss_ends": tips})
        return expect_finite(lines + places + ENDS_WEIGHT * tips, self.options, self.global_step)

    def validation_step(self, batch: Tensor, _: int) -> None:
        """Trace the frame of a position, and keep what was found beside the truth."""
        pixels, truth = self._frames[int(batch)]
        values = padded([normalised(pixels)], self._multiple)
        given = torch.from_numpy(values).to(self.device)
        outputs = self.network(given.contiguous(memory_format=torch.channels_last))
        logits, offsets = (out[0].float().cpu().numpy() for out in outputs[:2])
        shape, rules = (pixels.shape[0], pixels.shape[1]), TracingRules()
        found = traced(tokens_of(logits, offsets, rules), logits.max(axis=0), shape, rules)
        true = [truth.lines[k] for k in np.flatnonzero(~truth.ignore)] if truth.lines else []
        self._found.append((found, true))

    def on_validation_epoch_end(self) -> None:
        """Log the mean of P1's score and F1 at the best threshold."""
        best = best_line_threshold(self._found)
        self._found.clear()
        scores = {
            "score": best.score,
            "threshold": best.threshold,
            "f1": best.lines.f1 or 0.0,
            "spline_score": best.lines.score or 0.0,
            "precision": best.lines.precision or 0.0,
        }
        self.log_dict(scores)

    def configure_optimizers(self) -> Any:
        """Return AdamW with a rise and a cosine fall of the learning rate."""
        return adamw_with_cosine(self.network, self.options, self.steps)
