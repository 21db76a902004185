"""What a run records about its files: where they lie, and which of them messages are about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["is_named", "where_inputs_lie"]

MOST_NAMED_INPUTS = 32


def is_named(source: str, texts: Sequence[str]) -> bool:
    """Return whether one of some messages is about a file, and not one whose name holds its own."""
    name = re.compile(rf"(?<![\w.-]){re.escape(source)}(?![\w-])")
    return any(name.search(text) for text in texts)


def where_inputs_lie(paths: Sequence[Path]) -> list[str]:
    """Return where inputs lie: single files by name, of many the folders that hold them."""
    if len(paths) <= MOST_NAMED_INPUTS:
        return [str(path.resolve()) for path in paths]
    return sorted({str(path.resolve().parent) for path in paths})
