"""From a COCO document to a dataset."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defectscope.core.datasets import Dataset, LabelledImage, file_of
from defectscope.core.errors import FormatError
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.core.geometry.polylines import polyline_box
from defectscope.core.masks import Mask
from defectscope.readers.formats.collecting import Annotation, collect
from defectscope.readers.formats.holdings import Ellipse, Notes, loaded
from defectscope.readers.formats.image_files import (
    check_size,
    image_size,
    relative_name,
    resting_place,
)
from defectscope.readers.formats.json_values import Entry, finite, kind_of, point_list
from defectscope.readers.formats.outlines import united
from defectscope.readers.formats.run_lengths import counts_from_text, mask_from_counts

__all__ = ["dataset_from_coco"]

Identity = int | str
IMAGE_FOLDERS = ("images", "frames")
CROWDS = (
    "annotations with iscrowd, which count as neither hit nor miss (CVAT flags every mask so; "
    "convert with --set coco.crowd=instances, and they are instances like others)"
)


def dataset_from_coco(document: Any, file: Path, ignore_crowds: bool = True) -> Dataset:
    """Return the dataset that a COCO document describes.

    Parameters
    ----------
    document, file
        What the file holds, and the file.
    ignore_crowds
        Whether annotations with ``iscrowd`` count as neither hit nor miss.

    Raises
    ------
    FormatError
        The document breaks the standard, or contradicts itself or its images.
    """
    top = Entry(document, str(file))
    for key in ("images", "annotations", "categories"):
        if key not in top.value:
            raise FormatError(
                f"{file}: the key {key!r} is missing; a COCO file has 'images', 'annotations' "
                "and 'categories'"
            )
    categories = _by_id(top, "categories", "category")
    names = {key: category.text("name") for key, category in categories.items()}
    images = _by_id(top, "images", "image")
    files = {
        key: relative_name(image.text("file_name"), where=image.where)
        for key, image in images.items()
    }
    folder, files = _settled(file.parent, files)
    sizes = {key: _size(image, folder, files[key]) for key, image in images.items()}

    notes = Notes()
    of_image: dict[Identity, list[Annotation]] = defaultdict(list)
    for position, value in enumerate(top.items("annotations")):
        entry = Entry(value, f"{file}: annotation at position {position}")
        if "id" in entry.value:
            entry.where = f"{file}: annotation {entry.value['id']!r}"
        image, category = (
            _reference(entry, "image_id", sizes),
            _reference(entry, "category_id", names),
        )
        is_crowd = entry.flag("iscrowd") and ignore_crowds
        notes.count(CROWDS, int(is_crowd))
        of_image[image].append(_annotation(entry, names[category], sizes[image], is_crowd))

    labelled = [
        LabelledImage(
            files[key], collect(of_image[key], sizes[key], notes), image.frame(),
            image.pixel_size_nm(), image.dose_dpa(), image.flag("size_is_guessed"),
        )
        for key, image in images.items()
    ]  # fmt: skip
    return loaded(labelled, folder, names.values(), notes)


def _settled(root: Path, files: dict[Identity, str]) -> tuple[Path, dict[Identity, str]]:
    """Return the folder of the images, and their names relative to it."""
    for below in IMAGE_FOLDERS:
        prefix = f"{below}/"
        if files and (root / below).is_dir() and all(n.startswith(prefix) for n in files.values()):
            return root / below, {key: name.removeprefix(prefix) for key, name in files.items()}
    return resting_place(root, files.values(), IMAGE_FOLDERS), files


def _by_id(top: Entry, key: str, what: str) -> dict[Identity, Entry]:
    entries: dict[Identity, Entry] = {}
    for position, value in enumerate(top.items(key)):
        entry = Entry(value, f"{top.where}: {what} at position {position}")
        identity = _identity(entry, "id")
        if identity in entries:
            raise FormatError(f"{top.where}: two entries of {key!r} have the id {identity!r}")
        entry.where = f"{top.where}: {what} {identity!r}"
        entries[identity] = entry
    return entries


def _identity(entry: Entry, key: str) -> Identity:
    value = entry.get(key)
    return value if isinstance(value, str) else entry.integer(key)


def _reference(entry: Entry, key: str, known: dict[Identity, Any]) -> Identity:
    identity = _identity(entry, key)
    if identity not in known:
        kind = key.removesuffix("_id")
        raise FormatError(f"{entry.where}: there is no {kind} with the id {identity!r}")
    return identity


def _size(image: Entry, folder: Path, name: str) -> tuple[int, int]:
    if not (image.has("width") or image.has("height")):
        size = image_size(file_of(folder, name))
        if size is None:
            raise FormatError(
                f"{image.where}: 'width' and 'height' are missing, and there is no image {name} "
                f"in {folder} to take them from"
            )
        return size
    size = image.size("width", "height")
    if not image.flag("size_is_guessed"):
        check_size(folder, name, size, image.where)
    return size


def _annotation(
    entry: Entry, defect_type: str, shape: tuple[int, int], is_crowd: bool
) -> Annotation:
    where = entry.where
    ellipse = _ellipse(entry)
    line = point_list(entry.get("line"), f"{where}: 'line'", 2) if entry.has("line") else None
    mask = _mask(entry, shape)
    return Annotation(
        where,
        _box(entry, mask, line, ellipse),
        defect_type,
        score=entry.number("score") if entry.has("score") else 1.0,
        ignore=entry.flag("ignore") or is_crowd,
        mask=mask,
        line=line,
        ellipse=ellipse,
        track_id=entry.track_id(),
        origin=str(entry.value.get("origin")),  # unless it is one of ours, it means nothing
    )


def _box(
    entry: Entry, mask: Mask | None, line: NDArray[np.float64] | None, ellipse: Ellipse | None
) -> tuple[float, ...]:
    if entry.has("bbox"):
        what = f"{entry.where}: 'bbox'"
        sides = entry.items("bbox")
        if len(sides) != 4:
            raise FormatError(f"{what}: expected [x, y, width, height], found {len(sides)} values")
        x, y, width, height = (finite(side, what) for side in sides)
        # A line along x or y has a box without width or height, and is no mistake.
        if line is None or min(width, height) != 0:
            return x, y, x + width, y + height
    if line is not None:
        return polyline_box(line)
    if ellipse is not None:
        return tuple(ellipse_boxes(*ellipse)[0])
    if mask is not None and mask.area_px:
        return mask.box
    raise FormatError(f"{entry.where}: the key 'bbox' is missing")


def _ellipse(entry: Entry) -> Ellipse | None:
    if not entry.has("ellipse"):
        return None
    values = Entry(entry.get("ellipse"), f"{entry.where}: 'ellipse'")
    major, minor = values.number("major"), values.number("minor")
    if min(major, minor) <= 0:
        raise FormatError(f"{values.where}: expected axes above 0, found {major:g} and {minor:g}")
    return values.number("cx"), values.number("cy"), major, minor, values.number("angle_deg")


def _mask(entry: Entry, shape: tuple[int, int]) -> Mask | None:
    if not entry.value.get("segmentation"):
        return None
    what = f"{entry.where}: 'segmentation'"
    value = entry.get("segmentation")
    if isinstance(value, dict):
        return _run_lengths(Entry(value, what), shape)
    if not isinstance(value, list):
        raise FormatError(f"{what}: expected polygons or run lengths, found {kind_of(value)}")
    polygons = []
    for flat in value:
        if flat == []:
            continue  # tools leave one behind where a polygon was taken away
        if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2:
            raise FormatError(
                f"{what}: expected polygons [x1, y1, x2, y2, x3, y3, ...] of an even count of at "
                f"least 6 numbers, found {len(flat) if isinstance(flat, list) else kind_of(flat)}"
            )
        polygons.append(np.array([finite(c, what) for c in flat]).reshape(-1, 2))
    return united(polygons, shape, what) if polygons else None


def _run_lengths(runs: Entry, shape: tuple[int, int]) -> Mask:
    size = [finite(side, f"{runs.where}: 'size'") for side in runs.items("size")]
    if size != list(shape):
        raise FormatError(
            f"{runs.where}: 'size': expected {list(shape)} (height, width of the image), "
            f"found {size}"
        )
    counts = runs.get("counts")
    try:
        if isinstance(counts, str):
            return mask_from_counts(counts_from_text(counts), shape)
        whole = [int(finite(c, f"{runs.where}: 'counts'")) for c in runs.items("counts")]
        return mask_from_counts(whole, shape)
    except ValueError as error:
        raise FormatError(f"{runs.where}: 'counts': {error}") from error
