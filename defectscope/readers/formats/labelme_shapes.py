"""Shapes of labelme and instances."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defectscope.core.errors import FormatError
from defectscope.core.geometry.ellipses import ellipse_points
from defectscope.core.geometry.polylines import polyline_box
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.readers.formats.collecting import Annotation
from defectscope.readers.formats.holdings import Notes, ellipse_at, known_ellipses, note_box
from defectscope.readers.formats.json_values import Entry, kind_of, point_list
from defectscope.readers.formats.outlines import (
    LARGEST_MASK_PX,
    mask_polygons,
    polygon_box,
    united,
)

__all__ = ["annotations_of", "shapes_of"]

Points = NDArray[np.float64]
FEWEST_POINTS = {
    "rectangle": 2, "polygon": 3, "circle": 2, "line": 2, "linestrip": 2, "mask": 2,
}  # fmt: skip


def annotations_of(top: Entry, shape: tuple[int, int], notes: Notes) -> Iterator[Annotation]:
    """Yield the annotations of a labelme file; shapes without an extent are left out.

    Raises
    ------
    FormatError
        A shape is malformed.
    """
    parts: dict[Any, list[Points]] = {}
    firsts: list[tuple[Entry, str, Any]] = []
    for position, value in enumerate(top.items("shapes")):
        entry = Entry(value, f"{top.where}: shape at position {position}")
        # Files of labelme before version 3 know polygons only.
        kind = entry.text("shape_type") if entry.has("shape_type") else "polygon"
        if kind not in FEWEST_POINTS:
            notes.count(f"labelme shapes of the type {kind!r}, left out")
            continue
        points = point_list(entry.get("points"), f"{entry.where}: 'points'", FEWEST_POINTS[kind])
        key: Any = position
        if kind == "polygon" and entry.has("group_id"):
            key = (entry.text("label"), entry.integer("group_id"))
        if key not in parts:
            firsts.append((entry, kind, key))
        parts.setdefault(key, []).append(points)
    for entry, kind, key in firsts:
        yield _annotation(entry, kind, parts[key], shape)


def _annotation(entry: Entry, kind: str, parts: list[Points], shape: tuple[int, int]) -> Annotation:
    points = parts[0]
    box, mask, line, ellipse = polygon_box(parts), None, None, None
    if kind == "polygon":
        mask = united(parts, shape, entry.where)
    elif kind == "mask":
        whole = _bitmap(entry, points).trimmed()
        box, mask = whole.box, whole.clipped(shape)
    elif kind == "circle":
        # The centre, and any point of the rim.
        (x, y), radius = points[0], float(np.hypot(*(points[1] - points[0])))
        box = (x - radius, y - radius, x + radius, y + radius)
        ellipse = (float(x), float(y), 2 * radius, 2 * radius, 0.0)
    elif kind in ("line", "linestrip"):
        line = points
        box = polyline_box(points)
    flags = Entry(entry.value.get("flags") or {}, f"{entry.where}: 'flags'")
    return Annotation(
        entry.where,
        box,
        entry.text("label"),
        score=entry.number("score") if entry.has("score") else 1.0,
        ignore=any(place.flag(key) for place in (flags, entry) for key in ("ignore", "difficult")),
        mask=mask,
        line=line,
        ellipse=ellipse,
        track_id=entry.track_id(),
    )


def _bitmap(entry: Entry, points: Points) -> Mask:
    """Return the mask that is kept as a PNG between two corners, whose pixels are part of it."""
    from PIL import Image

    low, high = points.min(axis=0), points.max(axis=0)
    # A mask that was moved by a fraction of a pixel has as many pixels as before.
    width, height = np.round(high - low) + 1
    if width * height > LARGEST_MASK_PX:
        raise FormatError(
            f"{entry.where}: the mask covers {width:.0f} x {height:.0f} px; masks of more than "
            f"{LARGEST_MASK_PX} pixels cannot be read"
        )
    what, text = f"{entry.where}: 'mask'", entry.get("mask")
    if not isinstance(text, str):
        raise FormatError(f"{what}: expected a PNG image in base64, found {kind_of(text)}")
    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG"]) as image:
            if image.size != (width, height):
                raise FormatError(
                    f"{what}: expected an image of {width:.0f} x {height:.0f} px, as 'points' say, "
                    f"found {image.width} x {image.height} px"
                )
            bitmap = np.asarray(image.convert("L")) > 0
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"{what}: expected a PNG image in base64: {error}") from error
    x, y = np.floor(low + 0.5)
    return Mask(int(x), int(y), bitmap)


def shapes_of(instances: Instances, notes: Notes) -> list[dict[str, Any]]:
    """Return the shapes of a labelme file."""
    ellipses = known_ellipses(instances)
    tracks = instances.measurements.get("track_id")
    shapes: list[dict[str, Any]] = []
    for position in range(len(instances)):
        kind, parts = _outline(instances, position, bool(ellipses[position]), notes)
        box = polyline_box(parts[0]) if kind == "linestrip" else polygon_box(parts)
        note_box(instances, position, box, notes)
        extra: dict[str, Any] = {}
        if instances.scores[position] != 1:
            extra["score"] = float(instances.scores[position])
        if tracks is not None and np.isfinite(tracks[position]):
            extra["track_id"] = int(tracks[position])
        shapes.extend(
            {
                "label": str(instances.defect_types[position]),
                "points": points.tolist(),
                # Parts of one instance share a number.
                "group_id": position if len(parts) > 1 else None,
                "shape_type": kind,
                "flags": {"ignore": True} if instances.ignore[position] else {},
                **extra,
            }
            for points in parts
        )
    return shapes


def _outline(
    instances: Instances, position: int, has_ellipse: bool, notes: Notes
) -> tuple[str, list[Points]]:
    line = None if instances.lines is None else instances.lines[position]
    mask = None if instances.masks is None else instances.masks[position]
    has_line = line is not None and len(line) > 1
    has_mask = mask is not None and mask.area_px > 0
    if has_ellipse and (has_line or has_mask):
        notes.count("ellipses of instances that have a mask or a line, left out")
    if line is not None and has_line:
        notes.count("masks of instances that have a line, left out", int(has_mask))
        return "linestrip", [line]
    if mask is not None and has_mask:
        outer, holes = mask_polygons(mask)
        notes.count("holes in masks, filled because labelme has none", len(holes))
        return "polygon", outer
    if has_ellipse:
        notes.count("ellipses written as polygons of 64 points")
        return "polygon", [ellipse_points(*ellipse_at(instances, position))]
    return "rectangle", [instances.boxes[position].astype(float).reshape(2, 2)]
