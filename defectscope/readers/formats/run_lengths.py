"""COCO's compressed run lengths, as text and from cropped masks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defectscope.core.masks import Mask, mask_from_rle

__all__ = ["compressed_counts", "counts_from_text", "counts_to_texts", "mask_from_counts"]

# 13 groups of 5 bits hold any 64-bit number; a longer one is nonsense.
LONGEST_NUMBER = 13


def counts_to_texts(counts: Sequence[ArrayLike]) -> list[str]:
    """Return lists of run lengths as the texts that pycocotools calls compressed.

    Each number is the difference to the run two before it, from the fourth run on, in groups
    of 5 bits from the least significant, as in LEB128 with a sign: 0x20 says that a group
    follows, 0x10 of the last group is the sign, and 48 is added to reach printable characters.
    All lists together, for numpy takes longer to begin than a mask has numbers.
    """
    if not len(counts):
        return []
    lists = [np.asarray(runs, np.int64) for runs in counts]
    rest = np.concatenate([np.append(runs[:3], runs[3:] - runs[1:-2]) for runs in lists])
    columns = []
    # The first group of every number, then the second of those that have one, and so on.
    more = np.ones(len(rest), bool)
    while more.any():
        group = (rest & 0x1F).astype(np.uint8)
        rest >>= 5
        reached = more
        more = reached & (rest != np.where(group & 0x10, -1, 0))
        columns.append(np.where(reached, group + np.where(more, 48 + 0x20, 48), 0))
    groups = np.stack(columns, axis=1).astype(np.uint8) if columns else np.zeros((0, 1), np.uint8)
    text = str(groups[groups > 0].tobytes(), "ascii")
    lengths = np.append(0, np.cumsum(np.count_nonzero(groups, axis=1)))
    ends = lengths[np.cumsum([0, *map(len, lists)])].tolist()
    return [text[start:end] for start, end in pairwise(ends)]


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


def compressed_counts(masks: Sequence[Mask], shape: tuple[int, int]) -> list[str]:
    """Return the compressed run lengths of masks in a frame of `shape` (height, width)."""
    return counts_to_texts([_run_lengths(mask.clipped(shape), shape) for mask in masks])


def _run_lengths(inside: Mask, shape: tuple[int, int]) -> NDArray[np.int64]:
    height, width = shape
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
    edges[1:] -= edges[:-1].copy()
    return edges


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
