"""``line-tracer``: every dislocation line by itself, without a limit on their number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from defectscope import Frame, Instances, WeightFiles
from defectscope.core.geometry.polylines import polyline_box
from defectscope.detectors.learning.detector import LearnedDetector, LearnedOptions, scaled_input
from defectscope.detectors.learning.packages import expect_training_packages
from defectscope.detectors.learning.tiles import Tile, padded, tiles_of
from defectscope.detectors.line_tracer.joining import JoinRules
from defectscope.detectors.line_tracer.lattice import STRIDE
from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions
from defectscope.detectors.line_tracer.tokens import Tokens
from defectscope.detectors.line_tracer.tracing import TracedLine, TracingRules, tokens_of, traced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import TrainingJob
    from defectscope.detectors.line_tracer.network import LineNetwork

__all__ = ["LineTracer", "LineTracerOptions"]

# The deepest level of any network that can be trained; smaller ones divide it.
MULTIPLE_PX = 128
# Logit where no tile has looked, as good as impossible.
NOTHING = np.float32(-20)


class LineTracerOptions(LearnedOptions):
    """Options of ``line-tracer``."""

    weights: str = Field(
        "lines",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    score: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="least mean probability along a line; left out: the threshold of the weights' "
        "card",
    )
    least_token: float = Field(
        0.3, gt=0.05, lt=1, description="least probability of a place on a line"
    )
    shortest_px: float = Field(10.0, ge=2, le=10_000, description="shorter lines are left out, px")
    gap_px: float = Field(
        28.0, ge=0, le=200, description="largest gap that is closed where something is seen in it"
    )
    smoothing_px: float = Field(
        14.0, ge=0, le=500, description="bends of a line shorter than this are taken for noise, px"
    )
    scale: float = Field(
        1.0, ge=0.1, le=8,
        description="frames are enlarged by this first; lines 2 to 9 px wide are what shipped "
        "weights know",
    )  # fmt: skip
    tile_px: int = Field(
        1024, ge=256, le=8192, multiple_of=128,
        description="frames with a longer side are cut into overlapping tiles of this side, px",
    )  # fmt: skip
    halo_px: int = Field(128, ge=32, le=1024, description="what neighbouring tiles share, px")

    @model_validator(mode="after")
    def _tiles_advance(self) -> LineTracerOptions:
        if self.halo_px > self.tile_px // 2:
            raise ValueError("halo_px must be at most half of tile_px")
        return self


class LineTracer(LearnedDetector):
    """Dense orientation channels, whose places are followed in (x, y, θ) to lines.

    What P1's network (Govind et al.) cannot do, with its fixed number of masks: any number of
    lines, none of them twice, in frames of any size. Lines cross without mixing, because in
    (x, y, θ) they do not meet. Tiles share one lattice of cells, and lines are followed after they
    have been put together, so that a line across tiles comes out as one.
    """

    Options = LineTracerOptions
    TrainingOptions = LineTracerTrainingOptions
    options: LineTracerOptions
    name = "line-tracer"

    @cached_property
    def rules(self) -> TracingRules:
        """What is taken for a line, in px of the input."""
        options = self.options
        return TracingRules(
            least_token=options.least_token,
            shortest_px=options.shortest_px * options.scale,
            least_score=self.least_score,
            wavelength_px=options.smoothing_px * options.scale,
            joins=JoinRules(gap_px=options.gap_px * options.scale),
        )

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return the lines of each frame, the longest first."""
        return [self._one(frame) for frame in frames]

    def _one(self, frame: Frame) -> Instances:
        values = scaled_input(frame, self.options.scale)
        shape = values.shape[0], values.shape[1]
        tokens, presence, ends = self._seen(values)
        lines = traced(tokens, presence, shape, self.rules, ends)
        return self._instances(lines, frame.shape, shape)

    def _seen(
        self, values: NDArray[np.float32]
    ) -> tuple[Tokens, NDArray[np.float32], NDArray[np.float32]]:
        """Return the tokens of a whole input, and two logits of each of its cells.

        They are the largest over all orientations that a line passes, and that a line ends.
        """
        shape = values.shape[0], values.shape[1]
        cells = tuple(-(-side // STRIDE) for side in shape)
        presence, ends = (np.full(cells, NOTHING, np.float32) for _ in range(2))
        tiles = tiles_of(shape, self.options.tile_px, self.options.halo_px, MULTIPLE_PX)
        parts = [self._tile(values, tile, presence, ends) for tile in tiles]
        tokens = Tokens(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return tokens, presence, ends

    def _tile(
        self,
        values: NDArray[np.float32],
        tile: Tile,
        presence: NDArray[np.float32],
        ends: NDArray[np.float32],
    ) -> Tokens:
        """Return the tokens of a tile's core, and fill in its part of `presence` and `ends`."""
        answers = self.engine(padded([tile.cut(values)], MULTIPLE_PX, "reflect"))
        logits, offsets, tips = (out[0] for out in answers)
        x0, y0, x1, y1 = tile.core
        # Cells whose centre lies in the core: where tiles overlap, each cell is one tile's.
        left, top = x0 // STRIDE, y0 // STRIDE
        right, bottom = -(-x1 // STRIDE), -(-y1 // STRIDE)
        column, row = left - tile.x_min // STRIDE, top - tile.y_min // STRIDE
        place = np.s_[:, row : row + bottom - top, column : column + right - left]
        logits, offsets = logits[place], offsets[place]
        presence[top:bottom, left:right] = logits.max(axis=0)
        ends[top:bottom, left:right] = tips[place][0]
        tokens = tokens_of(logits, offsets, self.rules)
        return tokens._replace(points=tokens.points + np.array([left, top]) * STRIDE)

    def _instances(
        self, lines: list[TracedLine], shape: tuple[int, int], given: tuple[int, int]
    ) -> Instances:
        # Sides are rounded to whole px: the factor is not quite the option.
        ratio = np.divide(given, shape)[::-1]
        points = [np.clip(line.points / ratio, 0, shape[::-1]) for line in lines]
        return Instances(
            shape,
            [polyline_box(p) for p in points],
            scores=[line.score for line in lines],
            defect_types=self.defect_types[0] if lines else None,
            lines=points,
        )

    def load_network(self) -> LineNetwork:
        """Return the torch module with these weights in it."""
        from defectscope.detectors.learning.networks import with_weights
        from defectscope.detectors.line_tracer.network import Architecture, LineNetwork

        return with_weights(self.files, Architecture, LineNetwork)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages()
        from defectscope.detectors.line_tracer.training import train

        return train(job, self.runtime)
