"""COCO's compressed run lengths, as text and from cropped masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np

from defectscope.core.masks import Mask, mask_from_rle

__all__ = ["compressed_counts", "counts_from_text", "counts_to_text", "mask_from_counts"]

# 13 groups of 5 bits hold any 64-bit number; a longer one is nonsense.
LONGEST_NUMBER = 13


def counts_to_text(counts: Sequence[int]) -> str:
    """Return run lengths as the text that pycocotools calls compressed.

    Each number is the difference to the run two before it, from the fourth run on, in groups
    of 5 bits from the least significant, as in LEB128 with a sign: 0x20 says that a group
    follows, 0x10 of the last group is the sign, and 48 is added to reach printable characters.
    """
    differences = [now - before for now, before in zip(counts[3:], counts[1:], strict=False)]
    return "".join(map(_number_to_text, [*counts[:3], *differences]))


@lru_cache(maxsize=4096)
def _number_to_text(number: int) -> str:
    characters = []
    more = True
    while more:
        group = number & 0x1F
        number >>= 5
        more = number != -1 if group & 0x10 else number != 0
        characters.append(chr(48 + (group | 0x20 if more else group)))
    return "".join(characters)


def counts_from_text(text: str) -> list[int]:
    """Return the run lengths behind a compressed text.

    Raises
    ------
    ValueError
        A character is none of the code's, or the text ends inside a number.
    """
    counts: list[int] = []
    number, groups = 0, 0
    for place, character in enumerate(text):
        code = ord(character) - 48
        if not 0 <= code < 64 or groups == LONGEST_NUMBER:
            raise ValueError(f"the character {character!r} at position {place} is not possible")
        number |= (code & 0x1F) << (5 * groups)
        groups += 1
        if code & 0x20:
            continue
        if code & 0x10:
            number -= 1 << (5 * groups)
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number, groups = 0, 0
    if groups:
        raise ValueError("the text ends inside a number")
    return counts


def compressed_counts(mask: Mask, shape: tuple[int, int]) -> str:
    """Return the compressed run lengths of a mask in a frame of `shape` (height, width)."""
    height, width = shape
    inside = mask.clipped(shape)
    rows, columns = inside.bitmap.shape
    # Frames are large, masks are small: only the mask is unrolled, with a gap before each column.
    unrolled = np.zeros(columns * (rows + 1) + 1, bool)
    unrolled[:-1].reshape(columns, rows + 1)[:, 1:] = inside.bitmap.T
    column, row = np.divmod(np.flatnonzero(unrolled[1:] != unrolled[:-1]), rows + 1)
    edges = (inside.x + column) * height + inside.y + row
    # Where a run fills its column, the one that follows may begin where it ends.
    ends = np.flatnonzero(edges[1:] == edges[:-1])
    if ends.size:
        edges = np.delete(edges, [*ends, *(ends + 1)])
    if not edges.size or edges[-1] < width * height:
        edges = np.append(edges, width * height)
    return counts_to_text([int(edges[0]), *np.diff(edges).tolist()])


def mask_from_counts(counts: Sequence[int], shape: tuple[int, int]) -> Mask:
    """Return the mask of uncompressed run lengths, unrolling only the columns it touches.

    Raises
    ------
    ValueError
        A run is negative, or they do not add up to the size of the frame.
    """
    height, width = shape
    if any(count < 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(
            f"expected run lengths of 0 or more that add up to {width} x {height} = "
            f"{width * height} pixels, found a sum of {sum(counts)}"
        )
    filled = [i for i in range(1, len(counts), 2) if counts[i]]
    if not filled:
        return mask_from_rle([0], (0, 0))
    ends = list(accumulate(counts))
    first, last = filled[0], filled[-1]
    start, stop = ends[first - 1], ends[last]
    left, right = start // height, -(-stop // height)
    strip = [start - left * height, *counts[first : last + 1], right * height - stop]
    return mask_from_rle(strip, (height, right - left)).moved(left, 0)
