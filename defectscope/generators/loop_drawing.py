"""Draws the loops of one image: how many, of which types, how large, where, and their looks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from defectscope import OptionError
from defectscope.core.geometry.angles import undirected_deg
from defectscope.generators.loop_painting import HALF_LEVEL, Loop
from defectscope.generators.loop_placement import place_loops
from defectscope.generators.loop_sizes import PX_PER_MEGAPIXEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from defectscope.generators.loop_options import LoopsOptions
    from defectscope.generators.loop_sizes import LoopSizes

__all__ = ["LOOK_NUMBERS", "FilledLookOptions", "draw_population", "filled_look"]

# What may lie in an image, as ``count`` allows.
MOST_LOOPS = 100_000
# Smaller ones leave no trace on a grid of pixels.
LEAST_MAJOR_PX = 3.0
LEAST_MINOR_PX = 2.0
# a<100> loops thinner than this are seen edge-on, as closed ellipses (P3).
EDGE_ON_BELOW = 0.5
# However much they are widened.
BAR_ASPECT = 0.45
# How far traces of planes turn where foils are tilted; of inclined ones more.
TILT_DEG, INCLINED_DEG = 4.0, 12.0
LEAST_CONTRAST = 0.5
# Edges of filled loops are no softer than this part of their minor axis, unless more is asked for.
USUAL_SOFTNESS = 0.25
FILLED_LOOKS = {"black dot": "black-dot", "dislocation-loop": "filled"}
# How many random numbers decide about the look of one loop.
LOOK_NUMBERS = 14


class FilledLookOptions(Protocol):
    """Options that :func:`filled_look` needs: softness of edges in px, and two fractions."""

    @property
    def edge_low_px(self) -> float: ...
    @property
    def edge_high_px(self) -> float: ...
    @property
    def one_sided(self) -> float: ...
    @property
    def tails(self) -> float: ...


def _quantile(values: Sequence[float], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(at, np.linspace(0, 1, len(values)) if len(values) > 1 else [0.0], values)


def draw_population(
    shape: tuple[int, int], sizes: LoopSizes, options: LoopsOptions, rng: np.random.Generator
) -> tuple[list[Loop], int, int]:
    """Return the loops of an image, for how many no room was left, and how many of ``count``.

    Parameters
    ----------
    shape
        (height, width) of the image.
    sizes
        Distributions of every defect type that may occur.
    options
        What the user asked for.
    rng
        Source of everything.

    Raises
    ------
    OptionError
        There are so many that it could not be computed.
    """
    types, count = _types(shape, sizes, options, rng)
    # The number of faint ones and of those beyond the rim follows that of the others.
    faint_count = int(rng.poisson(options.faint * count))
    reach = _typical_reach(sizes, options)
    belt = min(1.0, 2 * reach * (shape[0] + shape[1]) / (shape[0] * shape[1]))
    outside_count = int(rng.poisson(options.cut_by_rim * belt * count))
    more = rng.choice(types, faint_count + outside_count) if count else types[:0]
    types = np.concatenate([types, more])
    n = len(types)
    faint = (np.arange(n) >= count) & (np.arange(n) < count + faint_count)
    outside = np.arange(n) >= count + faint_count
    major, minor = _axes(types, sizes, options, rng)
    angle = _angles(types, minor < EDGE_ON_BELOW * major, options, rng)
    touching = rng.random(n) < options.touching
    centres = place_loops(shape, (major, minor, angle), outside, touching, rng)
    # Few are very dark: on labelled frames the median lies a third of the way up.
    least = options.contrast_low
    if options.count is not None:
        # So many are to be seen: those that are not come on top of them.
        least = max(least, options.visible_from)
    contrast = least + (options.contrast_high - least) * rng.beta(1.3, 2.2, n)
    low = min(LEAST_CONTRAST, 0.5 * options.visible_from)
    contrast[faint] = rng.uniform(low, max(low, options.visible_from), int(faint.sum()))
    common_side = float(rng.uniform(0, 360))
    loops, placed = [], np.isfinite(centres[:, 0])
    for k in np.flatnonzero(placed):
        loop = Loop.model_construct(
            defect_type=str(types[k]), look="", x=float(centres[k, 0]), y=float(centres[k, 1]),
            major_px=float(major[k]), minor_px=float(minor[k]), angle_deg=float(angle[k]),
            contrast=float(contrast[k]), edge_px=1.0, harmonics=[],
        )  # fmt: skip
        loops.append(_with_look(loop, common_side, options, rng))
    asked_for = 0 if options.count is None else count
    return loops, n - len(loops), int((~placed[:asked_for]).sum())


def _types(
    shape: tuple[int, int], sizes: LoopSizes, options: LoopsOptions, rng: np.random.Generator
) -> tuple[NDArray[np.str_], int]:
    names = list(options.mixture) or list(sizes.types)
    # One draw for all types: where an image has many loops it has many of each.
    where = rng.random(1)
    densities = np.array([float(_quantile(sizes.types[n].per_megapixel, where)[0]) for n in names])
    area = shape[0] * shape[1] / PX_PER_MEGAPIXEL
    expected = options.density * float(densities.sum()) * area
    weights = np.array([options.mixture[n] for n in names]) if options.mixture else densities
    if not weights.sum():
        weights = np.ones(len(names))
    count = options.count
    if count is None:
        if expected > MOST_LOOPS:
            raise OptionError(
                f"loops: the densities of the sizes times density = {options.density:g} give about "
                f"{expected:.0f} loops in {shape[1]} x {shape[0]} px, at most {MOST_LOOPS} can be "
                "drawn; lower density, or give count"
            )
        count = max(1, int(rng.poisson(expected)))
    return rng.choice(np.array(names), count, p=weights / weights.sum()), count


def _typical_reach(sizes: LoopSizes, options: LoopsOptions) -> float:
    if options.major_low_px is not None and options.major_high_px is not None:
        return options.size * (options.major_low_px + options.major_high_px) / 4
    medians = [float(np.median(s.major_px)) for s in sizes.types.values()]
    return options.size * float(np.mean(medians)) / 2


def _axes(
    types: NDArray[np.str_], sizes: LoopSizes, options: LoopsOptions, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at_size, at_aspect = rng.random(len(types)), rng.random(len(types))
    major, aspect = np.zeros(len(types)), np.ones(len(types))
    for name in dict.fromkeys(types.tolist()):
        chosen, known = types == name, sizes.types[name]
        major[chosen] = options.size * _quantile(known.major_px, at_size[chosen])
        aspect[chosen] = _quantile(known.aspect, at_aspect[chosen])
    if options.major_low_px is not None and options.major_high_px is not None:
        span = options.major_high_px - options.major_low_px
        major = options.size * (options.major_low_px + at_size * span)
    if options.aspect_low is not None and options.aspect_high is not None:
        aspect = options.aspect_low + at_aspect * (options.aspect_high - options.aspect_low)
    bars = (types == "a<100> loop") & (aspect < EDGE_ON_BELOW)
    major = np.maximum(major, LEAST_MAJOR_PX)
    minor = np.maximum(major * aspect, LEAST_MINOR_PX)
    # Strain, and the lens, make wide what is thin; a bar remains longer than it is wide.
    widest = np.minimum(options.bar_low_px, BAR_ASPECT * major)
    return major, np.where(bars, np.maximum(minor, widest), minor)


def _angles(
    types: NDArray[np.str_],
    edge_on: NDArray[np.bool_],
    options: LoopsOptions,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    n = len(types)
    if options.crystal and rng.random() < options.crystal:
        # Loops lie on {100} and {111} planes, whose traces near a cube axis are 45° apart.
        trace = rng.uniform(0, 180) + 90 * rng.integers(0, 2, n)
        wandering = np.where(edge_on, TILT_DEG, INCLINED_DEG) * rng.standard_normal(n)
        inclined = np.where(types == "a/2<111> loop", 45.0, 0.0)
        return undirected_deg(trace + inclined + wandering)
    if options.direction_deg is None:
        return np.asarray(rng.uniform(0, 180, n))
    around = options.direction_deg + options.direction_spread_deg * rng.standard_normal(n)
    return undirected_deg(around)


def _with_look(
    loop: Loop, common_side: float, options: LoopsOptions, rng: np.random.Generator
) -> Loop:
    """Choose how one loop is painted; every look draws equally many numbers."""
    u = [float(v) for v in rng.random(LOOK_NUMBERS)]
    edge_on = loop.minor_px < EDGE_ON_BELOW * loop.major_px
    if loop.defect_type in FILLED_LOOKS:
        changes = filled_look(loop, common_side, options, u)
    elif loop.defect_type == "a<100> loop":
        changes = _ring_look("edge-on" if edge_on else "double-ring", loop, options, u)
        if edge_on and options.bar_exponent > 2:
            changes["exponent"] = 2 + (options.bar_exponent - 2) * float(rng.random())
    else:
        changes = _ring_look("open-ellipse", loop, options, u)
    if options.mottle or options.rough_px:
        changes |= _irregular(loop, edge_on, options, rng)
    if loop.defect_type in FILLED_LOOKS and options.fading:
        changes |= _faded(loop, options, rng)
    if loop.defect_type in FILLED_LOOKS:
        if options.softness > USUAL_SOFTNESS:
            softer = float(options.softness * rng.random()) * loop.minor_px
            changes["edge_px"] = max(changes["edge_px"], softer)
        changes["edge_px"] = min(changes["edge_px"], options.softness * loop.minor_px)
    return loop.model_copy(update=changes)


def _irregular(
    loop: Loop, edge_on: bool, options: LoopsOptions, rng: np.random.Generator
) -> dict[str, Any]:
    strength = rng.random(3)
    # As fine as a bar is wide, grain would cut it into a chain of dots.
    side = math.sqrt(loop.minor_px * loop.major_px) if edge_on else loop.minor_px
    return {
        "mottle": float(options.mottle * strength[0]),
        # Little beside the loop, and slow: it gets dents, not holes.
        "rough_px": float(strength[1] * min(options.rough_px, 0.1 * loop.minor_px)),
        "grain_px": float((0.35 + 0.45 * strength[2]) * side),
        "grain_seed": int(rng.integers(2**32)),
    }


def _faded(loop: Loop, options: LoopsOptions, rng: np.random.Generator) -> dict[str, Any]:
    """Let a loop that is inclined in the foil fade towards the end that lies deeper."""
    end = loop.angle_deg + (0 if rng.random() < 0.5 else 180)
    return {
        "fade": float(options.fading * rng.random()),
        "fade_deg": float(end + rng.normal(0, 25)),
    }


def _harmonics(strength: float, u: list[float]) -> list[tuple[int, float, float]]:
    most = (0.5, 0.6, 0.25)
    return [(k + 1, strength * most[k] * u[k], 2 * math.pi * u[3 + k]) for k in range(3)]


def filled_look(
    loop: Loop, common_side: float, options: FilledLookOptions, u: list[float]
) -> dict[str, Any]:
    """Return the fields of a filled loop or a black dot that make its look.

    Parameters
    ----------
    loop
        Its type and axes.
    common_side
        Direction of the tails of the image, degrees.
    options
        Limits of what is drawn.
    u
        `LOOK_NUMBERS` numbers from 0 to 1; the same ones give the same look at another size.
    """
    look = FILLED_LOOKS[loop.defect_type]
    wanted = options.edge_low_px + u[6] * (options.edge_high_px - options.edge_low_px)
    changes: dict[str, Any] = {
        "look": look,
        # Large loops look domed, not like coins; much softer, a small dot would not reach its
        # contrast even at its centre.
        "edge_px": min(max(wanted, 0.13 * loop.minor_px), USUAL_SOFTNESS * loop.minor_px),
        # A dark spot's contrast varies less around it than that of a ring.
        "harmonics": _harmonics(0.4 * options.one_sided, u),
    }
    if look == "filled":
        changes |= {"lumps": 0.35 * u[7], "lump_phase": 2 * math.pi * u[8]}
        if u[9] < options.tails:
            # Inclined in one foil, loops have their tails on about the same side.
            side = common_side + 40 * (u[10] - 0.5)
            level, offset = 0.15 + 0.25 * u[11], (0.4 + 0.4 * u[12]) * loop.minor_px
            changes |= {"tail": level, "tail_deg": side, "tail_px": offset}
    return changes


def _ring_look(look: str, loop: Loop, options: LoopsOptions, u: list[float]) -> dict[str, Any]:
    wanted = options.line_low_px + u[6] * (options.line_high_px - options.line_low_px)
    sigma = min(wanted / (2 * HALF_LEVEL), loop.minor_px / 5)
    # The narrower the hole between the lines, the darker; those edge-on are bars.
    lines_across = loop.minor_px / (2 * HALF_LEVEL * sigma)
    narrow = min(1.0, max(0.0, (7 - lines_across) / 4))
    fill = 0.88 + 0.12 * u[7] if look == "edge-on" else 0.75 * narrow + 0.25 * u[7]
    changes: dict[str, Any] = {
        "look": look,
        "edge_px": sigma,
        "harmonics": _harmonics(options.one_sided * (0.5 if look == "edge-on" else 1.0), u),
        "fill": fill,
        "fill_side_deg": 360 * u[8],
    }
    if look == "double-ring":
        inner = 0.35 + 0.5 * u[10] if u[11] < options.double_rings else 0.0
        changes |= {"gap_px": (2.0 + 1.8 * u[9]) * sigma, "inner": inner}
    return changes
