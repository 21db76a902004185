"""The files that options of backgrounds and generators name, and their digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from defectscope.core.file_order import visible_files
from defectscope.core.provenance import input_digests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["file_digests", "file_records", "labelme_files"]


def file_digests(paths: Sequence[Path]) -> dict[str, Any]:
    """Return what ``depends_on`` says about files; nothing where there are none."""
    digests = input_digests(paths)
    return {"files": digests} if digests else {}


def file_records(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Return name and digest of files, for the parameters of a sample."""
    digests = input_digests(paths)
    return [{"file": name, "sha256": d.rpartition(":")[2]} for name, d in digests.items()]


def labelme_files(path: Path) -> list[Path]:
    """Return a labelme file, or all JSON files of a folder in natural order."""
    return visible_files(path, "**/*.json") if path.is_dir() else [path]
