"""A pile-up of dislocations that glides along its slip plane: sequences of known motion.

The lines run from one slip trace to the other and move along both. The leading line is held more
and more, and those behind come closer (P1: Govind et al., section 6, who measure such a pile-up
in an in-situ video).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from defectscope import Generator, Instances, Options
from defectscope.core.geometry.polylines import polyline_length
from defectscope.generators.line_contrast import LineStyle, local_texture, median_along
from defectscope.generators.line_painting import PaintedPiece, paint_lines
from defectscope.generators.line_paths import spline_paths
from defectscope.generators.pileups import slip_axes
from defectscope.generators.slip_traces import paint_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["MovingDislocations", "MovingDislocationsOptions", "painting_sources"]

DEFECT_TYPE = "dislocation"
UNITS = {"track_id": "", "length_px": "px"}
SUPPORT_POINTS = 5
SHORTEST_PX = 8.0
TRACE_WIDTH_PX = 1.8
# Slip traces go on beyond the pile-up, distances of neighbours.
TRACE_MARGIN = 2.0


class MovingDislocationsOptions(Options):
    """Options of ``moving-dislocations``; lengths are px of a frame of 512 px and scale with it."""

    count: int = Field(7, ge=1, le=200, description="dislocations of the pile-up")
    spacing_px: float = Field(
        34.0, gt=1, le=1000, description="distance of neighbours along the traces at first, px"
    )
    compression: float = Field(
        0.35, ge=0, lt=1, description="part by which this distance shrinks until the last frame"
    )
    speed_px: float = Field(
        1.2, ge=-50, le=50, description="velocity of the leading line along the traces, px a frame"
    )
    slip_width_px: float = Field(
        190.0, gt=10, le=2000, description="distance of the two slip traces, px"
    )
    direction_deg: float = Field(15.0, ge=0, le=180, description="angle of the slip traces, deg")
    bow_low: float = Field(
        0.08, ge=-1, le=1, description="height of the arc of the lines / slip width, first frame"
    )
    bow_high: float = Field(0.16, ge=-1, le=1, description="the same in the last frame")
    contrast_low: float = Field(
        3.0, gt=0, le=100, description="least contrast, standard deviations of the texture around"
    )
    contrast_high: float = Field(5.0, gt=0, le=100, description="largest contrast")
    width_px: float = Field(3.5, ge=1, le=100, description="width of the lines, px, never scaled")
    visible_from: float = Field(
        1.2,
        ge=0,
        le=100,
        description="lines with less contrast, in standard deviations of texture and noise around "
        "them, are painted, not labelled",
    )
    noise: float = Field(
        0.015, ge=0, le=0.5, description="noise that is new in every frame, grey 0 to 1"
    )

    @model_validator(mode="after")
    def _low_is_low(self) -> MovingDislocationsOptions:
        if self.contrast_low > self.contrast_high:
            raise ValueError("contrast_low must not exceed contrast_high")
        return self


class MovingDislocations(Generator):
    """One pile-up between two slip traces, with a ``track_id`` for each line.

    Where a line leaves the frame and comes back, its longest part has that id. The other parts are
    flagged ``ignore``, with ids from ``count`` on: dislocations, and no lines of their own.
    """

    Options = MovingDislocationsOptions
    options: MovingDislocationsOptions
    defect_types = (DEFECT_TYPE,)

    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        """Draw a sequence of one frame."""
        (pixels, truth), *_ = self.sequence(canvas, rng, 1)
        canvas[...] = pixels
        return truth

    def sequence(
        self, canvas: NDArray[np.float32], rng: np.random.Generator, length: int
    ) -> Iterator[tuple[NDArray[np.float32], Instances]]:
        """Yield `length` frames of (H, W) float32 in [0, 1] and their truth."""
        options, shape = self.options, (canvas.shape[0], canvas.shape[1])
        self.last_parameters = {}
        scale = min(shape) / 512
        ground = np.array(canvas, np.float32)
        texture = local_texture(ground)
        jitter = 0.012 * rng.standard_normal((options.count, SUPPORT_POINTS))
        jitter[:, [0, -1]] = 0
        styles, seed = self._styles(rng), int(rng.integers(2**31))
        last = self._support(shape, length - 1, float(length > 1), jitter, scale)[0]
        ends = np.concatenate([self._support(shape, 0, 0.0, jitter, scale)[0], last])[:, [0, -1]]
        traces = self._paint_traces(ground, texture, ends, scale, rng)
        spacings = []
        for frame in range(length):
            part = frame / max(length - 1, 1)
            support, spacing = self._support(shape, frame, part, jitter, scale)
            spacings.append(spacing)
            pixels, paths = ground.copy(), spline_paths(support)
            grey = [median_along(texture, path) for path in paths]
            # The same in every frame: grain and intensity belong to the lines.
            grain, *own = painting_sources(seed, options.count)
            pieces = paint_lines(pixels, paths, styles, grey, grain, own=own)
            pixels += np.float32(options.noise) * rng.standard_normal(shape, dtype=np.float32)
            least = [options.visible_from * float(np.hypot(g, options.noise)) for g in grey]
            seen = [piece for piece in pieces if piece.grey >= least[piece.line]]
            yield np.clip(pixels, 0, 1), _truth(shape, options.count, seen)
        self.last_parameters = {
            "spacing_px": spacings,
            "velocity_px_per_frame": options.speed_px * scale,
            # Support points off the arc, slip widths.
            "jitter": jitter.tolist(),
            "traces": traces,
            "painting_seed": seed,
            "lines": [style.record() for style in styles],
        }

    def _styles(self, rng: np.random.Generator) -> list[LineStyle]:
        options = self.options
        strengths = rng.uniform(options.contrast_low, options.contrast_high, options.count)
        return [
            LineStyle(
                "dark", float(strength), options.width_px, variation=0.15, waviness_px=0.2,
                roughness=0.15, roughness_px=1.0,
            )
            for strength in strengths
        ]  # fmt: skip

    def _support(
        self,
        shape: tuple[int, int],
        frame: int,
        part: float,
        jitter: NDArray[np.float64],
        scale: float,
    ) -> tuple[NDArray[np.float64], float]:
        """Return (n, m, 2) support points x, y of a frame, and the distance of neighbours, px."""
        options = self.options
        along, across = slip_axes(options.direction_deg)
        spacing = scale * options.spacing_px * (1 - options.compression * part)
        width = scale * options.slip_width_px
        # In the first frame the pile-up lies about the middle of the frame.
        front = scale * (options.speed_px * frame + options.spacing_px * (options.count - 1) / 2)
        x = front - spacing * np.arange(options.count)
        places = np.linspace(0, 1, SUPPORT_POINTS)
        bow = options.bow_low + part * (options.bow_high - options.bow_low)
        arc = width * (4 * bow * places * (1 - places) + jitter)
        middle = np.array([shape[1], shape[0]]) / 2
        points = (x[:, None] + arc)[..., None] * along
        return points + (width * (places - 0.5))[:, None] * across + middle, spacing

    def _paint_traces(
        self,
        ground: NDArray[np.float32],
        texture: NDArray[np.float32],
        ends: NDArray[np.float64],
        scale: float,
        rng: np.random.Generator,
    ) -> list[dict[str, Any]]:
        """Paint both slip traces, and return where they end and how they look.

        `ends` are (k, 2, 2) ends x, y of lines on the first and on the second trace, in the first
        and in the last frame; between these the pile-up does not go farther.
        """
        painted = []
        along, _ = slip_axes(self.options.direction_deg)
        margin = TRACE_MARGIN * scale * self.options.spacing_px
        for points in ends.swapaxes(0, 1):
            place = (points - points[0]) @ along
            reach = np.array([place.min() - margin, place.max() + margin])
            limits = points[0] + reach[:, None] * along
            under = np.linspace(limits[0], limits[1], max(200, round(float(np.ptp(reach)))))
            grey = -0.8 * float(median_along(texture, under))
            paint_trace(ground, limits, grey, TRACE_WIDTH_PX, rng)
            painted.append({"ends": limits.tolist(), "grey": grey, "width_px": TRACE_WIDTH_PX})
        return painted


def painting_sources(seed: int, count: int) -> list[np.random.Generator]:
    """Return the sources of the grain, and of what varies along each of `count` lines."""
    return [np.random.default_rng([seed, k]) for k in range(count + 1)]


def _truth(shape: tuple[int, int], count: int, pieces: list[PaintedPiece]) -> Instances:
    """Return the longest visible part of each line; its other parts are flagged ``ignore``."""
    parts: dict[int, list[PaintedPiece]] = {}
    for piece in pieces:
        if piece.length_px >= min(SHORTEST_PX, min(shape) / 4) and piece.mask.area_px:
            parts.setdefault(piece.line, []).append(piece)
    shown = [
        (line + rank * count, piece)
        for line, own in parts.items()
        for rank, piece in enumerate(sorted(own, key=lambda piece: -piece.length_px))
    ]
    shown.sort(key=lambda pair: pair[0])
    columns: dict[str, Any] = {
        "track_id": np.array([track for track, _ in shown], np.int64),
        "length_px": np.array([polyline_length(piece.points) for _, piece in shown], float),
    }
    return Instances(
        shape,
        [piece.mask.box for _, piece in shown],
        defect_types=DEFECT_TYPE,
        ignore=[track >= count for track, _ in shown],
        masks=[piece.mask for _, piece in shown],
        lines=[piece.points for _, piece in shown],
        measurements=columns,
        units=UNITS,
    )
