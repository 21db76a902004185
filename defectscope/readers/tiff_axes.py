"""Which images of a TIFF file follow each other in time, and which are channels and slices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import InputError
from defectscope.readers.tiff_metadata import ome_is_of_one_file, ome_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tifffile import TiffFile

    from defectscope.readers.tiff import TiffOptions

__all__ = ["chosen_images", "image_grid", "runs_in_time"]

# ImageJ shows no more channels than this together. What has more, and neither times nor slices, is
# a stack whose writer did not say what it counts; tifffile calls it channels then.
MOST_CHANNELS = 7


def image_grid(file: TiffFile, count: int) -> NDArray[np.int64] | None:
    """Return the number of the image at each time, slice and channel.

    Parameters
    ----------
    file
        An open file.
    count
        Images that it holds. Metadata that speak of another number are of another file.

    Returns
    -------
    (times, slices, channels) array or None
        None where the metadata of ImageJ, OME or tifffile do not say it.
    """
    if file.is_imagej and file.imagej_metadata:
        names = ("frames", "slices", "channels")
        sizes = tuple(int(file.imagej_metadata.get(name, 1)) for name in names)
        grid = _in_order(sizes, count)
    elif file.is_ome:
        grid = _ome_grid(file, count)
    elif file.is_shaped and file.shaped_metadata:
        grid = _shaped_grid(file.shaped_metadata[0], count)
    else:
        grid = None
    return None if grid is None or (grid < 0).any() else grid


def _in_order(sizes: tuple[int, ...], count: int, order: str = "TZC") -> NDArray[np.int64] | None:
    """Return the grid of images stored in their order; `order` has the slowest axis first."""
    if min(sizes) < 1 or math.prod(sizes) != count:
        return None
    return np.arange(count).reshape(sizes).transpose([order.index(axis) for axis in "TZC"])


def _shaped_grid(metadata: dict[str, Any], count: int) -> NDArray[np.int64] | None:
    axes = str(metadata.get("axes", ""))
    given = dict(zip(axes, metadata.get("shape", ()), strict=False))
    order = "".join(axis for axis in axes if axis in "TZC")
    if not {"Y", "X"} <= set(axes) or len(set(axes)) < len(axes) or not order:
        return None
    order += "".join(axis for axis in "TZC" if axis not in order)
    return _in_order(tuple(int(given.get(axis, 1)) for axis in order), count, order)


def _ome_grid(file: TiffFile, count: int) -> NDArray[np.int64] | None:
    found = ome_pixels(file)
    # Images in other files are inputs of their own.
    if len(found) != 1 or not ome_is_of_one_file(file):
        return None
    try:
        sizes = {axis: int(found[0].attrib[f"Size{axis}"]) for axis in "TZC"}
        order = found[0].attrib["DimensionOrder"][:1:-1]  # the fastest stands first there
        # Colours of one image count as channels too.
        sizes["C"] //= max(1, int(file.pages.first.samplesperpixel))
        grid = _in_order(tuple(sizes[axis] for axis in order), count, order)
        return None if grid is None else _placed(grid, found[0], order)
    except (KeyError, ValueError, IndexError):
        return None  # metadata that break the schema say nothing


def _placed(grid: NDArray[np.int64], pixels: Any, order: str) -> NDArray[np.int64] | None:
    """Return `grid` with images where the file's ``TiffData`` say, if they say it one by one."""
    blocks = [e for e in pixels if e.tag.rpartition("}")[2] == "TiffData"]
    if not any("IFD" in block.attrib for block in blocks):
        return grid
    placed = np.full_like(grid, -1)
    by_order = placed.transpose(["TZC".index(axis) for axis in order])
    for block in blocks:
        image = int(block.attrib.get("IFD", 0))
        planes = int(block.attrib.get("PlaneCount", 1))
        first = tuple(int(block.attrib.get(f"First{axis}", 0)) for axis in order)
        start = int(np.ravel_multi_index(first, by_order.shape))
        for k in range(planes):
            by_order[np.unravel_index(start + k, by_order.shape)] = image + k
    return placed if placed.max() < grid.size else None


def chosen_images(grid: NDArray[np.int64], options: TiffOptions, name: str) -> NDArray[np.int64]:
    """Return the part of a grid that is one series.

    Parameters
    ----------
    grid
        (times, slices, channels) numbers of images.
    options
        Which channel and slice is wanted.
    name
        The file, for messages.

    Raises
    ------
    InputError
        Channels, or slices at each time, are no series, and none is chosen; or there is none of
        the number that is.
    """
    times, slices, channels = grid.shape
    missing = []
    are_channels = channels <= MOST_CHANNELS or times * slices > 1
    if channels > 1 and are_channels and options.channel is None:
        missing.append(("channel", channels))
    if slices > 1 and times > 1 and options.slice is None:
        missing.append(("slice", slices))
    if missing:
        _refuse(missing, times, name)
    grid = _taken(grid, 2, "channel", options.channel, name)
    return _taken(grid, 1, "slice", options.slice, name)


def _refuse(missing: list[tuple[str, int]], times: int, name: str) -> None:
    found = " of ".join(f"{count} {what}s" for what, count in missing)
    at = f" at each of {times} times" if times > 1 else ""
    first = " ".join(f"--set tiff.{what}=1" for what, _ in missing)
    every = " ".join(f"--set tiff.{what}=all" for what, _ in missing)
    raise InputError(
        f"{name} holds {found}{at}, and only times are frames of a series; choose one, "
        f"counted from 1, with {first}, or take all one after the other with {every}"
    )


def _taken(
    grid: NDArray[np.int64], axis: int, what: str, chosen: int | str | None, name: str
) -> NDArray[np.int64]:
    if not isinstance(chosen, int):
        return grid
    count = grid.shape[axis]
    if not 1 <= chosen <= count:
        held = f"1 {what}" if count == 1 else f"{count} {what}s"
        raise InputError(
            f"{name} holds {held}; tiff.{what}={chosen} is none of them; they count from 1"
        )
    return grid.take([chosen - 1], axis)


def runs_in_time(grid: NDArray[np.int64]) -> bool:
    """Return whether the images of a grid follow each other in time, one at each."""
    times, slices, channels = grid.shape
    return bool(times > 1 and slices == channels == 1)
