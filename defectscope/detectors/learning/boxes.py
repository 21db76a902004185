"""What detectors of boxes have alike: tiles, suppression, and the way back to the frame's px."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field, model_validator

from defectscope import Frame, Instances
from defectscope.detectors.learning.calming import calmed
from defectscope.detectors.learning.captions import in_captions
from defectscope.detectors.learning.cards import read_architecture
from defectscope.detectors.learning.detector import LearnedDetector, LearnedOptions
from defectscope.detectors.learning.rims import counted, settled
from defectscope.detectors.learning.suppression import Found
from defectscope.detectors.learning.tiles import padded, tiles_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BoxDetector", "BoxOptions"]


class BoxOptions(LearnedOptions):
    """Options of every detector whose network finds boxes."""

    overlap: float = Field(
        0.35, gt=0, le=1, description="of two boxes that overlap more (IoU), the better one stays"
    )
    scale: float = Field(1.0, ge=0.1, le=8, description="frames are enlarged by this first")
    calm: bool = Field(
        True,
        description="take dead and hot pixels out of frames that have many, and smooth frames that "
        "are noisier than what weights learn from; others stay as they are",
    )
    captions: bool = Field(
        True,
        description="drop what is found in burnt-in captions, whose edges are much sharper than "
        "those of everything else",
    )
    tile_px: int = Field(
        2048, ge=128, le=8192, multiple_of=32,
        description="frames with a longer side are cut into overlapping tiles of this side, px",
    )  # fmt: skip
    tile_overlap_px: int = Field(
        128, ge=32, le=1024, description="what neighbouring tiles share, px"
    )

    @model_validator(mode="after")
    def _tiles_advance(self) -> BoxOptions:
        if self.tile_overlap_px >= self.tile_px // 2 + 1:
            raise ValueError("tile_overlap_px must be at most half of tile_px")
        return self


class BoxDetector(LearnedDetector):
    """A detector whose network finds boxes in frames of any size.

    Attributes
    ----------
    multiple_px
        Sides of the network's input must be multiples of this.
    architecture_type
        What cards of its weights hold under ``architecture``.
    """

    options: BoxOptions
    multiple_px: ClassVar[int] = 32
    architecture_type: ClassVar[type[BaseModel]]

    @cached_property
    def architecture(self) -> Any:
        """What the card of the weights says of the network, an ``architecture_type``.

        Raises
        ------
        FormatError
            It describes another one.
        """
        return read_architecture(self.files, self.architecture_type)

    def open(self) -> None:
        """Read the weights and prepare the engine."""
        assert self.architecture
        super().open()

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return the boxes of each frame, best score first; frames of one size go together."""
        found: list[Instances | None] = [None] * len(frames)
        by_shape: dict[tuple[int, int], list[int]] = {}
        for position, frame in enumerate(frames):
            by_shape.setdefault(frame.shape, []).append(position)
        for shape, positions in by_shape.items():
            calm = [self._calm(frames[p]) for p in positions]
            inputs = [self.network_input(frame) for frame in calm]
            for p, frame, boxes in zip(positions, calm, self._boxes(inputs, shape), strict=True):
                own = self._instances(boxes, shape)
                if self.options.captions:
                    own = own[~in_captions(frame.pixels, own.boxes)]
                found[p] = own
        return [instances for instances in found if instances is not None]

    def network_input(self, frame: Frame) -> NDArray[np.float32]:
        """Return the (H, W) or (channels, H, W) that the network is given for a frame."""
        return np.asarray(self.architecture.given(frame.pixels, self.options.scale))

    @abstractmethod
    def decode(self, outputs: list[NDArray[np.float32]]) -> Found:
        """Return the boxes in the outputs for one input, px of the input."""

    def answers(self, inputs: list[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
        """Return the outputs for each of some inputs of one size, which go together."""
        outputs = self.engine(padded(inputs, self.multiple_px))
        return [[out[k] for out in outputs] for k in range(len(inputs))]

    def _calm(self, frame: Frame) -> Frame:
        if not self.options.calm:
            return frame
        pixels = calmed(frame.pixels)
        return frame if pixels is frame.pixels else replace(frame, pixels=pixels)

    def _boxes(self, inputs: list[NDArray[np.float32]], shape: tuple[int, int]) -> list[Found]:
        """Return what was found in the inputs of frames of one shape, in px of the frames."""
        options = self.options
        parts: list[list[Found]] = [[] for _ in inputs]
        given = inputs[0].shape[-2], inputs[0].shape[-1]
        for tile in tiles_of(given, options.tile_px, options.tile_overlap_px, self.multiple_px):
            answers = self.answers([tile.cut(pixels) for pixels in inputs])
            for part, outputs in zip(parts, answers, strict=True):
                part.append(counted(self.decode(outputs), tile, given))
        return [settled(part, given, shape, options.overlap) for part in parts]

    def _instances(self, found: Found, shape: tuple[int, int]) -> Instances:
        names = np.array(self.defect_types)
        return Instances(shape, found.boxes, scores=found.scores, defect_types=names[found.classes])
