"""What the files of a series say about themselves: warnings once each, and one calibration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from defectscope.core.calibration import Calibration
from defectscope.core.frames import stem_and_number

__all__ = [
    "SeriesNotes",
    "broken_numbering",
    "listed",
    "name_pattern",
    "one_after_the_other",
    "still_true",
    "without_frames",
]

SCALE_TOLERANCE = 0.01
MOST_WARNINGS = 50
MOST_NAMES = 3
GOES_ON = (
    "they are one series, in which times, doses, votes and tracks go on from file to file; run "
    "recordings of their own apart"
)
ONE_SERIES = f"there are several files, and some hold more than one frame: {GOES_ON}"
NO_INTERVAL = (
    "how much time lies from file to file is not known, and the frame interval is left unknown "
    "unless it is given (--frame-interval)"
)

# What lies before the last number of a time: digits and separators alone (20240501_), two more
# numbers with nothing but separators and units after them (at 10.00. or 10h01m), those that Gatan's
# programs write, or a number with a point.
_TO_NEXT = r"(?:[hms]|[hms]?[\W_]+|[\W_]*at[\W_]*)"
CLOCK = re.compile(
    rf"^[\d_\-. ]*\d[_\-. ]*$|\d{_TO_NEXT}\d+{_TO_NEXT}$|hour_?\d+_?minute_?\d+_?second_|\d\.$",
    re.IGNORECASE,
)
NOT_BY_NUMBERS = "so frames count from 0 and not by the numbers in the names"


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
                "one is used for all, that of the first unless another is given; run files of "
                "different sizes apart"
            )


def one_after_the_other(calibration: Calibration, warnings: list[str]) -> Calibration:
    """Return the calibration of several files, of which one or more is a series by itself.

    That they are taken as one series is said, for nobody can see it in the results.

    Parameters
    ----------
    calibration
        That of the first file.
    warnings
        Where to say that its frame interval is left out.
    """
    warnings.append(ONE_SERIES)
    if calibration.frame_interval_s is None:
        return calibration
    warnings.append(NO_INTERVAL)
    return calibration.model_copy(update={"frame_interval_s": None})


def still_true(
    warnings: Sequence[str], calibration: Calibration, unrelated: bool = False
) -> list[str]:
    """Return the warnings without those of several files that do not hold.

    Parameters
    ----------
    warnings
        Of a series.
    calibration
        That which is used: what was given may say the time between frames.
    unrelated
        Whether the frames are unrelated images.
    """
    wrong: list[str] = [GOES_ON, NO_INTERVAL] if unrelated else []
    if calibration.knows_times:
        wrong.append(NO_INTERVAL)
    return [text for text in warnings if not text.endswith(tuple(wrong))]


def _size(pixel_size_nm: float | None) -> str:
    return "unknown" if pixel_size_nm is None else f"{pixel_size_nm:.6g} nm"


def broken_numbering(names: Sequence[str], paths: Sequence[Path]) -> str | None:
    """Say why numbers in names do not count: they are of several series, or not of all files.

    None where there is no such case. Frames count from 0 then, which changes times and doses.

    Parameters
    ----------
    names
        What to call the files in the message.
    paths
        The files.
    """
    numbered = [stem_and_number(path.stem) for path in paths]
    stems = [None if parts is None else parts[0] for parts in numbered]
    ways = _numbered_stems({parts for parts in numbered if parts is not None})
    known = Counter(stem for stem in stems if stem is not None)
    stem, fitting = max(known.items(), key=lambda item: item[1], default=("", 0))
    most = 2 * fitting > len(paths)
    if len(ways) > 1 and not most:
        shown = listed([s if "…" in s else f"{s}…" if s else "numbers alone" for s in ways])
        return f"the files are numbered in {len(ways)} ways ({shown}), {NOT_BY_NUMBERS}: {GOES_ON}"
    parts_of_times = {s for s in known if _kind(s) == _kind(stem)}
    if fitting < 2 or not most or len(parts_of_times) > 1:
        return None
    counts = f"{NOT_BY_NUMBERS}; if they should count by them, "
    others = [name for name, s in zip(names, stems, strict=True) if s != stem]
    if others:
        apart = ", and run recordings of their own apart" if len(ways) > 1 else ""
        does, it = ("does", "it") if len(others) == 1 else ("do", "them")
        return (
            f"{listed(others)} {does} not fit the names of the {fitting} other files "
            f"({name_pattern(stem)}), {counts}take {it} out or rename {it}{apart}"
        )
    by_number: dict[int, list[str]] = {}
    for name, parts in zip(names, numbered, strict=True):
        by_number.setdefault(-1 if parts is None else parts[1], []).append(name)
    same = next((shared for shared in by_number.values() if len(shared) > 1), None)
    if same is None:
        return None
    return f"{listed(same)} have the same number, {counts}each number must come once"


def _numbered_stems(named: Iterable[tuple[str, int]]) -> list[str]:
    """Return one stem of each series of names: those that come with two numbers or more."""
    counts = Counter(stem for stem, _ in named)
    stems = sorted(stem for stem, count in counts.items() if count > 1)
    return sorted({_kind(s): s for s in reversed(stems)}.values())


def _kind(stem: str) -> str:
    """Return what stems of one series share: the last part of a time begins again in it."""
    return re.sub(r"\d+", "0", stem) if CLOCK.search(stem) else stem


def name_pattern(stem: str) -> str:
    """Return how the files of a series are named, whose names have this stem beside a number."""
    if "…" in stem:
        return stem
    return f"{stem} and a number" if stem else "a number"


def without_frames(names: Sequence[str]) -> str:
    """Return what is said of files in which a reader finds no frame."""
    verb = "holds no frame and is" if len(names) == 1 else "hold no frame and are"
    return f"{listed(names)} {verb} left out; frame indices are those of the other files"


def listed(names: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``, ``a, b, c and 4 more``."""
    shown = list(names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        shown.append(f"{len(names) - MOST_NAMES} more")
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
