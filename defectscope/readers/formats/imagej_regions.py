"""Regions of ImageJ as annotations."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from defectscope.core.errors import FormatError
from defectscope.core.geometry.angles import undirected_deg
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.core.geometry.polylines import polyline_box
from defectscope.readers.formats.collecting import Annotation
from defectscope.readers.formats.holdings import Ellipse, Notes
from defectscope.readers.formats.image_files import relative_name
from defectscope.readers.formats.imagej_files import region_bytes
from defectscope.readers.formats.imagej_positions import check_axes, position_in
from defectscope.readers.formats.outlines import crossed_polygons, polygon_box

__all__ = ["LINE_OFFSET", "Region", "annotation_of", "placed", "read_regions", "region_of"]

# A region that was not touched comes back nearer than this.
UNMOVED_PX = 0.01

# ImageJ's lines and points give pixel centres whole numbers; its areas give them to corners.
LINE_OFFSET = 0.5
AREAS = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
LINES = (ROI_TYPE.LINE, ROI_TYPE.POLYLINE, ROI_TYPE.FREELINE)
# What foreign bytes can make the decoder of roifile raise.
DECODING_ERRORS = (
    ValueError, TypeError, IndexError, OverflowError, MemoryError, RuntimeError, struct.error,
)  # fmt: skip
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """One region, with what it says about its image.

    Parameters
    ----------
    where, source
        File and entry for messages, and the stem of the file.
    name
        As shown by the ROI manager.
    position
        Number of its image in a series, from 1; 0 where none is set.
    box
        ``x_min, y_min, x_max, y_max`` in px.
    polygons, line, ellipse
        Its geometry; of several polygons, inner ones are holes.
    properties
        Texts by key.
    """

    where: str
    source: str
    name: str
    position: int
    box: tuple[float, ...]
    polygons: tuple[Points, ...] = ()
    line: Points | None = None
    ellipse: Ellipse | None = None
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str | None:
        """Name of the image, where it is kept."""
        name = self.properties.get("image")
        return None if name is None else relative_name(name, where=self.where)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) of the image, where it is kept."""
        match = re.fullmatch(r"([1-9]\d{0,5}) x ([1-9]\d{0,5})", self.properties.get("size", ""))
        return None if match is None else (int(match[2]), int(match[1]))

    @property
    def frame(self) -> int | None:
        """Frame index, where it is kept."""
        text = self.properties.get("frame", "")
        return int(text) if re.fullmatch(r"\d{1,9}", text) else None

    @property
    def pixel_size_nm(self) -> float | None:
        """Pixel size of the image in nm, where it is kept."""
        try:
            size = float(self.properties.get("pixel_size_nm", "nan"))
        except ValueError:
            return None
        return size if math.isfinite(size) and size > 0 else None


def read_regions(path: Path, notes: Notes) -> Iterator[Region]:
    """Yield the regions of a ``.roi``, a ``.zip``, or a folder of ``.roi`` files.

    Raises
    ------
    FormatError
        A file is damaged.
    """
    series: set[str] = set()
    for source, where, data in region_bytes(path):
        try:
            roi = ImagejRoi.frombytes(data)
            check_axes(series, roi, where)
            region = _region(roi, where, source)
        except NotImplementedError as error:
            raise FormatError(
                f"{where}: the region has curves, which cannot be read; in ImageJ, choose "
                "Edit > Selection > Convex Hull or Interpolate to make it a polygon"
            ) from error
        except DECODING_ERRORS as error:
            raise FormatError(f"{where}: this is no region of ImageJ: {error}") from error
        if region is None:
            kind = f"{roi.roitype.name} {roi.subtype.name}".replace(" UNDEFINED", "").lower()
            notes.count(f"regions of the kind {kind!r}, left out")
        else:
            yield region


def _region(roi: ImagejRoi, where: str, source: str) -> Region | None:
    common = (where, source, str(roi.name), position_in(roi))
    properties = _properties(str(roi.props))
    if roi.composite and roi.multi_coordinates is not None:
        polygons = _checked(roi.path2coords(roi.multi_coordinates), where)
        return Region(*common, polygon_box(polygons), polygons, properties=properties)
    plain = roi.subtype == ROI_SUBTYPE.UNDEFINED
    if roi.roitype in (ROI_TYPE.RECT, ROI_TYPE.OVAL) and plain:
        box = _rectangle(roi)
        ellipse = _oval(box) if roi.roitype == ROI_TYPE.OVAL else None
        return Region(*common, box, ellipse=ellipse, properties=properties)
    if roi.roitype in LINES and plain:
        (line,) = _checked([roi.coordinates()], where, 2)
        line = line + LINE_OFFSET
        return Region(*common, polyline_box(line), line=line, properties=properties)
    if roi.roitype == ROI_TYPE.FREEHAND and roi.subtype == ROI_SUBTYPE.ELLIPSE:
        ellipse = _ellipse(roi, where)
        box = tuple(ellipse_boxes(*ellipse)[0].tolist())
        return Region(*common, box, ellipse=ellipse, properties=properties)
    if roi.roitype in AREAS and (plain or roi.subtype == ROI_SUBTYPE.ROTATED_RECT):
        polygons = _checked([roi.coordinates()], where)
        return Region(*common, polygon_box(polygons), polygons, properties=properties)
    return None


