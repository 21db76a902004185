"""What datasets hold, what of it a format has no place for, and warnings about both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.instances import Instances

__all__ = [
    "ELLIPSE_UNITS",
    "Ellipse",
    "Notes",
    "ellipse_at",
    "known_ellipses",
    "loaded",
    "note_losses",
    "type_names",
]

ELLIPSE_UNITS = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg"}
Ellipse = tuple[float, float, float, float, float]


class Notes:
    """Warnings, those about many entries with their count."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, what: str, times: int = 1) -> None:
        """Add to the count of a kind of event, given as a noun phrase in the plural."""
        if times:
            self._counts[what] += times

    def add(self, text: str) -> None:
        """Add a warning without a count."""
        self._counts[text] = 0

    def texts(self) -> tuple[str, ...]:
        """Return the warnings in the order of their first event."""
        return tuple(f"{what}: {n}" if n else what for what, n in self._counts.items())


def known_ellipses(instances: Instances) -> NDArray[np.bool_]:
    """Return (n,) whether each instance has a whole ellipse among its measurements."""
    columns = instances.measurements
    if not set(ELLIPSE_UNITS) <= set(columns):
        return np.zeros(len(instances), bool)
    values = np.array([columns[name] for name in ELLIPSE_UNITS], float)
    known: NDArray[np.bool_] = np.isfinite(values).all(axis=0) & (values[2:4] > 0).all(axis=0)
    return known


def ellipse_at(instances: Instances, position: int) -> Ellipse:
    """Return x, y, major_px, minor_px, angle_deg of one instance."""
    x, y, major, minor, angle = (
        float(instances.measurements[name][position]) for name in ELLIPSE_UNITS
    )
    return x, y, major, minor, angle


def note_losses(dataset: Dataset, holds: Collection[str], notes: Notes) -> None:
    """Count in `notes` what the instances have and a format has no place for.

    Parameters
    ----------
    holds
        Those of ``scores``, ``ignore``, ``masks``, ``lines``, ``ellipses`` and ``tracks`` that
        the format keeps.
    """
    for image in dataset.images:
        found = image.instances
        tracks = found.measurements.get("track_id", np.zeros(0))
        counts: dict[str, int] = {
            "scores": int(np.count_nonzero(found.scores != 1)),
            "ignore": int(np.count_nonzero(found.ignore)),
            "masks": sum(mask.area_px > 0 for mask in found.masks or ()),
            "lines": sum(len(line) > 1 for line in found.lines or ()),
            "ellipses": int(np.count_nonzero(known_ellipses(found))),
            "tracks": int(np.count_nonzero(np.isfinite(tracks.astype(float)))),
        }
        for name, count in counts.items():
            if name not in holds:
                what = "instances to be ignored" if name == "ignore" else name
                notes.count(f"{what} that the format has no place for, left out", count)
        for name in found.measurements:
            if name not in ELLIPSE_UNITS and name != "track_id":
                notes.count(
                    f"values of {name!r} that the format has no place for, left out", len(found)
                )


def type_names(images: Iterable[LabelledImage], known: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the `known` defect types in their order, then those that only instances name."""
    names = dict.fromkeys(known)
    for image in images:
        names.update(dict.fromkeys(str(name) for name in image.instances.defect_types))
    return tuple(names)


def loaded(
    images: Sequence[LabelledImage], folder: Path | None, types: Iterable[str], notes: Notes
) -> Dataset:
    """Return a dataset with the warnings of `notes`."""
    return Dataset(tuple(images), folder, type_names(images, types), notes.texts())
