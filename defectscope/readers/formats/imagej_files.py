"""The bytes of ImageJ's regions: ``.roi`` files, folders and archives of them."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from defectscope.core.errors import FormatError, InputError
from defectscope.core.file_order import visible_files

__all__ = ["region_bytes"]

LARGEST_REGION_BYTES = 2**24
LARGEST_SET_BYTES = 2**29
ARCHIVE_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    OSError,
)  # fmt: skip


def region_bytes(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield file stem, place for messages, and bytes of every region at `path`.

    Raises
    ------
    InputError
        A file cannot be opened.
    FormatError
        An archive is damaged, or a region too large to be one.
    """
    try:
        if path.is_dir():
            for file in visible_files(path, "*.roi"):
                yield path.name, str(file), file.read_bytes()[:LARGEST_REGION_BYTES]
        elif path.suffix.lower() == ".roi":
            yield path.stem, str(path), path.read_bytes()[:LARGEST_REGION_BYTES]
        else:
            yield from _entries(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _entries(path: Path) -> Iterator[tuple[str, str, bytes]]:
    total = 0
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as archive:
            for entry in archive.infolist():
                # The entry's name is used in messages only, never as a path.
                if entry.is_dir() or not entry.filename.lower().endswith(".roi"):
                    continue
                where = f"{path}: {entry.filename}"
                with archive.open(entry) as file:
                    data = file.read(LARGEST_REGION_BYTES + 1)
                total += len(data)
                if len(data) > LARGEST_REGION_BYTES or total > LARGEST_SET_BYTES:
                    raise FormatError(f"{where}: the region is too large to be one")
                yield path.stem, where, data
    except ARCHIVE_ERRORS as error:
        raise FormatError(f"{path}: the archive cannot be read: {error}") from error
