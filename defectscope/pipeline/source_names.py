"""What a run records about its files: names, where they lie, which of them messages are about."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

__all__ = ["is_named", "source_names", "where_inputs_lie"]

MOST_NAMED_INPUTS = 32


def is_named(source: str, texts: Sequence[str]) -> bool:
    """Return whether one of some messages is about a file, and not one whose name holds its own."""
    name = re.compile(rf"(?<![\w.-]){re.escape(source)}(?![\w-])")
    return any(name.search(text) for text in texts)


def source_names(paths: Sequence[Path]) -> list[str]:
    """Return the names of different files, each with as many folders as tell it from the others.

    They are never absolute, and do not depend on where the program was started.
    """
    # Links stay as they are: people know files by the names that they gave them.
    folders = {
        folder: Path(os.path.abspath(folder)).parts[1:]  # noqa: PTH100
        for folder in {path.parent for path in paths}
    }
    names = [path.name for path in paths]
    for depth in range(1, max(map(len, folders.values()), default=0) + 1):
        times = Counter(names)
        if len(times) == len(names):
            break
        names = [
            name if times[name] == 1 else "/".join((*folders[path.parent][-depth:], path.name))
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def where_inputs_lie(paths: Sequence[Path]) -> list[str]:
    """Return where inputs lie: single files by name, of many the folders that hold them."""
    if len(paths) <= MOST_NAMED_INPUTS:
        return [str(path.resolve()) for path in paths]
    return sorted({str(path.resolve().parent) for path in paths})
