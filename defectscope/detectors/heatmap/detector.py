"""``heatmap``: the compact learned detector that needs no torch to predict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from defectscope import Frame, Instances, Options, TrainableDetector, WeightFiles
from defectscope.core.geometry.boxes import clip_boxes
from defectscope.core.weights import find_weights
from defectscope.detectors.heatmap.decoding import Found, decoded, suppressed
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions
from defectscope.detectors.learning.engines import Engine, EngineName, open_engine
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.packages import expect_training_packages, torch_network
from defectscope.detectors.learning.tiles import Tile, padded, tiles_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import TrainingJob
    from defectscope.detectors.heatmap.network import HeatmapNetwork

__all__ = ["Heatmap", "HeatmapOptions"]

NAME = "heatmap"
# The deepest level of any network that can be trained; smaller ones divide it.
MULTIPLE_PX = 32
# Thinner boxes are no defect that could be measured.
LEAST_SIDE_PX = 1.0


class HeatmapOptions(Options):
    """Options of ``heatmap``."""

    weights: str = Field(
        "loops",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    score: float | None = Field(
        None, gt=0, lt=1, description="least score; left out: the threshold of the weights' card"
    )
    overlap: float = Field(
        0.35, gt=0, le=1, description="of two boxes that overlap more (IoU), the better one stays"
    )
    engine: EngineName = Field(
        "onnx", description="what computes: onnx (base install), openvino, or torch"
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


class Heatmap(TrainableDetector):
    """Compact anchor-free network: a map of centres, and four distances to the rim of each box.

    Follows Objects as Points (Zhou et al., 2019) with the side distances of FCOS (Tian et al.,
    2019). The shipped weights ``loops`` were trained on synthetic images alone.
    """

    Options = HeatmapOptions
    TrainingOptions = HeatmapTrainingOptions
    options: HeatmapOptions
    uses_device = True

    def __init__(self, options: Any = None, runtime: Any = None) -> None:
        super().__init__(options, runtime)
        self._engine: Engine | None = None

    @cached_property
    def files(self) -> WeightFiles:
        """The weights that the option names."""
        return WeightFiles.open(find_weights(self.options.weights, self.runtime.weights), NAME)

    @property
    def defect_types(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the card of the weights lists."""
        return self.files.card.defect_types

    def open(self) -> None:
        """Read the weights and prepare the engine."""
        self._engine = open_engine(self.options.engine, self.files, self.runtime, self.network)

    def close(self) -> None:
        """Drop the engine."""
        self._engine = None

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return the boxes of each frame, best score first; frames of one size go together."""
        if self._engine is None:
            self.open()
        found: list[Instances | None] = [None] * len(frames)
        by_shape: dict[tuple[int, int], list[int]] = {}
        for position, frame in enumerate(frames):
            by_shape.setdefault(frame.shape, []).append(position)
        for shape, positions in by_shape.items():
            inputs = [self._input(frames[p]) for p in positions]
            for p, boxes in zip(positions, self._boxes(inputs), strict=True):
                found[p] = self._instances(boxes, shape)
        return [instances for instances in found if instances is not None]

    def _input(self, frame: Frame) -> NDArray[np.float32]:
        values = normalised(frame.pixels)
        if self.options.scale == 1:
            return values
        import cv2

        height, width = self._scaled(frame.shape)
        shrinks = self.options.scale < 1
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(values, (width, height), interpolation=how), np.float32)

    def _scaled(self, shape: tuple[int, int]) -> tuple[int, int]:
        height, width = (max(1, round(side * self.options.scale)) for side in shape)
        return height, width

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
        assert self._engine is not None
        batch = padded([tile.cut(pixels) for pixels in inputs], MULTIPLE_PX)
        logits, logarithms = self._engine(batch)
        found = []
        for k in range(len(inputs)):
            boxes, scores, classes = decoded(logits[k], logarithms[k], self.least_score)
            boxes = boxes + np.array([tile.x_min, tile.y_min] * 2, np.float32)
            x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
            # Where a tile ends inside the frame, its neighbour sees better.
            mine = tile.holds(x, y)
            found.append(Found(boxes[mine], scores[mine], classes[mine]))
        return found

    @property
    def least_score(self) -> float:
        """Score from which a detection counts."""
        given = self.options.score
        return self.files.card.threshold if given is None else given

    def _instances(self, found: Found, shape: tuple[int, int]) -> Instances:
        # Sides are rounded to whole px: the factor is not quite the option.
        ratio = np.divide(self._scaled(shape), shape)[[1, 0, 1, 0]]
        boxes = clip_boxes(found.boxes / ratio, shape)
        fit = np.all(boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE_PX, axis=1)
        names = np.array(self.defect_types)
        return Instances(
            shape, boxes[fit], scores=found.scores[fit], defect_types=names[found.classes[fit]]
        )

    def network(self) -> HeatmapNetwork:
        """Return the torch module with these weights in it.

        Raises
        ------
        MissingPackageError
            torch is not installed.
        FormatError
            The file does not hold this network.
        """

        def load() -> Any:
            from defectscope.detectors.heatmap.network import load_network

            return load_network(self.files)[0]

        network: HeatmapNetwork = torch_network(load)
        return network

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages()
        from defectscope.detectors.heatmap.training import train

        return train(job, self.runtime)
