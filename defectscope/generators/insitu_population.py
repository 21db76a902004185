"""The loops of an in-situ sequence: what is drawn for each before anything happens."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import OptionError
from defectscope.generators.insitu_kinetics import Growth, Segment
from defectscope.generators.insitu_places import spread_out
from defectscope.generators.loop_drawing import LOOK_NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.insitu_options import InSituLoopsOptions
    from defectscope.generators.insitu_stage import Stage

__all__ = ["LEAST_PX", "Population", "draw_population"]

# Smaller major axes leave no trace on a grid of pixels.
LEAST_PX = 1.0
# Between centres, in parts of the least and the largest final size together: what was there before
# has met already, and new loops nucleate near it, so that they will.
APART, NEW_APART = 0.6, 0.25
MOST_LOOPS = 100_000


@dataclass
class Population:
    """Arrays with an entry for each loop; its ``track_id`` is the index.

    Parameters
    ----------
    birth, death
        Time of nucleation, and first frame without the loop (inf while it lives), frames.
    growth
        Major axes.
    aspect, angle_deg
        Minor/major axis, and direction of the major axis.
    depth
        Contrast, as part of the brightness.
    height
        Place in the foil's thickness, 0 to 1.
    vacancy
        Whether it is a vacancy loop.
    diffusion
        D at the size that the options name, px² a frame.
    position
        (n, 2) centres x, y on the specimen, px.
    shrinks_at, shrinks_for
        When shrinkage begins (inf: never), and how long it takes, frames.
    looks
        (n, 14) random numbers for the painter.
    """

    birth: NDArray[np.float64]
    growth: Growth
    aspect: NDArray[np.float64]
    angle_deg: NDArray[np.float64]
    depth: NDArray[np.float64]
    height: NDArray[np.float64]
    vacancy: NDArray[np.bool_]
    diffusion: NDArray[np.float64]
    position: NDArray[np.float64]
    shrinks_at: NDArray[np.float64]
    shrinks_for: NDArray[np.float64]
    looks: NDArray[np.float64]
    start: NDArray[np.float64] = field(init=False)
    first_depth: NDArray[np.float64] = field(init=False)
    death: NDArray[np.float64] = field(init=False)
    cause: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start, self.first_depth = self.position.copy(), self.depth.copy()
        self.death = np.full(len(self.birth), np.inf)

    def alive(self, frame: int) -> NDArray[np.intp]:
        """Return the indices of the loops that exist in a frame."""
        return np.flatnonzero((self.birth <= frame) & (frame < self.death))

    def end(self, loop: int, frame: int, cause: str) -> None:
        """Let a loop be gone from `frame` on."""
        self.death[loop], self.cause[loop] = frame, cause

    def records(self) -> list[dict[str, Any]]:
        """Return what a scientist would want to find out about each loop, as plain values."""
        return [
            {
                "track_id": k,
                "kind": "vacancy" if self.vacancy[k] else "interstitial",
                "birth_frame": float(self.birth[k]),
                "death_frame": int(self.death[k]) if k in self.cause else None,
                "death_cause": self.cause.get(k),
                "aspect": float(self.aspect[k]),
                "angle_deg": float(self.angle_deg[k]),
                "depth": float(self.first_depth[k]),
                "height": float(self.height[k]),
                "diffusion_px2_per_frame": float(self.diffusion[k]),
                "specimen_px": self.start[k].tolist(),
                "growth": [segment.as_dict() for segment in self.growth.history[k]],
                "look_numbers": self.looks[k].tolist(),
            }
            for k in range(len(self.birth))
        ]


def draw_population(
    options: InSituLoopsOptions,
    shape: tuple[int, int],
    stage: Stage,
    rng: np.random.Generator,
) -> Population:
    """Draw the loops of everything that the view passes over.

    Parameters
    ----------
    options
        What the user asked for.
    shape
        (height, width) of a frame.
    stage
        Where it lies in each frame.
    rng
        Source of everything.

    Raises
    ------
    OptionError
        The stage moves so far, or loops lie so densely, that it could not be computed.
    """
    length = len(stage.offsets)
    low, high = stage.field(shape)
    n = _number(options, shape, low, high)
    # In a still image nothing can nucleate later.
    old = (rng.random(n) < options.nucleated) | (length <= 1)
    slowness = rng.uniform(0.3, 0.8, n) * max(length, 2)
    # Those from before the sequence have grown for one to three growth times already.
    before, during = -slowness * rng.uniform(1, 3, n), rng.uniform(0, 0.8, n) * (length - 1)
    birth = np.where(old, before, during)
    both = options.smallest_px + options.largest_px
    spread = options.largest_px - options.smallest_px
    final = options.smallest_px + spread * rng.beta(1.6, 3.0, n)
    shrinks_at, shrinks_for = _shrinkage(options, birth, length, rng)
    least, most = options.diffusion_px2_per_frame, options.diffusion_high_px2_per_frame
    return Population(
        birth,
        Growth(_first_laws(options.growth_law, birth, final, slowness, length)),
        aspect=rng.uniform(options.aspect_low, options.aspect_high, n),
        angle_deg=rng.uniform(0, 180, n),
        depth=rng.uniform(options.depth_low, options.depth_high, n),
        height=rng.random(n),
        vacancy=rng.random(n) < options.vacancy,
        diffusion=rng.uniform(least, least if most is None else most, n),
        position=spread_out(low, high, np.where(old, APART, NEW_APART) * both, rng),
        shrinks_at=shrinks_at,
        shrinks_for=shrinks_for,
        looks=rng.random((n, LOOK_NUMBERS)),
    )


def _number(
    options: InSituLoopsOptions,
    shape: tuple[int, int],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> int:
    height, width = shape
    area = float(np.prod(high - low))
    n = round(options.count * area / (height * width))
    if n > MOST_LOOPS:
        raise OptionError(
            f"in-situ-loops: the stage moves over {high[0] - low[0]:.0f} x {high[1] - low[1]:.0f} "
            f"px with {n} loops, at most {MOST_LOOPS} can be followed; ask for fewer loops or "
            "frames, or for slower drift and smaller jumps"
        )
    return n


def _first_laws(
    law: str,
    birth: NDArray[np.float64],
    final: NDArray[np.float64],
    slowness: NDArray[np.float64],
    length: int,
) -> list[Segment]:
    columns = zip(birth.tolist(), final.tolist(), slowness.tolist(), strict=True)
    if law == "saturating":
        return [Segment(law, start, 0.0, size, tau) for start, size, tau in columns]
    last = max(length - 1, 0)
    return [Segment.reaching(law, start, 0.0, size, last - start) for start, size, _ in columns]


def _shrinkage(
    options: InSituLoopsOptions,
    birth: NDArray[np.float64],
    length: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when shrinkage begins and how long it takes: it ends within the sequence."""
    n = len(birth)
    chosen = (rng.random(n) < options.shrinking) & (length > 2)
    start = np.maximum(birth, 0)
    left = max(length - 1, 0) - start
    begins = start + left * rng.uniform(0.1, 0.5, n)
    return np.where(chosen, begins, math.inf), left * rng.uniform(0.25, 0.5, n)
