"""What happens to loops from frame to frame, and the table of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import OptionError
from defectscope.core.geometry.ellipses import ellipse_area
from defectscope.generators.insitu_kinetics import Segment
from defectscope.generators.insitu_places import meeting_pairs
from defectscope.generators.insitu_population import LEAST_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from defectscope.generators.insitu_options import InSituLoopsOptions
    from defectscope.generators.insitu_population import Population

__all__ = ["Evolution"]

# Pairs of overlapping loops that can be looked through in every frame.
MOST_PAIRS = 5e7


class Evolution:
    """Brings loops from frame to frame.

    `events` has an entry for each event, in order: ``frame`` (the first that shows it), ``kind``,
    ``track_ids`` of the loops that take part, ``ended`` (those gone from that frame on), ``x`` and
    ``y`` in that frame, px, and by kind

    ``nucleation``, ``shrinkage`` (it begins), ``vanishing`` (it is over)
        ``time_frames``, when exactly.
    ``coalescence``
        The loop of larger area goes on under its identity, with the area of both, its own shape
        and law, at the centre of gravity of both: ``area_px2`` of the first, of the second and
        afterwards, ``moved_px`` by which the first is set off, and its ``depth`` from then on,
        the mean of both by area.
    ``annihilation``
        ``sink``: ``surface``, or ``loop``: a vacancy and an interstitial loop met, and of the
        larger the difference of ``area_px2`` is left, at its place; or nothing, where that would
        be smaller than a pixel.

    Parameters
    ----------
    loops
        What is to be brought on; changed in place.
    options
        What the user asked for.
    extent_px2
        Area on which the loops lie.

    Raises
    ------
    OptionError
        Loops overlap so much that their meetings could not be computed.
    """

    def __init__(self, loops: Population, options: InSituLoopsOptions, extent_px2: float) -> None:
        self.loops, self.options = loops, options
        self.events: list[dict[str, Any]] = []
        # Heights are uniform, so that two differ by less than this with that probability.
        self._within = 1 - math.sqrt(1 - options.coalescence)
        n = len(loops.birth)
        overlapping = n**2 * min(1.0, math.pi * options.largest_px**2 / extent_px2)
        if self._within and overlapping > MOST_PAIRS:
            raise OptionError(
                f"in-situ-loops: {n} loops of up to {options.largest_px:g} px lie too densely to "
                "tell which of them meet; ask for fewer or smaller ones, or set coalescence to 0"
            )

    def advance(self, frame: int, offset: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Bring all loops from the frame before to `frame`, shifted there by `offset` px."""
        first_event = len(self.events)
        self._walk(frame, rng)
        self._nucleate(frame)
        self._shrink(frame)
        self._meet(frame)
        self._lose(frame, rng)
        for event in self.events[first_event:]:
            event["x"] += float(offset[0])
            event["y"] += float(offset[1])

    def diffusion(self, major: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return D of every loop at (n,) major axes, px² a frame."""
        options = self.options
        if not options.diffusion_exponent:
            return self.loops.diffusion
        # What is smaller than a pixel would jump all over the image.
        relative = np.maximum(major, LEAST_PX) / options.diffusion_size_px
        return np.asarray(self.loops.diffusion * relative**-options.diffusion_exponent)

    def _walk(self, frame: int, rng: np.random.Generator) -> None:
        # D is that of the size with which the step begins.
        step = np.sqrt(2 * self.diffusion(self.loops.growth.major(frame - 1)))
        step[self.loops.birth > frame - 1] = 0
        self.loops.position += step[:, None] * rng.standard_normal((len(step), 2))

    def _nucleate(self, frame: int) -> None:
        birth = self.loops.birth
        for k in np.flatnonzero((birth > frame - 1) & (birth <= frame)).tolist():
            self._happens(frame, "nucleation", [k], time_frames=float(birth[k]))

    def _shrink(self, frame: int) -> None:
        loops = self.loops
        alive = loops.alive(frame)
        begins = loops.shrinks_at[alive]
        for k in alive[(begins > frame - 1) & (begins <= frame)].tolist():
            at, span = float(loops.shrinks_at[k]), float(loops.shrinks_for[k])
            size = float(loops.growth.major(at, k))
            law = self.options.shrinkage_law
            loops.growth.begin(k, Segment.reaching(law, at, size, 0.0, span))
            self._happens(frame, "shrinkage", [k], time_frames=at)
        shrinking = alive[loops.shrinks_at[alive] <= frame]
        for k in shrinking[loops.growth.major(frame, shrinking) <= 0].tolist():
            when = loops.growth.vanishing_time(k)
            self._happens(frame, "vanishing", [k], ended=[k], time_frames=when)
            loops.end(k, frame, "shrinkage")

    def _meet(self, frame: int) -> None:
        loops = self.loops
        alive = loops.alive(frame)
        major = loops.growth.major(frame, alive)
        alive, major = alive[major >= LEAST_PX], major[major >= LEAST_PX]
        minor = major * loops.aspect[alive]
        pairs = meeting_pairs(
            loops.position[alive], (major, minor, loops.angle_deg[alive]), loops.height[alive],
            self._within, self.options.capture_px,
        )  # fmt: skip
        areas = ellipse_area(major, minor)
        for pair in pairs:
            larger, smaller = sorted(pair, key=lambda k: (-areas[k], k))
            two, of_two = (int(alive[larger]), int(alive[smaller])), areas[[larger, smaller]]
            if loops.vacancy[two[0]] == loops.vacancy[two[1]]:
                self._coalesce(frame, two, of_two)
            else:
                self._annihilate(frame, two, of_two)

    def _coalesce(self, frame: int, two: tuple[int, int], areas: NDArray[np.float64]) -> None:
        loops, (stays, goes) = self.loops, two
        area = float(areas.sum())
        moved = (loops.position[goes] - loops.position[stays]) * (areas[1] / area)
        loops.position[stays] += moved
        loops.growth.resize(stays, frame, _major_of(area, loops.aspect[stays]))
        loops.depth[stays] = areas @ loops.depth[[stays, goes]] / area
        loops.end(goes, frame, "coalescence")
        self._happens(
            frame, "coalescence", two, ended=[goes], area_px2=[*areas.tolist(), area],
            moved_px=moved.tolist(), depth=float(loops.depth[stays]),
        )  # fmt: skip

    def _annihilate(self, frame: int, two: tuple[int, int], areas: NDArray[np.float64]) -> None:
        loops, (stays, goes) = self.loops, two
        left = float(areas[0] - areas[1])
        major = _major_of(left, loops.aspect[stays])
        gone = [goes] if major >= LEAST_PX else [stays, goes]
        if stays not in gone:
            loops.growth.resize(stays, frame, major)
        for k in gone:
            loops.end(k, frame, "annihilation")
        self._happens(
            frame, "annihilation", two, ended=gone, sink="loop",
            area_px2=[*areas.tolist(), left if stays not in gone else 0.0],
        )  # fmt: skip

    def _lose(self, frame: int, rng: np.random.Generator) -> None:
        lost = rng.random(len(self.loops.birth)) < self.options.annihilation
        alive = self.loops.alive(frame)
        for k in alive[lost[alive]].tolist():
            self._happens(frame, "annihilation", [k], ended=[k], sink="surface")
            self.loops.end(k, frame, "annihilation")

    def _happens(
        self, frame: int, kind: str, who: Sequence[int], ended: Sequence[int] = (), **more: Any
    ) -> None:
        x, y = self.loops.position[who[0]].tolist()
        self.events.append(
            {
                "frame": frame, "kind": kind, "track_ids": list(who), "ended": list(ended),
                "x": x, "y": y, **more,
            }
        )  # fmt: skip


def _major_of(area_px2: float, aspect: float) -> float:
    return math.sqrt(area_px2 / (math.pi / 4 * aspect))
