"""Instances as regions of ImageJ."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.defect_types import DefectType
from defectscope.core.files import atomic_path
from defectscope.core.geometry.ellipses import ellipse_boxes, ellipse_points
from defectscope.core.geometry.polylines import polyline_box
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.readers.formats.holdings import (
    Ellipse,
    Notes,
    ellipse_at,
    known_ellipses,
    note_box,
    origin_at,
)
from defectscope.readers.formats.image_files import relative_name
from defectscope.readers.formats.imagej_positions import positions_of
from defectscope.readers.formats.imagej_regions import LINE_OFFSET, placed, region_of
from defectscope.readers.formats.outlines import mask_polygons

__all__ = ["write_regions"]

MOVE, LINE, CLOSE = 0.0, 1.0, 4.0
# Vertices of ImageJ's own ellipses.
ELLIPSE_VERTICES = 72
# Archives of the same instances are the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_regions(
    dataset: Dataset, path: Path, types: Mapping[str, DefectType], notes: Notes
) -> None:
    """Write a ``.zip`` that the ROI manager opens, in the colours of the defect types.

    Entries are named ``POSITION-INSTANCE.roi``, both from 1; the name inside is the defect type.
    """
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        numbers = positions_of(dataset.images, notes)
        for number, image in zip(numbers, dataset.images, strict=True):
            ellipses = known_ellipses(image.instances)
            for position in range(len(image.instances)):
                roi = _shape(image.instances, position, bool(ellipses[position]), notes)
                roi.name = str(image.instances.defect_types[position])
                roi.position = number
                roi.props = _properties(image, position, roi)
                if roi.name in types:
                    roi.stroke_color = b"\xff" + bytes.fromhex(types[roi.name].colour[1:])
                entry = zipfile.ZipInfo(f"{number:04d}-{position + 1:04d}.roi", EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, roi.tobytes())


def _properties(image: LabelledImage, position: int, roi: ImagejRoi) -> str:
    instances = image.instances
    height, width = instances.image_shape
    values: dict[str, Any] = {
        "defect_type": str(instances.defect_types[position]),
        "image": relative_name(image.file_name),
        "size": f"{width} x {height}",
    }
    if image.frame is not None:
        values["frame"] = image.frame
    if image.pixel_size_nm is not None:
        values["pixel_size_nm"] = image.pixel_size_nm
    if instances.scores[position] != 1:
        values["score"] = float(instances.scores[position])
    if instances.ignore[position]:
        values["ignore"] = 1
    tracks = instances.measurements.get("track_id")
    if tracks is not None and np.isfinite(tracks[position]):
        values["track_id"] = int(tracks[position])
    origin, region = origin_at(instances, position), region_of(roi)
    if origin is not None and region is not None:
        values |= {"origin": origin, "placed": placed(region.box)}
    # The escapes of JSON are those of Java's properties.
    return "".join(f"{key}: {json.dumps(str(v))[1:-1]}\n" for key, v in sorted(values.items()))


def _shape(instances: Instances, position: int, has_ellipse: bool, notes: Notes) -> ImagejRoi:
    line = None if instances.lines is None else instances.lines[position]
    mask = None if instances.masks is None else instances.masks[position]
    has_mask = mask is not None and mask.area_px > 0
    has_line = line is not None and len(line) > 1
    if has_ellipse:
        notes.count("masks of instances that have an ellipse, left out", int(has_mask))
        notes.count("lines of instances that have an ellipse, left out", int(has_line))
        ellipse = ellipse_at(instances, position)
        note_box(instances, position, ellipse_boxes(*ellipse)[0], notes)
        return _ellipse(ellipse)
    if line is not None and has_line:
        notes.count("masks of instances that have a line, left out", int(has_mask))
        note_box(instances, position, polyline_box(line), notes)
        return _polygon(line - LINE_OFFSET, ROI_TYPE.POLYLINE)
    if mask is not None and has_mask:
        note_box(instances, position, mask.trimmed().box, notes)
        return _outline(mask)
    return _rectangle(instances.boxes[position].astype(float))


def _polygon(points: NDArray[np.float64], kind: ROI_TYPE) -> ImagejRoi:
    roi = ImagejRoi.frompoints(points.astype(np.float32), name="-")
    roi.roitype = kind
    return roi


def _rectangle(box: NDArray[np.float64]) -> ImagejRoi:
    x0, y0, x1, y1 = box.tolist()
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
        left=math.floor(x0), top=math.floor(y0), right=math.ceil(x1), bottom=math.ceil(y1),
        xd=x0, yd=y0, widthd=x1 - x0, heightd=y1 - y0,
    )  # fmt: skip


def _ellipse(ellipse: Ellipse) -> ImagejRoi:
    x, y, major, minor, angle = ellipse
    if minor > major:
        major, minor, angle = minor, major, angle + 90
    roi = _polygon(ellipse_points(x, y, major, minor, angle, ELLIPSE_VERTICES), ROI_TYPE.FREEHAND)
    roi.subtype = ROI_SUBTYPE.ELLIPSE
    dx, dy = (major / 2 * f(math.radians(angle)) for f in (math.cos, math.sin))
    roi.x1, roi.y1, roi.x2, roi.y2 = x - dx, y + dy, x + dx, y - dy
    # ImageJ keeps minor / major as a float over the bytes of three fields.
    packed = struct.pack(roi.byteorder + "f", minor / major)
    (
        roi.arrow_style_or_aspect_ratio,
        roi.arrow_head_size,
        roi.rounded_rect_arc_size,
    ) = struct.unpack(roi.byteorder + "BBh", packed)
    return roi


def _outline(mask: Mask) -> ImagejRoi:
    outer, holes = mask_polygons(mask)
    if len(outer) == 1 and not holes:
        return _polygon(outer[0], ROI_TYPE.POLYGON)
    path: list[float] = []
    for points in (*outer, *holes):
        for number, (x, y) in enumerate(points.tolist()):
            path += [LINE if number else MOVE, x, y]
        path.append(CLOSE)
    x0, y0, x1, y1 = mask.trimmed().box
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        left=x0, top=y0, right=x1, bottom=y1,
        shape_roi_size=len(path),
        multi_coordinates=np.array(path, np.float32),
    )  # fmt: skip
