"""The order in which the files of a folder are read, the same on every system."""

from __future__ import annotations

import re
from pathlib import PurePath

__all__ = ["natural_key"]

NUMBER = re.compile(r"(\d+)")


def natural_key(name: PurePath | str) -> tuple[object, ...]:
    """Return a key that sorts numbers in names by value: ``img2`` before ``img10``.

    Whether letters are capital decides last.
    """
    # Folders are set apart by the same sign on every system.
    text = name.as_posix() if isinstance(name, PurePath) else name
    parts = NUMBER.split(text.casefold())
    # Text and numbers alternate, so that only like is compared with like.
    return tuple(int(part) if k % 2 else part for k, part in enumerate(parts)), text
