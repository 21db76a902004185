"""``faster-rcnn``: P3's detector; needs no torch to predict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from defectscope import Frame, Instances, WeightFiles
from defectscope.core.errors import OptionError
from defectscope.core.geometry.boxes import clip_boxes
from defectscope.detectors.faster_rcnn.architecture import Architecture, read_architecture
from defectscope.detectors.faster_rcnn.decoding import MOST_OVERLAP, decoded
from defectscope.detectors.faster_rcnn.inputs import channels_of
from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
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

__all__ = ["FasterRcnn", "FasterRcnnOptions"]

MULTIPLE_PX = 32
# Thinner boxes are no defect that could be measured.
LEAST_SIDE_PX = 1.0


class FasterRcnnOptions(LearnedOptions):
    """Options of ``faster-rcnn``."""

    weights: str = Field(
        "faster-rcnn-loops",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    overlap: float = Field(
        MOST_OVERLAP,
        gt=0,
        le=1,
        description="of two boxes that overlap more (IoU), the better one stays",
    )
    scale: float = Field(
        1.0,
        ge=0.1,
        le=8,
        description="frames are enlarged by this first, so that defects have the sizes that the "
        "weights know; nothing else changes a frame's size",
    )
    tile_px: int = Field(
        2048, ge=128, le=8192, multiple_of=32,
        description="frames with a longer side are cut into overlapping tiles of this side, px",
    )  # fmt: skip
    tile_overlap_px: int = Field(
        128, ge=32, le=1024, description="what neighbouring tiles share, px"
    )

    @model_validator(mode="after")
    def _tiles_advance(self) -> FasterRcnnOptions:
        if self.tile_overlap_px > self.tile_px // 2:
            raise ValueError("tile_overlap_px must be at most half of tile_px")
        return self


class FasterRcnn(LearnedDetector):
    """Faster R-CNN of torchvision (Ren et al., 2015), as P3 (Shen et al.) uses it.

    Backbones are VGG-16 (P3), ResNet-50 and MobileNetV3 with a feature pyramid; anchors come from
    the boxes that it was trained on. A frame may hold any number of defects.
    """

    Options = FasterRcnnOptions
    TrainingOptions = FasterRcnnTrainingOptions
    options: FasterRcnnOptions
    name = "faster-rcnn"
    architecture_type: ClassVar[type[Architecture]] = Architecture

    @cached_property
    def files(self) -> WeightFiles:
        """The weights that the option names."""
        if not self.options.weights:
            raise OptionError(
                f"{self.name} needs weights; train some with 'defectscope train {self.name}', and "
                f"name them with --set {self.name}.weights=FILE.safetensors"
            )
        return super().files

    @cached_property
    def architecture(self) -> Architecture:
        """What the card says of the network."""
        return read_architecture(self.files, self.architecture_type)

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return the boxes of each frame, best score first."""
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Instances:
        options = self.options
        values = channels_of(scaled_input(frame, options.scale), self.architecture.inputs)
        planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(np.atleast_3d(values), 2, 0)]
        shape = planes[0].shape[0], planes[0].shape[1]
        tiles = tiles_of(shape, options.tile_px, options.tile_overlap_px, MULTIPLE_PX)
        parts = [self._tile(planes, tile) for tile in tiles]
        found = Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return self._instances(suppressed(found, options.overlap), frame.shape)

    def _tile(self, planes: list[NDArray[np.float32]], tile: Tile) -> Found:
        batch = np.concatenate([padded([tile.cut(p)], MULTIPLE_PX) for p in planes], axis=1)
        proposals, logits, deltas = self.engine(batch)
        boxes, scores, classes = decoded(proposals, logits, deltas, self.least_score)
        boxes = boxes + np.array([tile.x_min, tile.y_min] * 2, np.float32)
        x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
        # Where a tile ends inside the frame, its neighbour sees better.
        mine = tile.holds(x, y)
        return Found(boxes[mine], scores[mine], classes[mine])

    def _instances(self, found: Found, shape: tuple[int, int]) -> Instances:
        # Sides are rounded to whole px: the factor is not quite the option.
        ratio = np.divide(scaled_shape(shape, self.options.scale), shape)[[1, 0, 1, 0]]
        boxes = clip_boxes(found.boxes / ratio, shape)
        fit = np.all(boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE_PX, axis=1)
        names = np.array(self.defect_types)
        return Instances(
            shape, boxes[fit], scores=found.scores[fit], defect_types=names[found.classes[fit]]
        )

    def load_network(self) -> Any:
        """Return the torch module with these weights in it."""
        from defectscope.detectors.faster_rcnn.network import load_network

        return load_network(self.files)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages(("torchvision",))
        from defectscope.detectors.faster_rcnn.training import train

        return train(job, self.runtime)
