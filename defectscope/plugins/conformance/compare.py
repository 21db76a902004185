"""Comparisons: what makes two results the same, and what must not have changed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from defectscope.core.instances import Instances
from defectscope.plugins.conformance.basics import expect

__all__ = [
    "difference",
    "digest",
    "expect_declared",
    "expect_image",
    "expect_inside",
    "expect_instances",
    "expect_own_names",
    "global_randomness_untouched",
]

EDGE_TOLERANCE_PX = 1.0


def digest(array: Any) -> str:
    """Return a digest of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def difference(
    expected: Instances, found: Instances, box_px: float = 0.0, score: float = 0.0
) -> str | None:
    """Return the first difference between two instances as a phrase, or None.

    Parameters
    ----------
    expected, found
        Instances of one frame.
    box_px, score
        How far boxes (and lines) and scores may lie apart.
    """
    if len(expected) != len(found):
        return f"{len(expected)} instances against {len(found)}"
    if expected.image_shape != found.image_shape:
        return f"image_shape {expected.image_shape} against {found.image_shape}"
    for name, tolerance in (("boxes", box_px), ("scores", score)):
        a, b = getattr(expected, name), getattr(found, name)
        wrong = np.argwhere(np.abs(a - b) > tolerance)
        if len(wrong):
            k = int(wrong[0, 0])
            return f"{name}[{k}] = {a[k].tolist()} against {b[k].tolist()}"
    for name in ("defect_types", "ignore"):
        if not np.array_equal(getattr(expected, name), getattr(found, name)):
            return f"{name} {getattr(expected, name)} against {getattr(found, name)}"
    if not _same_masks(expected, found, exactly=box_px == 0):
        return "other masks"
    if not _same_lines(expected, found, box_px):
        return "other lines"
    return _measurement_difference(expected, found, exactly=box_px == 0)


def _same_masks(a: Instances, b: Instances, exactly: bool) -> bool:
    if a.masks is None or b.masks is None:
        return a.masks is b.masks
    return not exactly or all(
        np.array_equal(one.to_dense(a.image_shape), other.to_dense(a.image_shape))
        for one, other in zip(a.masks, b.masks, strict=True)
    )


def _same_lines(a: Instances, b: Instances, tolerance_px: float) -> bool:
    if a.lines is None or b.lines is None:
        # An empty line is none: whoever adds lines to some gives empty ones to the others.
        return all(len(line) == 0 for line in (*(a.lines or ()), *(b.lines or ())))
    return all(
        one.shape == other.shape and np.allclose(one, other, rtol=0, atol=tolerance_px)
        for one, other in zip(a.lines, b.lines, strict=True)
    )


def _measurement_difference(a: Instances, b: Instances, exactly: bool) -> str | None:
    if set(a.measurements) != set(b.measurements):
        return f"measurements {sorted(a.measurements)} against {sorted(b.measurements)}"
    for name, values in a.measurements.items() if exactly else ():
        other = b.measurements[name]
        if not np.array_equal(values, other, equal_nan=values.dtype.kind == "f"):
            return f"measurement {name} = {values} against {other}"
    return None


def expect_image(pixels: Any, shape: tuple[int, int], what: str) -> None:
    expect(
        isinstance(pixels, np.ndarray) and pixels.dtype == np.float32,
        f"{what} must be a float32 array, found {getattr(pixels, 'dtype', type(pixels).__name__)}",
    )
    expect(
        pixels.shape == shape,
        f"{what} must have the shape (height, width) that was asked for: expected {shape}, "
        f"found {pixels.shape}",
    )
    low, high = float(pixels.min()), float(pixels.max())
    expect(
        np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= 1,
        f"{what} must lie within [0, 1], found values from {low:.4g} to {high:.4g}",
    )


def expect_instances(found: Any, shape: tuple[int, int], what: str) -> None:
    """Expect Instances of a frame of `shape`."""
    expect(
        isinstance(found, Instances),
        f"{what} must be defectscope.Instances, found {type(found).__name__}",
    )
    expect(
        found.image_shape == tuple(shape),
        f"{what} must have the image_shape of its frame (height, width): expected "
        f"{tuple(shape)}, found {found.image_shape}",
    )


def expect_inside(found: Instances, what: str) -> None:
    """Expect boxes, masks and lines within the frame, and masks on their boxes.

    Boxes may stand out by 1 px.
    """
    height, width = found.image_shape
    limits = np.array([width, height, width, height]) + EDGE_TOLERANCE_PX
    outside = np.flatnonzero(
        (found.boxes < -EDGE_TOLERANCE_PX).any(axis=1) | (found.boxes > limits).any(axis=1)
    )
    expect(
        not len(outside),
        f"{what}: boxes must lie within the frame of {width} x {height} px (x, y; 1 px of "
        f"tolerance), found {found.boxes[outside[:1]].tolist()}",
    )
    for mask in found.masks or ():
        expect(
            mask.clipped(found.image_shape).area_px == mask.area_px,
            f"{what}: masks must lie within the frame of {width} x {height} px, found one with "
            f"the box {mask.box}",
        )
    for box, mask in zip(found.boxes.tolist(), found.masks or (), strict=False):
        own = mask.trimmed().box
        meet = own[0] < box[2] and box[0] < own[2] and own[1] < box[3] and box[1] < own[3]
        expect(
            meet or not mask.area_px,
            f"{what}: the mask of an instance must lie on its box, found the box {box} and a mask "
            f"whose box is {list(own)} (x_min, y_min, x_max, y_max); are x and y swapped?",
        )
    for line in found.lines or ():
        expect(
            not len(line) or (line.min() >= -EDGE_TOLERANCE_PX and (line <= limits[:2]).all()),
            f"{what}: lines must lie within the frame of {width} x {height} px, found a line "
            f"from {line[:1].tolist()} to {line[-1:].tolist()}",
        )


def expect_declared(found: Instances, declared: Collection[str], what: str) -> None:
    """Expect only defect types that the component declares."""
    undeclared = sorted(set(found.defect_types.tolist()) - set(declared))
    expect(
        not undeclared,
        f"{what} must be of the declared defect_types ({', '.join(declared) or 'none'}), "
        f"found: {', '.join(undeclared)}",
    )


def expect_own_names(units: Mapping[str, str]) -> None:
    """Expect measurements, given by their units, that replace no column of the tables."""
    # Here, for it imports pandas, which a module with hooks and their tests would load.
    from defectscope.core.tables import taken_names

    taken = taken_names(units)
    expect(
        not taken,
        f"a column {' or '.join(map(repr, taken))} would replace one that every table has, or "
        "that is worked out from the others; choose another name",
    )


@contextmanager
def global_randomness_untouched() -> Iterator[None]:
    """Expect that nobody draws from, or seeds, the global random generators meanwhile."""
    before = _global_state()
    yield
    expect(
        _global_state() == before,
        "random numbers must come from the rng that is passed in: the global generator of "
        "numpy.random or random was used or seeded",
    )


def _global_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - looked at, not used
    return name, digest(keys), *rest, random.getstate()
