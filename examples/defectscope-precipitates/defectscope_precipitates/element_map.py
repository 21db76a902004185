"""Reader of maps of elements that were exported as text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import defectscope as ds
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ElementMapReader"]

PIXEL_SIZE = re.compile(r"#\s*pixel_size_nm\s*=\s*(\S+)")


class ElementMapReader(ds.Reader):
    """Counts as text: one line a row, values apart by commas, semicolons, tabs or spaces."""

    one_image_a_file = True

    def read(self, path: Path) -> ds.FrameSequence:
        """Return the one frame of a file."""
        return _Map(path)


class _Map(ds.FrameSequence):
    def __init__(self, path: Path) -> None:
        self.paths, self.indices, self.names, self.warnings = (path,), (0,), (path.name,), []
        for line in self._lines():
            match = PIXEL_SIZE.fullmatch(line.strip())
            if match:
                self.calibration = _calibration(path, match[1])

    def _lines(self) -> list[str]:
        path = self.paths[0]
        try:
            # Windows programs begin text files with a byte order mark.
            return path.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise ds.InputError(f"cannot read {path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ds.InputError(f"{path} is no map of elements: it is not text") from error

    def read(self, position: int) -> NDArray[Any]:
        """Return the counts: uint16 where they are whole and fit, else float32."""
        path, rows = self.paths[0], []
        for number, line in enumerate(self._lines(), start=1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            try:
                rows.append([float(part) for part in re.split(r"[,;\s]+", text) if part])
            except ValueError as error:
                raise ds.InputError(f"{path}, line {number}: {error}") from error
            if len(rows[-1]) != len(rows[0]):
                raise ds.InputError(
                    f"{path}, line {number}: expected {len(rows[0])} values as in the first row, "
                    f"found {len(rows[-1])}"
                )
        if not rows:
            raise ds.InputError(f"{path} is no map of elements: it holds no numbers")
        counts = np.array(rows)
        whole = bool(np.all(counts == np.round(counts)))
        if whole and counts.min() >= 0 and counts.max() <= np.iinfo(np.uint16).max:
            return counts.astype(np.uint16)
        return counts.astype(np.float32)


def _calibration(path: Path, text: str) -> ds.Calibration:
    try:
        return ds.Calibration(pixel_size_nm=float(text))
    except ValueError as error:
        raise ds.InputError(
            f"{path}: pixel_size_nm must be a positive number, found {text!r}"
        ) from error
