"""Parts of a frame in which nothing counts: burnt-in scale bars, captions, dead pixels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from defectscope.core.errors import InputError, OptionError, UnfitOptionError
from defectscope.core.tiff_pixels import shows_inverted
from defectscope.pipeline.inputs import open_inputs
from defectscope.pipeline.regions import whole_corners

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.plugins.host import PluginHost

__all__ = ["MaskedParts", "masked_parts"]

Rectangle: TypeAlias = tuple[int, int, int, int]
NEARLY_ALL = 0.9
_NUMBERS = re.compile(r"[\s\d,.+-]*")


@dataclass(frozen=True, eq=False)
class MaskedParts:
    """Rectangles and pixels of a frame that are masked.

    Parameters
    ----------
    rectangles
        x_min, y_min, x_max, y_max in px of the original frame, half open.
    bitmap
        (H, W) bool, True where masked; it has the size of the frames. Or None.
    names
        What the bitmap was made of, for messages and ``run.json``.
    """

    rectangles: tuple[Rectangle, ...] = ()
    bitmap: NDArray[np.bool_] | None = None
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rectangles) or self.bitmap is not None

    def check(self, shape: tuple[int, int], source: str, mixed_sizes: bool = False) -> None:
        """Refuse what does not fit a frame of `shape` (height, width).

        Parameters
        ----------
        shape
            (height, width) in px.
        source
            What to call the frame.
        mixed_sizes
            Whether rectangles may reach out of the frame, because frames differ in size.

        Raises
        ------
        UnfitOptionError
            A rectangle lies outside of the frame, or the bitmap has another size.
        """
        height, width = shape
        for x0, y0, x1, y1 in self.rectangles:
            if not mixed_sizes and (x0 < 0 or y0 < 0 or x1 > width or y1 > height):
                raise UnfitOptionError(
                    f"the masked part {x0},{y0},{x1},{y1} does not lie inside {source} "
                    f"({width} x {height} px)"
                )
        if self.bitmap is not None and self.bitmap.shape != shape:
            raise UnfitOptionError(
                f"the mask {', '.join(self.names)} is {self.bitmap.shape[1]} x "
                f"{self.bitmap.shape[0]} px, but {source} is {width} x {height} px; a mask needs "
                "the size of the frames"
            )

    def hold(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of (n, 2) points x, y in px of the original frame are masked."""
        held = np.zeros(len(points), bool)
        for rectangle in self.rectangles:
            corners = np.array(rectangle)
            held |= ((points >= corners[:2]) & (points < corners[2:])).all(axis=1)
        if self.bitmap is not None:
            last = np.array(self.bitmap.shape[::-1]) - 1
            columns, rows = np.clip(np.floor(points), 0, last).astype(np.intp).T
            held |= self.bitmap[rows, columns]
        return held

    def pixels(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return (height, width) bool, True where masked; what lies outside is cut off."""
        found = np.zeros(shape, bool)
        for x0, y0, x1, y1 in self.rectangles:
            found[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
        if self.bitmap is not None:
            found |= self.bitmap
        return found

    def record(self) -> dict[str, Any] | None:
        """Return what ``run.json`` keeps: rectangles, and a digest of the bitmap's pixels."""
        if not self:
            return None
        digest = None
        if self.bitmap is not None:
            packed = f"{self.bitmap.shape}".encode() + np.packbits(self.bitmap).tobytes()
            digest = f"sha256:{hashlib.sha256(packed).hexdigest()}"
        return {"rectangles": [list(r) for r in self.rectangles], "files": list(self.names),
                "pixels": digest}  # fmt: skip

    @classmethod
    def recorded(cls, record: Mapping[str, Any] | None, kept: Path) -> MaskedParts:
        """Return the masks of a finished run.

        Parameters
        ----------
        record
            As :meth:`record` made it.
        kept
            PNG file in which the run kept the bitmap.

        Raises
        ------
        InputError
            That file is needed and cannot be read.
        """
        if record is None:
            return cls()
        rectangles = tuple(_rectangle(r) for r in record.get("rectangles", []))
        if record.get("pixels") is None:
            return cls(rectangles)
        pixels = _stored(kept)
        if pixels is None:
            raise InputError(f"the run was masked, but its mask {kept} is missing or damaged")
        return cls(rectangles, np.asarray(pixels != 0), tuple(record.get("files", [])))


def _stored(path: Path) -> NDArray[Any] | None:
    """Return the pixels of a PNG file, or None where it is missing or damaged."""
    # OpenCV's own reading of files fails on Windows where a path is not plain ASCII.
    try:
        decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error):  # an empty one
        return None
    return None if decoded is None else np.asarray(decoded)


