"""Which images regions of ImageJ belong to, which mostly have a position only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from defectscope.core.datasets import PAGE
from defectscope.core.errors import FormatError
from defectscope.readers.formats.image_files import page_count
from defectscope.readers.formats.imagej_regions import Region

__all__ = ["Series", "regions_by_image", "series_of_file", "without_set"]

# The ROI manager proposes RoiSet.zip; people put the image's name before it.
_SET = re.compile(r"[-_ ]?RoiSet$", re.IGNORECASE)
# What is the same in all pages of a stack.
SHARED = ("size", "pixel_size_nm")


@dataclass(frozen=True)
class Series:
    """The images that positions count in.

    Parameters
    ----------
    folder, names
        Where they lie, and their names relative to that.
    is_counted
        Whether these are all; else there is one name, of a file with any number of pages.
    """

    folder: Path
    names: tuple[str, ...]
    is_counted: bool = True


@dataclass(frozen=True)
class _Named:
    """An image that regions name, and a region that does."""

    name: str
    region: Region


def series_of_file(file: Path) -> Series:
    """Return the pages of a stack, or the one image of a file."""
    pages = page_count(file)
    names: tuple[str, ...] = (file.name,)
    if pages is not None and pages > 1:
        names = tuple(f"{file.name}#{page}" for page in range(pages))
    return Series(file.parent, names, pages is not None)


def without_set(stem: str) -> str:
    """Return the name of a set of regions without what the ROI manager puts at its end."""
    return _SET.sub("", stem)


def regions_by_image(regions: Iterable[Region], series: Series | None) -> dict[str, list[Region]]:
    """Return the regions by the name of their image.

    A region that names none lies on the image that others of the set name at its position: they
    were written by defectscope, and it was drawn beside them. Where none does, positions count in
    `series`, or in pages of the stack that the set is named after.

    Raises
    ------
    FormatError
        It cannot be told which image a position means.
    """
    regions = list(regions)
    last = max((region.position for region in regions), default=0)
    named = [_Named(region.image, region) for region in regions if region.image is not None]
    found: dict[str, list[Region]] = defaultdict(list)
    for region in regions:
        name = region.image
        if name is None:
            beside = _beside(region, named) if named else None
            if beside is not None:
                name, region = beside
            elif named:
                name = _in_series_of(region, named, series, last)
            elif series is not None:
                name = _in_series(region, series, last)
            else:
                name = _page(without_set(region.source) or region.source, region, last)
        found[name].append(region)
    return found


def _beside(region: Region, named: list[_Named]) -> tuple[str, Region] | None:
    """Return the image of a region among those that others name, and the region with its size."""
    here = {n.name: n.region for n in named if n.region.position == region.position}
    if region.position == 0:
        # As regions are drawn in the window of a single image.
        here = {n.name: n.region for n in named}
    if len(here) == 1:
        ((name, other),) = here.items()
    else:
        stack, other = PAGE.sub("", named[0].name), named[0].region
        name = f"{stack}#{region.position - 1}"
        paged = all(n.name == f"{stack}#{n.region.position - 1}" for n in named)
        if region.position == 0 or not paged:
            return None
    shared = {key: other.properties[key] for key in SHARED if key in other.properties}
    return name, replace(region, properties=shared | region.properties)


def _in_series_of(region: Region, named: list[_Named], series: Series | None, last: int) -> str:
    """Return the image of a series that others of the set, with the same positions, belong to."""
    if series is None:
        raise FormatError(
            f"{region.where}: expected a position at which other regions of the set name their "
            f"image, found {region.position or 'none'}; name the images that the positions count "
            "in with the option imagej-roi.images"
        )
    for other in named:
        place = other.region.position
        if other.name in series.names and series.names.index(other.name) != place - 1:
            raise FormatError(
                f"{region.where}: the position {region.position} is none in {series.folder}, "
                f"where {other.name}, which has the position {place} in the set, is number "
                f"{series.names.index(other.name) + 1}; give a folder of the images that were open"
            )
    return _in_series(region, series, last)


def _in_series(region: Region, series: Series, last: int) -> str:
    if not series.is_counted:
        return _page(series.names[0], region, last)
    if region.position == 0 and len(series.names) == 1:
        return series.names[0]
    if not 1 <= region.position <= len(series.names):
        raise FormatError(
            f"{region.where}: expected a position from 1 to {len(series.names)}, the number of "
            f"images in {series.folder}, found {region.position or 'none'}"
        )
    return series.names[region.position - 1]


def _page(name: str, region: Region, last: int) -> str:
    """Return the page of a stack of unknown length; a single image where no position is above 1."""
    return f"{name}#{region.position - 1}" if region.position > 0 and last > 1 else name
