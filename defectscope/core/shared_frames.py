"""Which frames of two sets are the same ones, whatever they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

__all__ = ["shared_frames"]

# As much of the middle of two files of one size tells images apart; their beginnings may not.
LOOKED_AT_BYTES = 2**16


def shared_frames(some: Sequence[tuple[Path, str]], others: Sequence[tuple[Path, str]]) -> int:
    """Return how many of some frames are among others as well.

    Parameters
    ----------
    some, others
        The file of each frame, and which of its frames it is. Copies of a file are the same.

    Notes
    -----
    Of files that are large, a part is compared; of those whose size no other has, nothing.
    """
    if set(some) <= set(others):
        return len(some)
    size, part = cache(_size), cache(_middle)
    sizes = {size(path) for path, _ in some}
    near = [(path, which) for path, which in others if size(path) in sizes]
    sizes = {size(path) for path, _ in near}
    known = {(size(path), part(path), which) for path, which in near}
    return sum(
        size(path) in sizes and (size(path), part(path), which) in known for path, which in some
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _middle(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, (_size(path) - LOOKED_AT_BYTES) // 2))
            return hashlib.sha256(file.read(LOOKED_AT_BYTES)).digest()
    except OSError:
        # One that cannot be read is said where it is.
        return str(path).encode()
