"""Large frames in overlapping tiles, and their detections put together without seams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tile", "padded", "tiles_of"]


@dataclass(frozen=True)
class Tile:
    """A window of a frame, and the part of it whose detections count.

    Parameters
    ----------
    x_min, y_min, x_max, y_max
        The window, px, half open.
    core
        The part that is no other tile's, in the same form: cores cover the frame once.
    """

    x_min: int
    y_min: int
    x_max: int
    y_max: int
    core: tuple[int, int, int, int]

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Self:
        """Return the one tile that is all of a frame of `shape` (height, width)."""
        height, width = shape
        return cls(0, 0, width, height, (0, 0, width, height))

    def cut(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the window of `pixels`, whose last two axes are rows and columns."""
        return pixels[..., self.y_min : self.y_max, self.x_min : self.x_max]

    def holds(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which points of the frame lie in the core."""
        x_min, y_min, x_max, y_max = self.core
        return np.asarray((x >= x_min) & (x < x_max) & (y >= y_min) & (y < y_max))


def _spans(
    length: int, tile_px: int, overlap_px: int, grid_px: int
) -> list[tuple[int, int, int, int]]:
    """Return (start, end, core start, core end) along one axis."""
    whole, tile, overlap = (-(-side // grid_px) for side in (length, tile_px, overlap_px))
    tile = max(tile, overlap + 1)
    tile_px = tile * grid_px
    if length <= tile_px:
        return [(0, length, 0, length)]
    count = -(-(whole - overlap) // (tile - overlap))
    starts = [grid_px * round(k * (whole - tile) / (count - 1)) for k in range(count)]
    ends = [min(start + tile_px, length) for start in starts]
    # Between two tiles, the border lies in the middle of what both see.
    cuts = [0, *((start + end) // 2 for start, end in zip(starts[1:], ends, strict=False)), length]
    return list(zip(starts, ends, cuts[:-1], cuts[1:], strict=True))


def tiles_of(shape: tuple[int, int], tile_px: int, overlap_px: int, grid_px: int) -> Iterator[Tile]:
    """Yield tiles that cover a frame; a smaller frame is one tile.

    They begin at multiples of `grid_px`, as the cells of a network do: what it finds in a tile is
    then what it finds in the whole frame. All are equal when they are padded to that multiple.

    Parameters
    ----------
    shape
        (height, width) of the frame.
    tile_px
        Side of a tile; rounded up to a multiple of `grid_px`, to which it would be padded.
    overlap_px
        What neighbours share at least; at most half of `tile_px`.
    grid_px
        What sides of inputs must be multiples of.
    """
    columns = _spans(shape[1], tile_px, overlap_px, grid_px)
    for top, bottom, core_top, core_bottom in _spans(shape[0], tile_px, overlap_px, grid_px):
        for left, right, core_left, core_right in columns:
            core = (core_left, core_top, core_right, core_bottom)
            yield Tile(left, top, right, bottom, core)


def padded(
    images: Sequence[NDArray[np.float32]],
    multiple: int,
    how: Literal["edge", "reflect"] = "edge",
) -> NDArray[np.float32]:
    """Return images of one size as a batch, continued until both sides are multiples.

    Parameters
    ----------
    images
        (H, W) each.
    multiple
        Of the sides of the batch.
    how
        ``edge``: the last row and column go on, so that no defect has a second copy at the rim;
        ``reflect``: the image is mirrored, for texture that goes on looks like lines.

    Returns
    -------
    (n, 1, H', W') float32
    """
    height, width = images[0].shape
    more = ((0, -height % multiple), (0, -width % multiple))
    return np.stack([np.pad(image, more, mode=how)[None] for image in images]).astype(
        np.float32, copy=False
    )
