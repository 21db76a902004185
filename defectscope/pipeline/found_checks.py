"""Whether what a detector or a post-processor returned is what was found in its frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import ComponentError
from defectscope.core.instances import Instances
from defectscope.core.positions import position_axis
from defectscope.core.tables import taken_names
from defectscope.pipeline.named import NamedComponent, outside

if TYPE_CHECKING:
    import numpy as np

    from defectscope.core.frames import Frame

__all__ = ["check_found"]

# What diameters are worked out from, whatever their unit.
AXES = ("major_px", "minor_px")
# The longest numbers that files of tables hold, bytes.
LONGEST = 8


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
        if outside(instances).any():
            raise ComponentError(
                f"{named.describe()} returned boxes outside of {frame.source} "
                f"({frame.shape[1]} x {frame.shape[0]} px)"
            )


def _measurement_fault(found: Instances) -> str | None:
    """Return what is wrong with the names and the kinds of measurements, as a phrase."""
    measurements: Mapping[Any, np.ndarray] = found.measurements
    for name, values in measurements.items():
        if not isinstance(name, str):
            return f"a measurement whose name must be text, found {name!r:.80},"
        reckoned = bool(found.units[name]) or name in AXES or position_axis(name) is not None
        number = values.dtype.kind in "biuf" and values.dtype.itemsize <= LONGEST
        if not number and (reckoned or not _is_text(values)):
            kinds = "real numbers" if reckoned else "flags, real numbers or text"
            return f"a measurement {name!r} that must be {kinds}, found {values.dtype},"
    return None


def _is_text(values: np.ndarray) -> bool:
    """Whether an array holds text, or nothing in its place."""
    if values.dtype.kind != "O":
        return values.dtype.kind == "U"
    return all(v is None or isinstance(v, str) or (v != v) is True for v in values.tolist())
