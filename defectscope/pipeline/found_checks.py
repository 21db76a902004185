"""Whether what a detector or a post-processor returned is what was found in its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.errors import ComponentError
from defectscope.core.instances import Instances
from defectscope.core.positions import position_axis
from defectscope.core.tables import taken_names
from defectscope.pipeline.named import NamedComponent, outside

if TYPE_CHECKING:
    from defectscope.core.base import PostProcessor
    from defectscope.core.frames import Frame

__all__ = ["check_found", "check_processed"]

# What diameters are worked out from, whatever their unit.
AXES = ("major_px", "minor_px")
# Kinds of arrays: flags, whole numbers, and others.
NUMBERS = "biuf"
# The longest numbers that files of tables hold, bytes.
LONGEST = 8
# Of scores that float32 holds.
ROUNDING = 1e-4


def check_found(named: NamedComponent, found: Any, frames: Sequence[Frame]) -> None:
    """Check that a component returned one Instances a frame, inside of it.

    Raises
    ------
    ComponentError
        It did not; names the component.
    """
    if not isinstance(found, list | tuple) or len(found) != len(frames):
        size = f"{len(found)} of them" if isinstance(found, list | tuple) else type(found).__name__
        raise ComponentError(
            f"{named.describe()} must return one Instances for each of {len(frames)} frames, "
            f"found {size}"
        )
    for instances, frame in zip(found, frames, strict=True):
        if not isinstance(instances, Instances):
            raise ComponentError(
                f"{named.describe()} must return Instances on {frame.source}, "
                f"found {type(instances).__name__}"
            )
        if instances.image_shape != frame.shape:
            raise ComponentError(
                f"{named.describe()} returned instances of an image of {instances.image_shape} "
                f"on {frame.source}, which is {frame.shape}"
            )
        fault = _measurement_fault(instances)
        if fault is not None:
            raise ComponentError(f"{named.describe()} returned {fault} on {frame.source}")
        taken = taken_names(instances.units)
        if taken:
            raise ComponentError(
                f"{named.describe()} must give its measurements names of their own; "
                f"{', '.join(taken)} of {frame.source} would replace a column of the tables"
            )
        fault = _place_fault(instances)
        if fault is not None:
            raise ComponentError(
                f"{named.describe()} returned {fault} of {frame.source} "
                f"({frame.shape[1]} x {frame.shape[0]} px)"
            )


def check_processed(
    named: NamedComponent, frame: Frame, given: Instances, found: Instances
) -> None:
    """Check that a post-processor did with the instances of a frame what it declares.

    Parameters
    ----------
    named
        The post-processor.
    frame, given
        What it was given.
    found
        What it returned, of which :func:`check_found` has found nothing wrong.

    Raises
    ------
    ComponentError
        There are more of them, or fewer where it drops none; other columns than those given and
        declared; or other instances of a shape that it does not handle. Names the post-processor.
    """
    post: PostProcessor = named.component
    where = f"on {frame.source}"
    if len(found) > len(given):
        raise ComponentError(
            f"{named.describe()} must return as many or fewer instances {where}, found "
            f"{len(found)} for {len(given)}"
        )
    if len(found) < len(given) and not post.drops:
        raise ComponentError(
            f"{named.describe()} left out {len(given) - len(found)} of {len(given)} instances "
            f"{where}, which its class must declare with drops = True: precision and recall of the "
            "detector do not hold after it"
        )
    # Of a frame without instances a column holds nothing.
    expected = {**given.units, **post.columns}
    if len(found) and dict(found.units) != expected:
        raise ComponentError(
            f"{named.describe()} must keep the columns that it is given, and add those that it "
            f"declares, with their units; {_other_columns(expected, found.units)} {where}"
        )
    if not _same(given, _others(post, given), found, _others(post, found)):
        raise ComponentError(
            f"{named.describe()} is about shapes {' and '.join(post.shapes)}, and must return "
            f"instances of others as they are; found other ones {where}"
        )


def _other_columns(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    parts = {
        "missing": sorted(expected.keys() - found.keys()),
        "not declared": sorted(found.keys() - expected.keys()),
        "in other units": [n for n in expected if found.get(n, expected[n]) != expected[n]],
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)


def _others(post: PostProcessor, instances: Instances) -> np.ndarray:
    """Return where types are whose shape is known, and not one that `post` handles."""
    known = post.runtime.defect_types
    names = set(instances.defect_types.tolist())
    others = [name for name in names if name in known and known[name].shape not in post.shapes]
    return np.flatnonzero(np.isin(instances.defect_types, others)) if others else np.zeros(0, int)


def _same(given: Instances, old: np.ndarray, found: Instances, new: np.ndarray) -> bool:
    """Whether instances `new` are as `old` were, with nothing in the columns that were added."""
    fields = ("boxes", "scores", "defect_types", "ignore")
    if len(old) != len(new):
        return False
    nothing = np.full(len(given), np.nan)
    return all(
        np.array_equal(getattr(given, field)[old], getattr(found, field)[new]) for field in fields
    ) and all(
        _same_values(given.measurements.get(name, nothing)[old], values[new])
        for name, values in found.measurements.items()
        # Text has many words for nothing.
        if name in given.measurements or values.dtype.kind in NUMBERS
    )


def _same_values(given: np.ndarray, found: np.ndarray) -> bool:
    numbers = given.dtype.kind in NUMBERS and found.dtype.kind in NUMBERS
    return np.array_equal(given, found, equal_nan=numbers)


def _place_fault(found: Instances) -> str | None:
    """Return what is wrong with scores and places, as a phrase that `` of FRAME`` ends."""
    if outside(found).any():
        return "boxes outside"
    wrong = found.scores[(found.scores < -ROUNDING) | (found.scores > 1 + ROUNDING)]
    if len(wrong):
        return f"the score {wrong[0]:g}, which must be within 0 and 1, for an instance"
    # A centre that was not measured is that of the box.
    centres = [
        np.where(np.isfinite(values), values, 0)
        for values in (found.measurements.get(name, np.zeros(len(found))) for name in ("x", "y"))
    ]
    if _any_far(np.stack(centres, axis=1), found.image_shape):
        return "measured centres x, y far outside"
    masks = [mask.box for mask in found.masks or () if mask.bitmap.size]
    if masks and _any_far(np.reshape(masks, (-1, 2)), found.image_shape):
        return "masks far outside"
    lines = [line for line in found.lines or () if len(line)]
    if lines and _any_far(np.concatenate(lines), found.image_shape):
        return "lines with vertices that are NaN or far outside"
    return None


def _any_far(points: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether one of (n, 2) points lies by more than the size of the frame outside of it."""
    size = np.array(shape[::-1])
    return not bool(((points >= -size) & (points <= 2 * size)).all())


def _measurement_fault(found: Instances) -> str | None:
    """Return what is wrong with the names and the kinds of measurements, as a phrase."""
    measurements: Mapping[Any, np.ndarray] = found.measurements
    for name, values in measurements.items():
        if not isinstance(name, str):
            return f"a measurement whose name must be text, found {name!r:.80},"
        reckoned = bool(found.units[name]) or name in AXES or position_axis(name) is not None
        number = values.dtype.kind in NUMBERS and values.dtype.itemsize <= LONGEST
        if not number and (reckoned or not _is_text(values)):
            kinds = "real numbers" if reckoned else "flags, real numbers or text"
            return f"a measurement {name!r} that must be {kinds}, found {values.dtype},"
    return None


def _is_text(values: np.ndarray) -> bool:
    """Whether an array holds text, or nothing in its place."""
    if values.dtype.kind != "O":
        return values.dtype.kind == "U"
    return all(v is None or isinstance(v, str) or (v != v) is True for v in values.tolist())
