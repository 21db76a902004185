"""``unetpp``: P1's network, one mask for each line, up to a fixed number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from defectscope import Frame, Instances, OptionError, WeightFiles
from defectscope.core.line_masks import mask_of_line
from defectscope.detectors.learning.cards import read_architecture
from defectscope.detectors.learning.detector import LearnedDetector, LearnedOptions
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.packages import expect_training_packages
from defectscope.detectors.unetpp.architecture import Architecture
from defectscope.detectors.unetpp.decoding import HALO_PX, LEAST_AREA_PX, Tiling, lines_in_tiles
from defectscope.detectors.unetpp.options import UnetppTrainingOptions
from defectscope.detectors.unetpp.starting import completed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import TrainingJob
    from defectscope.detectors.unetpp.assembling import FoundLine
    from defectscope.detectors.unetpp.network import UnetppNetwork

__all__ = ["Unetpp", "UnetppOptions"]


class UnetppOptions(LearnedOptions):
    """Options of ``unetpp``."""

    weights: str = Field(
        "unetpp-lines",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    score: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="least mean probability of a mask; left out: the threshold of the weights' "
        "card",
    )
    least_area_px: int = Field(
        LEAST_AREA_PX, ge=1, le=1_000_000, description="smaller masks are dropped, px²"
    )
    tile_px: int | None = Field(
        None, ge=128, le=4096, multiple_of=32,
        description="frames with a longer side are cut into overlapping tiles of this side, px: "
        "each has all masks for itself; left out: the side that the weights learned from",
    )  # fmt: skip
    halo_px: int = Field(
        HALO_PX, ge=32, le=1024,
        description="what neighbouring tiles share at least, px; no more than half a tile",
    )  # fmt: skip


class Unetpp(LearnedDetector):
    """U-Net++ with N output masks, one for each dislocation (P1: Govind et al.).

    Masks are cut at a probability of 0.5; empty, tiny and repeated ones are dropped (Dice loss
    below 0.5), and Lee's skeleton of each is taken apart into its branches. Frames larger than a
    tile are looked at in tiles, each with N masks of its own. Pieces of all masks of all tiles that
    repeat or continue each other are one line, through which a spline is laid.
    """

    Options = UnetppOptions
    TrainingOptions = UnetppTrainingOptions
    options: UnetppOptions
    name = "unetpp"

    @cached_property
    def architecture(self) -> Architecture:
        """What the card of the weights says of the network.

        Raises
        ------
        FormatError
            It describes no such network.
        """
        return read_architecture(self.files, Architecture)

    @cached_property
    def tiling(self) -> Tiling:
        """How frames are cut.

        Raises
        ------
        OptionError
            The network cannot work on tiles of the side that was asked for.
        """
        known, tile_px = self.architecture, self.options.tile_px
        if tile_px and tile_px % known.multiple_px:
            raise OptionError(
                f"tile_px must be a multiple of {known.multiple_px} for these weights, and is "
                f"{tile_px}"
            )
        if tile_px and known.places and tile_px > known.tile_px:
            raise OptionError(
                f"tile_px is {tile_px}, but the outputs of these weights have places in tiles of "
                f"{known.tile_px} px and see nothing beyond; give {known.tile_px} or less"
            )
        return Tiling.of(tile_px or known.tile_px, known.multiple_px, self.options.halo_px)

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return masks and splines of each frame, best score first."""
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Instances:
        found = lines_in_tiles(
            normalised(frame.pixels), lambda batch: self.engine(batch)[0],
            self.tiling, self.options.least_area_px,
        )  # fmt: skip
        kept = [f for f in found if f.score >= self.least_score]
        return self._instances(sorted(kept, key=lambda f: -f.score), frame.shape)

    def _instances(self, found: list[FoundLine], shape: tuple[int, int]) -> Instances:
        limits = np.array([shape[1], shape[0]], float)
        lines: list[NDArray[np.float64]] = [np.clip(line.points, 0, limits) for line in found]
        masks = [
            mask_of_line(points, max(1, round(line.width_px))).clipped(shape)
            for points, line in zip(lines, found, strict=True)
        ]
        return Instances(
            shape,
            [mask.box for mask in masks],
            scores=[line.score for line in found],
            defect_types=self.defect_types[0] if found else None,
            masks=masks,
            lines=lines,
        )

    def load_network(self) -> UnetppNetwork:
        """Return the torch module with these weights in it."""
        from defectscope.detectors.learning.networks import with_weights
        from defectscope.detectors.unetpp.network import UnetppNetwork

        return with_weights(self.files, Architecture, UnetppNetwork)[0]

    def before_training(self, job: TrainingJob) -> WeightFiles | None:
        """Return the weights of a training that is complete; refuse what cannot work."""
        return super().before_training(completed(job))

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages(("segmentation_models_pytorch",))
        from defectscope.detectors.unetpp.training import train

        return train(job, self.runtime)
