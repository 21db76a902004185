"""What TIFF files say about their images: pixel size and number, where it is unambiguous.

The resolution of plain TIFF files is left aside: it is nearly always that of a printer.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING, Any

from defectscope import Calibration
from defectscope.readers.pixels import warn_once
from defectscope.readers.scale import square_pixel_nm

if TYPE_CHECKING:
    from tifffile import TiffFile

__all__ = ["calibration_of", "declared_images"]

ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
# In ImageJ these are what a picture without calibration gets, from its printing resolution.
PRINTING_UNITS = ("inch", "cm", "mm", "m")

Axis = tuple[float, str | None]


def calibration_of(file: TiffFile, warnings: list[str]) -> Calibration:
    """Return the calibration in the metadata of OME, ImageJ or Thermo Fisher / FEI.

    Parameters
    ----------
    file
        An open file.
    warnings
        Where to say what is contradictory.
    """
    for source in (_ome_axes, _imagej_axes, _fei_axes):
        axes = source(file, warnings)
        if axes is not None:
            return Calibration(pixel_size_nm=square_pixel_nm(*axes, warnings))
    return Calibration()


def declared_images(file: TiffFile) -> int:
    """Return how many images the metadata of ImageJ or tifffile speak of; 1 if they do not."""
    if file.is_imagej and file.imagej_metadata:
        return max(1, int(file.imagej_metadata.get("images", 1)))
    if file.is_shaped and file.shaped_metadata:
        values = math.prod(map(int, file.shaped_metadata[0].get("shape", ())))
        return max(1, values // max(1, math.prod(file.pages.first.shape)))
    return 1


def _ome_axes(file: TiffFile, warnings: list[str]) -> tuple[Axis, Axis] | None:
    if not file.is_ome or not file.ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(file.ome_metadata)
    except ElementTree.ParseError as error:
        warn_once(warnings, f"the OME metadata cannot be read, so the scale is unknown: {error}")
        return None
    found = set()
    for element in root.iter():
        given = element.attrib
        if element.tag.rpartition("}")[2] == "Pixels" and "PhysicalSizeX" in given:
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
    tags = file.pages.first.tags
    x, y = tags.valueof("XResolution"), tags.valueof("YResolution")
    if x is None or y is None:
        return None
    x_unit = _unescaped(str(metadata["unit"]))
    y_unit = _unescaped(str(metadata.get("yunit", x_unit)))
    if x_unit.casefold() in PRINTING_UNITS:
        return None
    return (_per_pixel(x), x_unit), (_per_pixel(y), y_unit)


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
