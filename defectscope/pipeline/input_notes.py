"""What the files of a series say about themselves: warnings once each, and one calibration."""

from __future__ import annotations

from collections.abc import Iterable

from defectscope.core.calibration import Calibration

__all__ = ["SeriesNotes"]

SCALE_TOLERANCE = 0.01
MOST_WARNINGS = 50


class SeriesNotes:
    """Gathers the warnings of thousands of files without repeating them.

    Parameters
    ----------
    warnings
        The list to add to: that of the series.

    Attributes
    ----------
    calibration : Calibration or None
        That of the first file which could be read.
    """

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings
        self._said: set[str] = set()
        self.calibration: Calibration | None = None

    def add(self, file_name: str, texts: Iterable[str]) -> None:
        """Add the warnings of a file, in front its name, that no other file had before it."""
        for text in texts:
            if text in self._said or len(self._said) > MOST_WARNINGS:
                continue
            self._said.add(text)
            if len(self._said) > MOST_WARNINGS:
                self._warnings.append("there are more warnings about files; they are left out")
            else:
                self._warnings.append(f"{file_name}: {text}")

    def compare(self, file_name: str, calibration: Calibration) -> None:
        """Keep the first calibration; say, once, that another differs by more than 1 %."""
        if self.calibration is None:
            self.calibration = calibration
            return
        first, here = self.calibration.pixel_size_nm, calibration.pixel_size_nm
        if first is None or here is None:
            differ = first is not here
        else:
            differ = abs(first - here) > SCALE_TOLERANCE * max(first, here)
        text = "the files differ in pixel size"
        if differ and text not in self._said:
            self._said.add(text)
            self._warnings.append(
                f"{text}: {_size(first)} in the first, {_size(here)} in {file_name}; "
                "that of the first is used for all"
            )


def _size(pixel_size_nm: float | None) -> str:
    return "unknown" if pixel_size_nm is None else f"{pixel_size_nm:.6g} nm"
