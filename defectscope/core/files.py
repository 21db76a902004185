"""Files written whole or not at all, and names that stay inside their folder."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from defectscope.core.errors import FormatError, OutputError

__all__ = ["atomic_path", "inside", "write_json", "write_text"]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` on success.

    Raises
    ------
    OutputError
        The folder cannot be written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, default: Callable[[Any], Any] | None = None) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, default=default) + "\n")


def inside(folder: Path, name: str) -> Path:
    """Return ``folder / name``, refusing a name that leads out of `folder`.

    Raises
    ------
    FormatError
        `name` is absolute, climbs with ``..``, or names nothing; annotation files come from
        strangers.
    """
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    absolute = windows.drive or windows.root or posix.is_absolute()
    if absolute or not windows.parts or ".." in windows.parts or "\0" in name:
        raise FormatError(
            f"{name!r} is not the name of a file inside the dataset's folder {folder}; "
            "names must be relative and without '..'"
        )
    return folder.joinpath(*windows.parts)
