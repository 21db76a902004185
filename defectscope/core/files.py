"""Files written whole or not at all, and names that stay inside their folder."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from defectscope.core.errors import FormatError, InputError, OutputError
from defectscope.core.patience import patiently

__all__ = [
    "atomic_folder",
    "atomic_path",
    "check_encoding",
    "compact_json",
    "contents",
    "half_written",
    "inside",
    "json_text",
    "lost_input",
    "write_bytes",
    "write_json",
    "write_new",
    "write_text",
]

# What JSON holds as it is, without anything inside.
PLAIN = frozenset([bool, float, int, str, type(None)])
# Names of files that are not whole yet.
TEMPORARY = re.compile(r"\..+-[0-9a-f]{10}(\.\w+)?")

# What systems put into folders by themselves: macOS, Windows, and Linux where a disk begins.
OF_SYSTEMS = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|lost\+found", re.IGNORECASE)


def contents(folder: Path) -> list[Path]:
    """Return what somebody has put into a folder, in order; nothing where there is none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not OF_SYSTEMS.fullmatch(path.name))


def lost_input(inputs: Iterable[Path], changed: Iterable[Path]) -> Path | None:
    """Return the first input that is one of the files to be changed or deleted, if there is one."""
    files = {path.resolve() for path in changed}
    return next((path for path in inputs if path.resolve() in files), None)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` on success.

    Raises
    ------
    OutputError
        The folder cannot be written to, or the disk is full.
    """
    with _replacing(path) as (handle, temporary):
        os.close(handle)
        yield temporary


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, and put it in the place of `path` on success.

    Where that fails, a former folder stays as it was.

    Raises
    ------
    OutputError
        The folder cannot be written to, or the disk is full.
    """
    temporary = _beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _put(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(new: Path, path: Path) -> None:
    """Put a folder in the place of another, which is renamed until the new one is there."""
    if path.is_symlink() or not path.is_dir():
        new.replace(path)
        return
    # Deleting file by file may fail half-way: Windows keeps a file that somebody reads.
    former = _beside(path)
    patiently(lambda: path.replace(former))
    try:
        patiently(lambda: new.replace(path))
    except BaseException:
        former.replace(path)
        raise
    shutil.rmtree(former, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data`, whole or not at all."""
    with _replacing(path) as (handle, _):
        _write_and_close(handle, data)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, in an :func:`atomic_folder`; faster than ``open``."""
    _write_and_close(_created(path), data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any, default: Callable[[Any], Any] | None = None) -> None:
    """Write `value` as JSON laid out by :func:`json_text`, whole or not at all."""
    write_text(path, json_text(value, default) + "\n")


def json_text(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return `value` as JSON: a line for each key and each object, but none for each number."""
    return _laid_out(value, default, "\n")


def _laid_out(value: Any, default: Callable[[Any], Any] | None, line: str) -> str:
    if type(value) in PLAIN:
        return compact_json(value)
    below = line + " "
    if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
        entries = [f"{_key(key)}: {_laid_out(item, default, below)}" for key, item in value.items()]
        return f"{{{below}{f',{below}'.join(entries)}{line}}}"
    if isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        items = (_laid_out(item, default, below) for item in value)
        return f"[{below}{f',{below}'.join(items)}{line}]"
    return compact_json(value, default)


@lru_cache(maxsize=1024)
def _key(name: str) -> str:
    return compact_json(name)


def compact_json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return `value` as JSON without spaces; numbers are written ten times as fast as by ``json``.

    Raises
    ------
    TypeError
        There is something in it that JSON cannot hold, and no `default` to make it plain.
    """
    try:
        return str(to_json(value, inf_nan_mode="constants", fallback=default), "utf-8")
    except PydanticSerializationError as error:
        raise TypeError(str(error)) from error


@contextmanager
def _replacing(path: Path) -> Iterator[tuple[int, Path]]:
    """Yield a new file beside `path`, open and by name, and rename it to `path` on success."""
    temporary = _beside(path)
    try:
        try:
            handle = _created(temporary)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = _created(temporary)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield handle, temporary
        patiently(lambda: temporary.replace(path))
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def half_written(folder: Path) -> list[Path]:
    """Return the files that a writer which was killed has left in a folder, where there is one."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if TEMPORARY.fullmatch(path.name)]
    return [path for path in found if path.is_file()]


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem}-{secrets.token_hex(5)}{path.suffix}")


def _created(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)


def _write_and_close(handle: int, data: bytes) -> None:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


def check_encoding(path: Path) -> None:
    """Refuse a path that no table and no JSON file can hold.

    Raises
    ------
    InputError
        Its name is not valid UTF-8, as of files that came from an old system.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise InputError(f"the file name {shown} is not valid UTF-8; rename it") from error


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
