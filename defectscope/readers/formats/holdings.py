"""What datasets hold, what of it a format has no place for, and warnings about both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.geometry.boxes import clip_boxes
from defectscope.core.instances import Instances
from defectscope.core.tables import ORIGINS

__all__ = [
    "ELLIPSE_UNITS",
    "NO_PLACE",
    "Ellipse",
    "Notes",
    "ellipse_at",
    "known_ellipses",
    "loaded",
    "note_box",
    "note_losses",
    "origin_at",
    "type_names",
]

ELLIPSE_UNITS = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg"}
NO_PLACE = "that the format has no place for, left out"
IN_WORDS = {
    "ignore": "instances to be ignored", "frames": "frame indices", "pixel_sizes": "pixel sizes",
    "doses": "doses in dpa",
}  # fmt: skip
# What float32 and nine digits of a fraction do to coordinates is no change.
UNCHANGED_PX = 0.01
Ellipse = tuple[float, float, float, float, float]


class Notes:
    """Warnings, those about many entries with their count."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._largest_px: dict[str, float] = {}

    def count(self, what: str, times: int = 1) -> None:
        """Add to the count of a kind of event, given as a noun phrase in the plural."""
        if times:
            self._counts[what] += times

    def change(self, what: str, by_px: float) -> None:
        """Count a change of a position, of which the largest is told too."""
        self._counts[what] += 1
        self._largest_px[what] = max(by_px, self._largest_px.get(what, 0.0))

    def add(self, text: str) -> None:
        """Add a warning without a count."""
        self._counts[text] = 0

    def texts(self) -> tuple[str, ...]:
        """Return the warnings in the order of their first event."""
        return tuple(self._text(what, n) for what, n in self._counts.items())

    def _text(self, what: str, count: int) -> str:
        if what in self._largest_px:
            what = f"{what}, by up to {self._largest_px[what]:.2f} px"
        return f"{what}: {count}" if count else what


def known_ellipses(instances: Instances) -> NDArray[np.bool_]:
    """Return (n,) whether each instance has a whole ellipse among its measurements."""
    columns = instances.measurements
    if not set(ELLIPSE_UNITS) <= set(columns):
        return np.zeros(len(instances), bool)
    values = np.array([columns[name] for name in ELLIPSE_UNITS], float)
    known: NDArray[np.bool_] = np.isfinite(values).all(axis=0) & (values[2:4] > 0).all(axis=0)
    return known


def origin_at(instances: Instances, position: int) -> str | None:
    """Return where one instance comes from, where it is known."""
    codes = instances.measurements.get("origin")
    if codes is None or not np.isfinite(codes[position]):
        return None
    return ORIGINS[int(codes[position])]


def ellipse_at(instances: Instances, position: int) -> Ellipse:
    """Return x, y, major_px, minor_px, angle_deg of one instance."""
    x, y, major, minor, angle = (
        float(instances.measurements[name][position]) for name in ELLIPSE_UNITS
    )
    return x, y, major, minor, angle


def note_box(
    instances: Instances, position: int, shape_box: Sequence[float] | NDArray[Any], notes: Notes
) -> None:
    """Note where the box of an instance will not come back as it is.

    Parameters
    ----------
    shape_box
        ``x_min, y_min, x_max, y_max`` of the shape that is written instead, in px: readers take
        the box from it, and cut that at the rim of the image.
    """
    whole = np.asarray(shape_box, float)
    inside = clip_boxes(whole, instances.image_shape)[0]
    if (inside[2:].astype(np.float32) <= inside[:2].astype(np.float32)).any():
        notes.count("shapes outside of their image, which are left out on reading")
        return
    by_px = float(np.abs(inside - instances.boxes[position]).max())
    if by_px > UNCHANGED_PX:
        notes.change("boxes changed, because the format takes them from the shapes", by_px)
    if np.abs(inside - whole).max() > UNCHANGED_PX:
        notes.count(
            "shapes that reach over the rim of their image, whose boxes are cut there on reading"
        )


def note_losses(dataset: Dataset, holds: Collection[str], notes: Notes) -> None:
    """Count in `notes` what images and instances have and a format has no place for.

    Parameters
    ----------
    holds
        Those of ``scores``, ``ignore``, ``masks``, ``lines``, ``ellipses``, ``tracks``,
        ``frames``, ``pixel_sizes``, ``doses`` and ``origins`` that the format keeps.
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
            "frames": int(image.frame is not None),
            "pixel_sizes": int(image.pixel_size_nm is not None),
            "doses": int(image.dose_dpa is not None),
        }
        for name, count in counts.items():
            if name not in holds:
                notes.count(f"{IN_WORDS.get(name, name)} {NO_PLACE}", count)
        for name in found.measurements:
            if name == "origin" and "origins" in holds:
                continue
            if name not in ELLIPSE_UNITS and name != "track_id":
                notes.count(f"values of {name!r} {NO_PLACE}", len(found))


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
