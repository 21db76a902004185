"""``heatmap``: the compact learned detector that needs no torch to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from defectscope import Frame, Instances, WeightFiles
from defectscope.core.geometry.boxes import clip_boxes
from defectscope.detectors.heatmap.decoding import decoded
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions
from defectscope.detectors.learning.detector import (
    LearnedDetector,
    LearnedOptions,
    scaled_input,
    scaled_shape,
)
from defectscope.detectors.learning.packages import expect_training_packages
from defectscope.detectors.learning.suppression import Found, suppressed
from defectscope.detectors.learning.tiles import Tile, padded, tiles_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import TrainingJob
    from defectscope.detectors.heatmap.network import HeatmapNetwork

__all__ = ["Heatmap", "HeatmapOptions"]

# The deepest level of any network that can be trained; smaller ones divide it.
MULTIPLE_PX = 32
# Thinner boxes are no defect that could be measured.
LEAST_SIDE_PX = 1.0


class HeatmapOptions(LearnedOptions):
    """Options of ``heatmap``."""

    weights: str = Field(
        "loops",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    overlap: float = Field(
        0.35, gt=0, le=1, description="of two boxes that overlap more (IoU), the better one stays"
    )
    scale: float = Field(
        1.0,
        ge=0.1,
        le=8,
        description="frames are enlarged by this first; loops of 8 to 50 px are what shipped "
        "weights know, so smaller ones need more",
    )
    tile_px: int = Field(
        2048, ge=128, le=8192, multiple_of=32,
        description="frames with a longer side are cut into overlapping tiles of this side, px",
    )  # fmt: skip
    tile_overlap_px: int = Field(
        128, ge=32, le=1024, description="what neighbouring tiles share, px"
    )

    @model_validator(mode="after")
    def _tiles_advance(self) -> HeatmapOptions:
        if self.tile_overlap_px >= self.tile_px // 2 + 1:
            raise ValueError("tile_overlap_px must be at most half of tile_px")
        return self


class Heatmap(LearnedDetector):
    """Compact anchor-free network: a map of centres, and four distances to the rim of each box.

    Follows Objects as Points (Zhou et al., 2019) with the side distances of FCOS (Tian et al.,
    2019). The shipped weights ``loops`` were trained on synthetic images alone.
    """

    Options = HeatmapOptions
    TrainingOptions = HeatmapTrainingOptions
    options: HeatmapOptions
    name = "heatmap"

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return the boxes of each frame, best score first; frames of one size go together."""
        found: list[Instances | None] = [None] * len(frames)
        by_shape: dict[tuple[int, int], list[int]] = {}
        for position, frame in enumerate(frames):
            by_shape.setdefault(frame.shape, []).append(position)
        for shape, positions in by_shape.items():
            inputs = [scaled_input(frames[p], self.options.scale) for p in positions]
            for p, boxes in zip(positions, self._boxes(inputs), strict=True):
                found[p] = self._instances(boxes, shape)
        return [instances for instances in found if instances is not None]

    def _boxes(self, inputs: list[NDArray[np.float32]]) -> list[Found]:
        """Return what was found in (H, W) inputs of one size, in px of the inputs."""
        options = self.options
        parts: list[list[Found]] = [[] for _ in inputs]
        shape = inputs[0].shape[0], inputs[0].shape[1]
        for tile in tiles_of(shape, options.tile_px, options.tile_overlap_px, MULTIPLE_PX):
            for part, found in zip(parts, self._tile(inputs, tile), strict=True):
                part.append(found)
        return [
            suppressed(Found(*(np.concatenate(column) for column in zip(*part, strict=True))),
                       options.overlap)
            for part in parts
        ]  # fmt: skip

    def _tile(self, inputs: list[NDArray[np.float32]], tile: Tile) -> list[Found]:
        batch = padded([tile.cut(pixels) for pixels in inputs], MULTIPLE_PX)
        logits, logarithms = self.engine(batch)
        found = []
        for k in range(len(inputs)):
            boxes, scores, classes = decoded(logits[k], logarithms[k], self.least_score)
            boxes = boxes + np.array([tile.x_min, tile.y_min] * 2, np.float32)
            x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
            # Where a tile ends inside the frame, its neighbour sees better.
            mine = tile.holds(x, y)
            found.append(Found(boxes[mine], scores[mine], classes[mine]))
        return found

    def _instances(self, found: Found, shape: tuple[int, int]) -> Instances:
        # Sides are rounded to whole px: the factor is not quite the option.
        ratio = np.divide(scaled_shape(shape, self.options.scale), shape)[[1, 0, 1, 0]]
        boxes = clip_boxes(found.boxes / ratio, shape)
        fit = np.all(boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE_PX, axis=1)
        names = np.array(self.defect_types)
        return Instances(
            shape, boxes[fit], scores=found.scores[fit], defect_types=names[found.classes[fit]]
        )

    def load_network(self) -> HeatmapNetwork:
        """Return the torch module with these weights in it."""
        from defectscope.detectors.heatmap.network import load_network

        return load_network(self.files)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages()
        from defectscope.detectors.heatmap.training import train

        return train(job, self.runtime)
