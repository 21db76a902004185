"""From a dataset to a COCO document."""

from __future__ import annotations

from typing import Any

import numpy as np

from defectscope.core.datasets import Dataset
from defectscope.core.geometry.ellipses import ellipse_area
from defectscope.core.instances import Instances
from defectscope.readers.formats.holdings import (
    Notes,
    ellipse_at,
    known_ellipses,
    note_losses,
    origin_at,
    type_names,
)
from defectscope.readers.formats.image_files import relative_name
from defectscope.readers.formats.run_lengths import compressed_counts

__all__ = ["coco_document"]

HELD = ("scores", "ignore", "masks", "lines", "ellipses", "tracks", "frames", "pixel_sizes",
        "doses", "origins")  # fmt: skip


def coco_document(dataset: Dataset) -> tuple[dict[str, Any], list[str]]:
    """Return what goes into the file, and warnings about what it cannot hold.

    Scores are written where any is other than 1: truth has none.
    """
    names = type_names(dataset.images, dataset.defect_types)
    ids = {name: number for number, name in enumerate(names, 1)}
    scored = any((image.instances.scores != 1).any() for image in dataset.images)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    notes = Notes()
    note_losses(dataset, HELD, notes)
    for image_id, image in enumerate(dataset.images, 1):
        height, width = image.instances.image_shape
        name = relative_name(image.file_name)
        entry = {"id": image_id, "file_name": name, "width": width, "height": height}
        if image.frame is not None:
            entry["frame"] = image.frame
        if image.pixel_size_nm is not None:
            entry["pixel_size_nm"] = image.pixel_size_nm
        if image.dose_dpa is not None:
            entry["dose_dpa"] = image.dose_dpa
        if image.size_is_guessed:
            entry["size_is_guessed"] = True
        images.append(entry)
        for annotation in _annotations(image.instances, ids, scored):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    document = {"images": images, "annotations": annotations, "categories": categories}
    return document, list(notes.texts())


def _annotations(instances: Instances, ids: dict[str, int], scored: bool) -> list[dict[str, Any]]:
    ellipses, boxes = known_ellipses(instances).tolist(), instances.boxes.tolist()
    types, ignored = instances.defect_types.tolist(), instances.ignore.tolist()
    areas = [mask.area_px for mask in instances.masks or ()] or [0] * len(instances)
    counts = _counts(instances, areas)
    entries = []
    for position in range(len(instances)):
        x0, y0, x1, y1 = boxes[position]
        entry: dict[str, Any] = {
            "category_id": ids[types[position]],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": areas[position] or _area(instances, position, ellipses[position]),
            "iscrowd": 0,
            "ignore": int(ignored[position]),
        }
        if scored:
            entry["score"] = float(instances.scores[position])
        if position in counts:
            entry["segmentation"] = {
                "size": list(instances.image_shape), "counts": counts[position]
            }  # fmt: skip
        entry.update(_geometry(instances, position, ellipses[position]))
        entries.append(entry)
    return entries


def _counts(instances: Instances, areas: list[int]) -> dict[int, str]:
    """Return the run lengths of the masks that are not empty, by position."""
    filled = [position for position, area in enumerate(areas) if area]
    masks = [instances.masks[position] for position in filled] if instances.masks else []
    return dict(zip(filled, compressed_counts(masks, instances.image_shape), strict=True))


def _area(instances: Instances, position: int, has_ellipse: bool) -> float:
    if has_ellipse:
        _, _, major, minor, _ = ellipse_at(instances, position)
        return float(ellipse_area(major, minor))
    x0, y0, x1, y1 = (float(v) for v in instances.boxes[position])
    return (x1 - x0) * (y1 - y0)


def _geometry(instances: Instances, position: int, has_ellipse: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if has_ellipse:
        keys = ("cx", "cy", "major", "minor", "angle_deg")
        entry["ellipse"] = dict(zip(keys, ellipse_at(instances, position), strict=True))
    line = None if instances.lines is None else instances.lines[position]
    if line is not None and len(line) > 1:
        entry["line"] = line.tolist()
    identity = instances.measurements.get("track_id")
    if identity is not None and np.isfinite(identity[position]):
        entry["track_id"] = int(identity[position])
    origin = origin_at(instances, position)
    if origin is not None:
        entry["origin"] = origin
    return entry