def masked_parts(given: Any, host: PluginHost, warnings: list[str]) -> MaskedParts:
    """Read masks as users give them.

    Parameters
    ----------
    given
        Each ``X0,Y0,X1,Y1`` or four whole numbers (px of the original frame, half open), an image
        file in which everything but 0 is masked, or an (H, W) array of the same meaning; or one of
        these by itself.
    host
        Where readers of image files are looked up.
    warnings
        Gains a line where a mask masks nothing, or nearly all.

    Raises
    ------
    OptionError
        It is none of these, or files and arrays differ in size.
    InputError
        A file cannot be read.
    """
    rectangles: list[Rectangle] = []
    bitmaps: dict[str, NDArray[np.bool_]] = {}
    for item in _listed(given):
        if isinstance(item, np.ndarray) and item.ndim == 2:
            bitmaps[f"array {len(bitmaps) + 1}"] = item != 0
        elif isinstance(item, Path) or (isinstance(item, str) and not _NUMBERS.fullmatch(item)):
            bitmaps[Path(item).name] = _read(Path(item), host)
        else:
            rectangles.append(_rectangle(item))
    sizes = {bitmap.shape for bitmap in bitmaps.values()}
    if len(sizes) > 1:
        listed = ", ".join(f"{n} is {b.shape[1]} x {b.shape[0]} px" for n, b in bitmaps.items())
        raise OptionError(f"masks must have the size of the frames, but {listed}")
    warnings += [f"the mask {name} masks nothing: every pixel is 0"
                 for name, bitmap in bitmaps.items() if not bitmap.any()]  # fmt: skip
    # As of an image that was given in place of a mask, or of a mask that marks what to keep.
    warnings += [
        f"the mask {name} masks {int(100 * bitmap.mean())} % of the frame; everything but 0 is "
        "masked"
        for name, bitmap in bitmaps.items()
        if bitmap.mean() > NEARLY_ALL
    ]
    joined = np.logical_or.reduce(list(bitmaps.values())) if bitmaps else None
    return MaskedParts(tuple(rectangles), joined, tuple(bitmaps))


def _listed(given: Any) -> list[Any]:
    """Return masks as a list, also where it is one: a file, a rectangle, or the pixels."""
    # Rows of four are rectangles: no frame is so narrow.
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.shape[1] != 4:
        return [given]
    if isinstance(given, str | Path) or not isinstance(given, Iterable):
        return [given]
    items = list(given)
    numbers = bool(items) and all(isinstance(item, Real) for item in items)
    return [tuple(items)] if numbers else items


def _rectangle(given: Any) -> Rectangle:
    try:
        parts = [int(part) for part in given.split(",")] if isinstance(given, str) else given
    except ValueError:
        parts = ()
    x0, y0, x1, y1 = whole_corners(parts) or (0, 0, 0, 0)
    if not (x0 < x1 and y0 < y1):
        raise OptionError(
            "a mask is X0,Y0,X1,Y1 in whole px, with X0 < X1 and Y0 < Y1, or an image file; "
            f"found {given!r}"
        )
    return x0, y0, x1, y1


def _read(path: Path, host: PluginHost) -> NDArray[np.bool_]:
    with open_inputs([path], host) as images:
        if len(images) != 1:
            raise InputError(f"a mask is one image, but {path} holds {len(images)}")
        pixels = images.read(0)
        # Readers give what the eye sees; what is marked in ImageJ may be shown black.
        inverted = pixels.dtype.kind == "u" and shows_inverted(images.paths[0])
        return np.asarray(pixels != (np.iinfo(pixels.dtype).max if inverted else 0))
