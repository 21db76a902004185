"""Figures as files, each with the table behind it as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import OptionError
from defectscope.core.files import atomic_path
from defectscope.pipeline.parts import write_table

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from defectscope.core.findings import Finding

__all__ = ["DEFAULT_FORMATS", "FORMATS", "figure_formats", "file_names", "write_finding"]

FORMATS = ("png", "svg", "pdf")
DEFAULT_FORMATS = ("png", "svg")
# A PDF or SVG file holds the time it was made, unless told otherwise.
UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def figure_formats(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return formats of figures, each once, from ``png,svg,pdf`` or a sequence of names.

    Raises
    ------
    OptionError
        There is none, or one is not known.
    """
    names = given.split(",") if isinstance(given, str) else given
    chosen = tuple(dict.fromkeys(name.strip().lower() for name in names))
    if not chosen or not set(chosen) <= set(FORMATS):
        raise OptionError(
            f"formats of figures are {', '.join(FORMATS)}, separated by commas; found "
            f"{','.join(chosen)!r}"
        )
    return chosen


def file_names(finding: Finding, formats: Sequence[str] = DEFAULT_FORMATS) -> list[str]:
    """Return the names of the files of a finding: its table, and its figure in each format."""
    drawn = () if finding.figure is None else formats
    return [f"{finding.name}.{suffix}" for suffix in ("csv", *drawn)]


def write_finding(
    folder: Path, finding: Finding, formats: Sequence[str] = DEFAULT_FORMATS
) -> list[str]:
    """Write the table of a finding as CSV and its figure, and return the names of the files.

    The same finding gives the same bytes. PDF takes as long as PNG, about 0.3 s a figure.
    """
    names = file_names(finding, formats)
    write_table(folder / names[0], finding.table)
    if finding.figure is not None:
        for name in names[1:]:
            _save(finding.figure, folder / name)
            # What was placed for the first is where it belongs in the others.
            finding.figure.set_layout_engine("none")
    return names


def _save(figure: Figure, path: Path) -> None:
    from matplotlib import rc_context

    metadata = UNDATED.get(path.suffix[1:])
    # SVG has random names unless they are told; PDF draws letters unless told to keep them.
    settings = rc_context({"svg.hashsalt": "defectscope", "pdf.fonttype": 42})
    with atomic_path(path) as temporary, settings:
        figure.savefig(temporary, metadata=metadata)
