"""Whether what a background or a generator returned can be a sample: else a plugin is at fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from defectscope.core.errors import ComponentError
from defectscope.core.instances import Instances
from defectscope.pipeline.named import NamedComponent, outside

__all__ = ["check_drawn", "check_moved", "check_rendered"]

Shape = tuple[int, int]
# Grey is 0 to 1, and cut there when it is written: a little more is noise or contrast on top of
# it, and much more another scale, of which only white would be left.
LEAST_GREY, MOST_GREY = -0.5, 1.5


def check_rendered(named: NamedComponent, where: str, answer: Any, shape: Shape) -> None:
    """Check that a background returned pixels and parameters.

    Parameters
    ----------
    named
        The background.
    where
        Such as ``for sample 3``.
    answer
        What it returned.
    shape
        (height, width) that was asked for, px.

    Raises
    ------
    ComponentError
        It did not; names the component and the sample.
    """
    if not _is_pair(answer):
        _refuse(named, "must render (pixels, parameters)", where, type(answer).__name__)
    pixels, parameters = answer
    _check_pixels(named, "must render", where, pixels, shape)
    if not isinstance(parameters, Mapping):
        expected = "must render (pixels, parameters) with a dictionary of parameters"
        _refuse(named, expected, where, type(parameters).__name__)


def check_drawn(
    named: NamedComponent, where: str, truth: Any, canvas: np.ndarray, covered: Any
) -> None:
    """Check what a generator drew onto `canvas`, returned, and says that it `covered`.

    Raises
    ------
    ComponentError
        It is no truth, not of the canvas, or no picture; names the component and the sample.
    """
    shape = (canvas.shape[0], canvas.shape[1])
    _check_truth(named, where, truth, shape)
    _check_grey(named, "must leave", where, canvas)
    right = covered is None or (
        isinstance(covered, np.ndarray) and covered.dtype == bool and covered.shape == shape
    )
    if not right:
        expected = f"must say what it covered as a bool array of {shape}, or None"
        _refuse(named, expected, where, _described(covered))


def check_moved(named: NamedComponent, where: str, item: Any, shape: Shape) -> None:
    """Check one item that the sequence of a generator yielded.

    Raises
    ------
    ComponentError
        It is no frame of `shape` and its truth with track ids; names the component, the sample
        and the frame.
    """
    if not _is_pair(item):
        _refuse(named, "must yield (pixels, truth)", where, type(item).__name__)
    pixels, truth = item
    _check_pixels(named, "must yield", where, pixels, shape)
    _check_truth(named, where, truth, shape)
    if not len(truth):
        return
    ids = truth.measurements.get("track_id")
    if ids is None:
        expected = "must give the truth of a sequence a measurement 'track_id'"
        _refuse(named, expected, where, ", ".join(truth.measurements) or "no measurements")
    if not _are_whole(ids) or len(np.unique(ids)) < len(ids):
        expected = "must give every instance of a frame a 'track_id' of its own, a whole number"
        _refuse(named, expected, where, f"{ids.tolist()!r:.80}")


def _are_whole(ids: np.ndarray) -> bool:
    numbers = ids.dtype.kind in "iuf"
    return numbers and bool(np.isfinite(ids).all() and (ids == np.round(ids)).all())


def _is_pair(answer: Any) -> bool:
    return isinstance(answer, tuple | list) and len(answer) == 2


def _check_pixels(named: NamedComponent, must: str, where: str, pixels: Any, shape: Shape) -> None:
    right = isinstance(pixels, np.ndarray) and pixels.dtype == np.float32
    if not right or pixels.shape != shape:
        _refuse(named, f"{must} float32 pixels of {shape}", where, _described(pixels))
    _check_grey(named, must, where, pixels)


def _check_grey(named: NamedComponent, must: str, where: str, pixels: np.ndarray) -> None:
    # Both carry NaN along, and each finds one infinity: the cheapest that does.
    low, high = pixels.min(), pixels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        found = "NaN" if np.isnan(low) else "infinite ones"
        _refuse(named, f"{must} finite grey values", where, found)
    if low < LEAST_GREY or high > MOST_GREY:
        _refuse(named, f"{must} grey values of 0 to 1", where, f"{low:g} to {high:g}")


def _check_truth(named: NamedComponent, where: str, truth: Any, shape: Shape) -> None:
    if not isinstance(truth, Instances):
        _refuse(named, "must return its truth as Instances", where, type(truth).__name__)
    if truth.image_shape != shape:
        expected = f"must return the truth of an image of {shape}"
        _refuse(named, expected, where, f"one of {truth.image_shape}")
    beyond = truth.boxes[outside(truth)]
    if len(beyond):
        corners = ", ".join(f"{value:g}" for value in beyond[0].tolist())
        expected = f"must return boxes inside its frame of {shape[1]} x {shape[0]} px"
        _refuse(named, expected, where, corners)
    declared = named.component.defect_types
    others = set(truth.defect_types[~truth.ignore].tolist()).difference(declared)
    # Distractors that look like one of these would have no label; who declares none is asked less.
    if others and declared:
        expected = f"must label the types that it declares ({', '.join(declared)})"
        _refuse(named, expected, where, ", ".join(sorted(others)))


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of {value.shape}"
    return type(value).__name__


def _refuse(named: NamedComponent, expected: str, where: str, found: str) -> NoReturn:
    raise ComponentError(f"{named.describe()} {expected} {where}, found {found}")
