"""What TIFF files say about their images: pixel size, time between them, number.

The resolution of plain TIFF files is nearly always that of a printer, and left aside then; one
below 1 µm a pixel is none, and read.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from defectscope import Calibration
from defectscope.core.calibration import UNSURE_SIZE
from defectscope.readers.ome_times import UNKNOWN_INTERVAL, ome_interval
from defectscope.readers.pixels import warn_once
from defectscope.readers.scale import (
    in_nanometres,
    in_seconds,
    note_unknown_unit,
    sizes_differ,
    square_pixel_nm,
)

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffTags

__all__ = [
    "calibration_of",
    "declared_images",
    "frame_interval",
    "ome_is_of_one_file",
    "ome_pixels",
]

ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
# In ImageJ units from here on are what a picture without calibration gets, from its printing
# resolution.
PRINTING_UNIT_NM = 1e6
# No printer draws dots that are smaller, and no microscope resolves less.
PRINTED_NM = 1e3
RESOLVED_NM = 1e-3
# Images of different magnification are put together by hand; a recording has one.
MOST_PAGES_COMPARED = 64

Axis = tuple[float, str | None]


def calibration_of(file: TiffFile, pages: Sequence[int], warnings: list[str]) -> Calibration:
    """Return the pixel size in the metadata of OME, ImageJ, Thermo Fisher / FEI, or plain TIFF.

    Parameters
    ----------
    file
        An open file.
    pages
        Places of the pages that are images.
    warnings
        Where to say what is contradictory.
    """
    for source in (_ome_axes, _imagej_axes, _fei_axes, _resolution_axes):
        axes = source(file, warnings)
        if axes is not None:
            size = square_pixel_nm(*axes, warnings)
            if size is not None and source in (_imagej_axes, _resolution_axes):
                units = None if source is _resolution_axes else (axes[0][1], axes[1][1])
                _compare_pages(file, pages, size, units, warnings)
            return Calibration(pixel_size_nm=size)
    return Calibration()


def _compare_pages(
    file: TiffFile,
    pages: Sequence[int],
    first_nm: float,
    units: tuple[str | None, str | None] | None,
    warnings: list[str],
) -> None:
    """Say, once, which page is the first whose resolution is not that of the first page.

    In the `units` of the file's metadata, or in those of each page itself.
    """
    for number, place in enumerate(pages[1:MOST_PAGES_COMPARED], start=2):
        try:
            tags = getattr(file.pages[place], "tags", None)
        except Exception:  # a damaged page is a frame all the same: reading it says what is wrong
            continue
        if tags is None:
            continue
        axes = _plain_axes(tags) if units is None else _axes_of(tags, *units)
        size = None if axes is None else square_pixel_nm(*axes, [])
        # A page that says nothing does not say otherwise.
        if size is not None and sizes_differ(first_nm, size):
            warn_once(
                warnings,
                f"the pages differ in pixel size: {first_nm:.6g} nm in the first, {size:.6g} nm in "
                f"page {number}; one is used for all, that of the first unless another is given; "
                "run pages of different sizes apart",
            )
            return


def declared_images(file: TiffFile) -> int:
    """Return how many images the metadata of ImageJ or tifffile speak of; 1 if they do not."""
    if file.is_imagej and file.imagej_metadata:
        return max(1, int(file.imagej_metadata.get("images", 1)))
    if file.is_shaped and file.shaped_metadata:
        values = math.prod(map(int, file.shaped_metadata[0].get("shape", ())))
        return max(1, values // max(1, math.prod(file.pages.first.shape)))
    return 1


def frame_interval(file: TiffFile, warnings: list[str]) -> float | None:
    """Return the time between frames in s that OME or ImageJ give, or None.

    It is meant for images that follow each other in time; others may have it in their metadata too.

    Parameters
    ----------
    file
        An open file.
    warnings
        Where to say that it is none of the experiment, varies, or has a unit that is not known.
    """
    if file.is_imagej and file.imagej_metadata:
        return _imagej_interval(file.imagej_metadata, warnings)
    return ome_interval(ome_pixels(file), warnings)


def _imagej_interval(metadata: dict[str, Any], warnings: list[str]) -> float | None:
    unit = _unescaped(str(metadata.get("tunit", "s")))
    if "finterval" in metadata:
        note_unknown_unit(unit, UNKNOWN_INTERVAL, warnings)
    interval = in_seconds(_number(metadata.get("finterval")), unit)
    rate = _number(metadata.get("fps"))
    # That is how ImageJ imports videos.
    if interval is not None and math.isclose(interval * rate, 1, rel_tol=0.01):
        warn_once(
            warnings,
            f"the metadata give {interval:.6g} s between frames, which is how fast ImageJ plays "
            f"them ({rate:g} frames/s); the frame interval is left unknown",
        )
        return None
    return interval


def ome_is_of_one_file(file: TiffFile) -> bool:
    """Return whether no image of OME metadata lies in another file.

    Programs name the file of each image, also where that is this one. A file that was renamed
    keeps its UUID, and one that another program copied its name.
    """
    root = _ome_root(file, [])
    own = None if root is None else root.attrib.get("UUID")
    named = [] if root is None else [e for e in root.iter() if e.tag.rpartition("}")[2] == "UUID"]
    return all(
        (e.text or "").strip() == own or e.attrib.get("FileName") == file.filename for e in named
    )


def ome_pixels(file: TiffFile, warnings: list[str] | None = None) -> list[ElementTree.Element]:
    """Return the ``Pixels`` elements of OME metadata, one a series; none where there are none."""
    root = _ome_root(file, [] if warnings is None else warnings)
    if root is None:
        return []
    return [element for element in root.iter() if element.tag.rpartition("}")[2] == "Pixels"]


def _ome_root(file: TiffFile, warnings: list[str]) -> ElementTree.Element | None:
    if not file.is_ome or not file.ome_metadata:
        return None
    try:
        return ElementTree.fromstring(file.ome_metadata)
    except ElementTree.ParseError as error:
        text = f"the OME metadata cannot be read, so the scale is unknown: {error}"
        warn_once(warnings, text)
        return None


def _ome_axes(file: TiffFile, warnings: list[str]) -> tuple[Axis, Axis] | None:
    found = set()
    for element in ome_pixels(file, warnings):
        given = element.attrib
        if "PhysicalSizeX" in given:
            y = given.get("PhysicalSizeY", given["PhysicalSizeX"])
            x_unit = given.get("PhysicalSizeXUnit", "µm")  # the default of the OME schema
            y_unit = given.get("PhysicalSizeYUnit", x_unit)
            found.add(((_number(given["PhysicalSizeX"]), x_unit), (_number(y), y_unit)))
    if len(found) > 1:
        warn_once(
            warnings,
            "the images of the file differ in pixel size (OME metadata); it is left unknown",
        )
    return found.pop() if len(found) == 1 else None


def _imagej_axes(file: TiffFile, warnings: list[str]) -> tuple[Axis, Axis] | None:
    metadata = file.imagej_metadata if file.is_imagej else None
    if not metadata or "unit" not in metadata:
        return None
    x_unit = _unescaped(str(metadata["unit"]))
    axes = _resolution(file, x_unit, _unescaped(str(metadata.get("yunit", x_unit))))
    printed = axes is not None and (in_nanometres(1, x_unit) or 0) >= PRINTING_UNIT_NM
    if axes is None or (printed and not _is_microscopic(axes)):
        return None
    if axes[0][0] == axes[1][0] == 1 and in_nanometres(1, x_unit) is not None:
        warn_once(
            warnings,
            f"the file gives exactly 1 {x_unit} for each pixel, {UNSURE_SIZE}",
        )
    return axes


def _resolution_axes(file: TiffFile, warnings: list[str]) -> tuple[Axis, Axis] | None:
    return _plain_axes(file.pages.first.tags)


def _plain_axes(tags: TiffTags) -> tuple[Axis, Axis] | None:
    unit = {2: "inch", 3: "cm"}.get(tags.valueof("ResolutionUnit", default=2))
    axes = None if unit is None else _axes_of(tags, unit, unit)
    return axes if _is_microscopic(axes) else None


def _resolution(file: TiffFile, x_unit: str, y_unit: str) -> tuple[Axis, Axis] | None:
    return _axes_of(file.pages.first.tags, x_unit, y_unit)


def _axes_of(tags: TiffTags, x_unit: str | None, y_unit: str | None) -> tuple[Axis, Axis] | None:
    x, y = tags.valueof("XResolution"), tags.valueof("YResolution")
    return None if x is None or y is None else ((_per_pixel(x), x_unit), (_per_pixel(y), y_unit))


def _is_microscopic(axes: tuple[Axis, Axis] | None) -> bool:
    sizes = [] if axes is None else [in_nanometres(*axis) for axis in axes]
    return bool(sizes) and all(s is not None and RESOLVED_NM <= s < PRINTED_NM for s in sizes)


def _fei_axes(file: TiffFile, warnings: list[str]) -> tuple[Axis, Axis] | None:
    metadata: Any = file.fei_metadata
    for section in ("Scan", "EScan"):
        values = metadata.get(section, {}) if isinstance(metadata, dict) else {}
        if isinstance(values, dict) and {"PixelWidth", "PixelHeight"} <= set(values):
            return (_number(values["PixelWidth"]), "m"), (_number(values["PixelHeight"]), "m")
    return None


def _per_pixel(resolution: tuple[int, int]) -> float:
    pixels, units = resolution
    return units / pixels if pixels else 0.0


def _unescaped(unit: str) -> str:
    """Return a unit as meant: ImageJ writes µm as backslash, ``u00B5m``."""
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), unit)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
