"""Masks of instances, each kept as the small bitmap inside its own box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Mask",
    "mask_from_polygon",
    "mask_from_rle",
    "mask_intersection",
    "mask_iou",
    "mask_outline",
    "touches_rim",
]


@dataclass(frozen=True, eq=False)
class Mask:
    """A bitmap and where its upper left pixel lies in the frame.

    Parameters
    ----------
    x, y
        Column and row of ``bitmap[0, 0]`` in the frame.
    bitmap
        (h, w) bool array; every pixel outside it is not part of the instance.
    """

    x: int
    y: int
    bitmap: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.bitmap.ndim != 2 or self.bitmap.dtype != np.bool_:
            raise ValueError(
                f"a mask needs a 2-D bool bitmap, found {self.bitmap.dtype} "
                f"of shape {self.bitmap.shape}"
            )

    def __repr__(self) -> str:
        height, width = self.bitmap.shape
        return f"<Mask of {self.area_px} px in {width} x {height} px at ({self.x}, {self.y})>"

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.bitmap))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Half-open box of the bitmap: x_min, y_min, x_max, y_max."""
        height, width = self.bitmap.shape
        return self.x, self.y, self.x + width, self.y + height

    def trimmed(self) -> Mask:
        """Return the same mask with the empty rows and columns at its rim cut off."""
        rows, columns = np.any(self.bitmap, axis=1), np.any(self.bitmap, axis=0)
        if not rows.any():
            return Mask(self.x, self.y, np.zeros((0, 0), bool))
        top, bottom = int(rows.argmax()), len(rows) - int(rows[::-1].argmax())
        left, right = int(columns.argmax()), len(columns) - int(columns[::-1].argmax())
        return Mask(self.x + left, self.y + top, self.bitmap[top:bottom, left:right])

    def clipped(self, shape: tuple[int, int]) -> Mask:
        """Return the part inside a frame of `shape` (height, width)."""
        x0, y0, x1, y1 = self.box
        left, top = max(0, -x0), max(0, -y0)
        right, bottom = max(left, min(x1, shape[1]) - x0), max(top, min(y1, shape[0]) - y0)
        return Mask(x0 + left, y0 + top, self.bitmap[top:bottom, left:right])

    def moved(self, dx: int, dy: int) -> Mask:
        """Return the mask at another place."""
        return Mask(self.x + dx, self.y + dy, self.bitmap)

    def to_dense(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the (H, W) bool image of a frame of `shape`."""
        inside = self.clipped(shape)
        x0, y0, x1, y1 = inside.box
        dense = np.zeros(shape, bool)
        dense[y0:y1, x0:x1] = inside.bitmap
        return dense

    @classmethod
    def from_dense(cls, dense: NDArray[Any]) -> Mask:
        """Cut a mask out of an (H, W) image."""
        cut = cls(0, 0, np.asarray(dense, bool)).trimmed()
        # A view would keep the whole image alive, and change with it.
        return cls(cut.x, cut.y, cut.bitmap.copy())


def mask_from_polygon(points: NDArray[Any], shape: tuple[int, int]) -> Mask:
    """Fill a polygon: every pixel whose centre lies inside it.

    Parameters
    ----------
    points
        (k, 2) vertices x, y in frame coordinates, where pixel centres lie at half integers.
    shape
        (height, width) of the frame.
    """
    from skimage.draw import polygon

    points = np.asarray(points, float)
    if not points.size:
        return Mask(0, 0, np.zeros((0, 0), bool))
    x0, y0 = (max(0, int(v)) for v in np.floor(points.min(axis=0)))
    x1, y1 = (int(v) for v in np.ceil(points.max(axis=0)) + 1)
    x1, y1 = min(x1, shape[1]), min(y1, shape[0])
    if x1 <= x0 or y1 <= y0:
        return Mask(x0, y0, np.zeros((0, 0), bool))
    bitmap = np.zeros((y1 - y0, x1 - x0), bool)
    # scikit-image puts pixel centres at integers.
    rows, columns = polygon(points[:, 1] - y0 - 0.5, points[:, 0] - x0 - 0.5, bitmap.shape)
    bitmap[rows, columns] = True
    return Mask(x0, y0, bitmap).trimmed()


def mask_from_rle(counts: Sequence[int], shape: tuple[int, int]) -> Mask:
    """Read COCO's uncompressed run lengths.

    Raises
    ------
    ValueError
        The runs do not add up to the size of the frame.
    """
    # Summed as Python's integers, which no crafted file can make overflow.
    runs = [int(count) for count in counts]
    if min(runs, default=0) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError(
            f"run lengths must be non-negative and add up to {shape[0]} x {shape[1]} = "
            f"{shape[0] * shape[1]} pixels, found {sum(runs)}"
        )
    values = np.arange(len(runs)) % 2 == 1
    flat = np.repeat(values, np.array(runs, np.int64))
    return Mask.from_dense(flat.reshape(shape, order="F"))


def mask_outline(mask: Mask) -> NDArray[np.float64]:
    """Return the (k, 2) vertices x, y of a mask's longest outer contour.

    The contour runs through the centres of the rim pixels; a mask without pixels has none.
    """
    import cv2

    contours, _ = cv2.findContours(
        mask.bitmap.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    if not contours:
        return np.zeros((0, 2))
    longest = max(contours, key=lambda contour: cv2.arcLength(contour, True)).reshape(-1, 2)
    return np.asarray(longest + np.array([mask.x + 0.5, mask.y + 0.5]), float)


def mask_intersection(a: Mask, b: Mask) -> int:
    """Return the number of pixels that two masks share."""
    x0, y0 = max(a.x, b.x), max(a.y, b.y)
    x1, y1 = min(a.box[2], b.box[2]), min(a.box[3], b.box[3])
    if x1 <= x0 or y1 <= y0:
        return 0
    return int(
        np.count_nonzero(
            a.bitmap[y0 - a.y : y1 - a.y, x0 - a.x : x1 - a.x]
            & b.bitmap[y0 - b.y : y1 - b.y, x0 - b.x : x1 - b.x]
        )
    )


def mask_iou(a: Mask, b: Mask) -> float:
    """Return intersection over union of two masks; 0 where both are empty."""
    common = mask_intersection(a, b)
    union = a.area_px + b.area_px - common
    return common / union if union else 0.0


def touches_rim(mask: Mask, shape: tuple[int, int]) -> bool:
    """Whether a mask reaches to the rim of a frame of `shape` (height, width)."""
    return _reaches_out(mask.box, shape) and _reaches_out(mask.trimmed().box, shape)


def _reaches_out(box: tuple[int, int, int, int], shape: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = box
    return x0 <= 0 or y0 <= 0 or x1 >= shape[1] or y1 >= shape[0]


def all_masks(masks: Iterable[Mask]) -> Iterator[Mask]:
    """Yield every item, checked to be a Mask."""
    for mask in masks:
        if not isinstance(mask, Mask):
            raise TypeError(f"masks must be Mask objects, found {type(mask).__name__}")
        yield mask
