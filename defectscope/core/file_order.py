"""The order in which the files of a folder are read, the same on every system."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

__all__ = ["natural_key", "visible_files"]

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


def visible_files(folder: Path, pattern: str = "**/*") -> list[Path]:
    """Return the files in or below a folder that match a glob pattern, in natural order.

    Hidden ones, and what lies in hidden folders, are left out: macOS puts a ``._a.png`` beside
    each ``a.png`` on a foreign disk.
    """
    found = (path for path in folder.glob(pattern) if path.is_file())
    visible = (p for p in found if not any(q.startswith(".") for q in p.relative_to(folder).parts))
    return sorted(visible, key=natural_key)
