"""``unetpp``: P1's network, one mask for each line, up to a fixed number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from defectscope import Frame, Instances, WeightFiles
from defectscope.core.errors import OptionError
from defectscope.detectors.learning.cards import read_architecture
from defectscope.detectors.learning.detector import LearnedDetector, LearnedOptions
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.packages import expect_training_packages
from defectscope.detectors.learning.tiles import padded, tiles_of
from defectscope.detectors.unetpp.architecture import Architecture
from defectscope.detectors.unetpp.decoding import FoundMask, joined_tiles, masks_of, spline_of
from defectscope.detectors.unetpp.options import UnetppTrainingOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import TrainingJob
    from defectscope.detectors.unetpp.network import UnetppNetwork

__all__ = ["Unetpp", "UnetppOptions"]


class UnetppOptions(LearnedOptions):
    """Options of ``unetpp``."""

    weights: str = Field(
        "",
        description="a registered name ('defectscope weights list'), or a .safetensors path, which "
        "must be given: none is shipped",
    )
    score: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="least mean probability of a mask; left out: the threshold of the weights' "
        "card",
    )
    least_area_px: int = Field(20, ge=1, le=1_000_000, description="smaller masks are dropped, px²")
    tile_px: int = Field(
        512, ge=128, le=4096, multiple_of=32,
        description="frames with a longer side are cut into overlapping tiles of this side, px: "
        "each has all masks for itself",
    )  # fmt: skip
    halo_px: int = Field(96, ge=32, le=1024, description="what neighbouring tiles share, px")

    @model_validator(mode="after")
    def _tiles_advance(self) -> UnetppOptions:
        if self.halo_px > self.tile_px // 2:
            raise ValueError("halo_px must be at most half of tile_px")
        return self


class Unetpp(LearnedDetector):
    """U-Net++ with N output masks, one for each dislocation (P1: Govind et al.).

    Masks are cut at a probability of 0.5; empty, tiny and repeated ones are dropped (Dice loss
    below 0.5), and a spline is laid through the Lee skeleton of each. Frames larger than a tile
    are looked at in tiles, each with N masks of its own; masks that agree in the halo of two tiles
    are one line.
    """

    Options = UnetppOptions
    TrainingOptions = UnetppTrainingOptions
    options: UnetppOptions
    name = "unetpp"

    @cached_property
    def files(self) -> WeightFiles:
        """The weights that the option names."""
        if not self.options.weights:
            raise OptionError(
                "unetpp comes without weights; train some with 'defectscope train unetpp', and "
                "name them with --set unetpp.weights=FILE.safetensors"
            )
        return super().files

    @cached_property
    def architecture(self) -> Architecture:
        """What the card of the weights says of the network.

        Raises
        ------
        FormatError
            It describes no such network.
        """
        return read_architecture(self.files, Architecture)

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return masks and splines of each frame, best score first."""
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Instances:
        options, shape, multiple = self.options, frame.shape, self.architecture.multiple_px
        values = normalised(frame.pixels)
        parts = []
        for tile in tiles_of(shape, options.tile_px, options.halo_px, multiple):
            window = tile.cut(values)
            (logits,) = self.engine(padded([window], multiple))
            planes = logits[0][:, : window.shape[0], : window.shape[1]]
            parts.append((tile, masks_of(planes, options.least_area_px)))
        found = joined_tiles(parts, options.least_area_px)
        kept = [f for f in found if f.score >= self.least_score]
        return self._instances(sorted(kept, key=lambda f: -f.score), shape)

    def _instances(self, found: list[FoundMask], shape: tuple[int, int]) -> Instances:
        limits = np.array([shape[1], shape[0]], float)
        lines: list[NDArray[np.float64]] = [np.clip(spline_of(f.mask), 0, limits) for f in found]
        return Instances(
            shape,
            [f.mask.box for f in found],
            scores=[f.score for f in found],
            defect_types=self.defect_types[0] if found else None,
            masks=[f.mask for f in found],
            lines=lines,
        )

    def load_network(self) -> UnetppNetwork:
        """Return the torch module with these weights in it."""
        from defectscope.detectors.unetpp.network import load_network

        return load_network(self.files)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages(("segmentation_models_pytorch",))
        from defectscope.detectors.unetpp.training import train

        return train(job, self.runtime)