def _checked(parts: Iterable[Any], where: str, fewest: int = 3) -> tuple[Points, ...]:
    polygons = tuple(np.asarray(part, float).reshape(-1, 2) for part in parts)
    if not polygons or any(len(points) < fewest for points in polygons):
        raise FormatError(f"{where}: the region has fewer than {fewest} points")
    if not all(np.isfinite(points).all() for points in polygons):
        raise FormatError(f"{where}: expected finite coordinates")
    return polygons


def _rectangle(roi: ImagejRoi) -> tuple[float, float, float, float]:
    if roi.subpixelrect:
        return roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    return float(roi.left), float(roi.top), float(roi.right), float(roi.bottom)


def _oval(box: tuple[float, float, float, float]) -> Ellipse:
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    axes = max(width, height), min(width, height)
    return (x0 + x1) / 2, (y0 + y1) / 2, *axes, 0.0 if width >= height else 90.0


def _ellipse(roi: ImagejRoi, where: str) -> Ellipse:
    # ImageJ keeps the ends of the major axis, and minor / major as a float over three fields.
    packed = struct.pack(
        roi.byteorder + "BBh",
        roi.arrow_style_or_aspect_ratio,
        roi.arrow_head_size,
        roi.rounded_rect_arc_size,
    )
    (ratio,) = struct.unpack(roi.byteorder + "f", packed)
    dx, dy = roi.x2 - roi.x1, roi.y2 - roi.y1
    major = math.hypot(dx, dy)
    if not (math.isfinite(major) and major > 0 and 0 < ratio <= 1):
        raise FormatError(
            f"{where}: expected an ellipse with a major axis above 0 and a ratio of axes up to 1, "
            f"found {major:g} and {ratio:g}"
        )
    angle = float(undirected_deg(math.degrees(math.atan2(-dy, dx))))
    return (roi.x1 + roi.x2) / 2, (roi.y1 + roi.y2) / 2, major, major * ratio, angle


def _properties(text: str) -> dict[str, str]:
    properties = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            continue
        try:
            # The escapes of Java's properties are those of JSON.
            properties[key.strip()] = str(json.loads(f'"{value.strip()}"'))
        except ValueError:
            properties[key.strip()] = value.strip()
    return properties


def region_of(roi: ImagejRoi, where: str = "", source: str = "") -> Region | None:
    """Return what a region of ImageJ says; None for kinds that are no areas and no lines."""
    return _region(roi, where, source)


def placed(box: Iterable[float]) -> str:
    """Return the text that says where a region was when it was written."""
    return " ".join(f"{value:.3f}" for value in box)


def _origin(region: Region, drawn: str | None) -> str | None:
    """Return where a region comes from; one that people moved since it was written is theirs."""
    origin = region.properties.get("origin", drawn)
    written = region.properties.get("placed")
    if origin is None or written is None:
        return origin
    try:
        before = [float(value) for value in written.split()]
    except ValueError:
        return origin
    here = np.array(region.box)
    same = len(before) == len(here) and np.abs(here - before).max() < UNMOVED_PX
    return origin if same else "human"


def annotation_of(
    region: Region,
    shape: tuple[int, int],
    defect_type: str,
    known: Collection[str],
    drawn: str | None = None,
) -> Annotation:
    """Return a region in an image of `shape` (height, width).

    Parameters
    ----------
    region, shape
        The region, and the size of its image.
    defect_type, known
        The type of regions that name none, and the names that are types.
    drawn
        Origin of regions that do not say where they come from.

    Raises
    ------
    FormatError
        Its score or track is no number.
    """
    properties = region.properties
    bare = re.sub(r"[-_ ]\d+$", "", region.name)
    named = next((name for name in (region.name, bare) if name in known), defect_type)
    try:
        score = float(properties.get("score", 1.0))
        track_id = int(properties["track_id"]) if "track_id" in properties else None
    except ValueError as error:
        raise FormatError(
            f"{region.where}: expected numbers as score and track_id: {error}"
        ) from error
    return Annotation(
        region.where,
        region.box,
        properties.get("defect_type") or named,
        score=score,
        ignore=properties.get("ignore") in ("1", "true"),
        mask=crossed_polygons(region.polygons, shape, region.where) if region.polygons else None,
        line=region.line,
        ellipse=region.ellipse,
        track_id=track_id,
        origin=_origin(region, drawn),
    )
