"""What the networks here have alike as Lightning trains them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from lightning.pytorch import LightningModule

from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.optimising import adamw_with_cosine
from defectscope.detectors.learning.tiles import padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from defectscope import Instances
    from defectscope.detectors.learning.options import LearningOptions

__all__ = ["LearningModule", "true_lines"]


class LearningModule(LightningModule):
    """Network, optimiser, and what is frozen, of one training.

    Parameters
    ----------
    network
        What is trained; its ``part`` returns the modules that an option freezes.
    options
        Learning rates and what is frozen.
    steps
        Optimiser steps in all.
    multiple_px
        Sides of frames are padded to multiples of this.
    frames
        Pixels and truth for validation, by position.

    Attributes
    ----------
    rim
        How frames are continued to those multiples, see :func:`padded`.
    """

    rim: ClassVar[Literal["edge", "reflect"]] = "edge"

    def __init__(
        self,
        network: Any,
        options: LearningOptions,
        steps: int,
        multiple_px: int,
        frames: Sequence[tuple[NDArray[Any], Instances]],
    ) -> None:
        super().__init__()
        self.network, self.options, self.steps = network, options, steps
        self._multiple, self.frames = multiple_px, frames
        self._frozen = [] if options.freeze == "none" else network.part(options.freeze)
        for module in self._frozen:
            # Lightning takes modules as they are, and calls `train` only after a validation.
            module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Keep the statistics of frozen layers as they are."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def outputs(self, pixels: Tensor) -> Any:
        """Return what the network answers for an (n, 1, H, W) batch."""
        return self.network(pixels.contiguous(memory_format=torch.channels_last))

    def given(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return what the network is given of a whole frame."""
        return normalised(pixels)

    def answers(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        """Return what the network answers for a whole frame, (channels, h, w) each."""
        given = torch.from_numpy(padded([self.given(pixels)], self._multiple, self.rim)).to(
            self.device
        )
        return [out[0].float().cpu().numpy() for out in self.outputs(given)]

    def configure_optimizers(self) -> Any:
        """Return AdamW with a rise and a cosine fall of the learning rate."""
        return adamw_with_cosine(self.network, self.options, self.steps)


def true_lines(truth: Instances, ignored: bool = False) -> list[NDArray[Any]]:
    """Return the centre lines of a truth that are not ignored, or those that are.

    Lines without a length are left out.
    """
    if truth.lines is None:
        return []
    lines = [truth.lines[k] for k in range(len(truth)) if bool(truth.ignore[k]) == ignored]
    return [line for line in lines if len(line) > 1]
