"""Folders written whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from defectscope.core.errors import OutputError
from defectscope.core.file_order import visible_files

__all__ = ["left_over", "whole_folder"]


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder in or beside `path`; on success its files move to `path`.

    A new folder appears with all of its files at once. In one that exists, each file is
    replaced whole, and other files stay; it may be a mounted one, or a link to one.

    Raises
    ------
    OutputError
        The folder cannot be written to, or a file stands in its place.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write the folder {path}: a file of that name exists; move it")
    # Files can be renamed on one file system alone, which the folder above need not share.
    exists = path.is_dir()
    place = path if exists else path.parent
    temporary: Path | None = None
    try:
        place.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=place))
        yield temporary
        (_move_files if exists else _move_whole)(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _move_whole(source: Path, target: Path) -> None:
    # A temporary folder is private; the result gets the rights that any new folder gets.
    target.mkdir()
    source.chmod(target.stat().st_mode)
    target.rmdir()
    source.rename(target)


def _move_files(source: Path, target: Path) -> None:
    for file in sorted(p for p in source.rglob("*") if p.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)


def left_over(folder: Path, written: set[Path], suffix: str) -> list[str]:
    """Return a warning where label files of an earlier conversion stay beside the new ones."""
    files = visible_files(folder, f"**/*{suffix}")
    older = [p for p in files if p.relative_to(folder) not in written]
    if not older:
        return []
    if len(older) == 1:
        return [
            f"{folder} still holds another {suffix} file, {older[0].name}, which will be read "
            "with the new ones; remove it if it is out of date"
        ]
    return [
        f"{folder} still holds {len(older)} other {suffix} files, such as {older[0].name}, "
        "which will be read with the new ones; remove them if they are out of date"
    ]
