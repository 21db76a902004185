"""What analyses find, as files: checked, each under a name of its own, or left out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import pandas as pd

from defectscope.core.errors import ComponentError
from defectscope.core.findings import Finding, KeyNumber
from defectscope.pipeline.figure_files import DEFAULT_FORMATS, FORMATS, file_names, write_finding
from defectscope.pipeline.named import guarded

if TYPE_CHECKING:
    from pathlib import Path

    from defectscope.pipeline.named import NamedComponent

__all__ = ["Found", "check_findings", "write_found"]

# A file stem: nothing that leads elsewhere, hides a file, or that Windows refuses.
FILE_STEM = re.compile(r"\w[\w .-]*")
NOT_IN_FILE_NAMES = re.compile(r"[^\w.-]+")


@dataclass
class Found:
    """Findings that were written, and the names of their files."""

    findings: list[Finding] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def check_findings(named: NamedComponent, findings: Any) -> None:
    """Check that an analysis returned findings that can be written and shown.

    Raises
    ------
    ComponentError
        It did not; names the analysis.
    """
    if not isinstance(findings, list) or not all(isinstance(f, Finding) for f in findings):
        raise ComponentError(
            f"{named.describe()} must return a list of Finding, found {findings!r:.80}"
        )
    for finding in findings:
        text = _fault(finding)
        if text is not None:
            raise ComponentError(f"{named.describe()} returned a finding {text}")


def _fault(finding: Any) -> str | None:
    name, figure = finding.name, finding.figure
    if not isinstance(name, str) or not FILE_STEM.fullmatch(name):
        return (
            "whose name is no file stem: letters, digits, blanks, '-', '_' and '.' are possible, "
            f"found {name!r:.80}"
        )
    if not isinstance(finding.title, str) or not isinstance(finding.note, str):
        return f"{name!r} whose title or note is no text"
    if not isinstance(finding.table, pd.DataFrame):
        return f"{name!r} whose table must be a DataFrame, found {type(finding.table).__name__}"
    if figure is not None and not hasattr(figure, "savefig"):
        return f"{name!r} whose figure must be a matplotlib Figure, found {type(figure).__name__}"
    numbers = finding.numbers
    if not isinstance(numbers, Sequence) or not all(isinstance(n, KeyNumber) for n in numbers):
        return f"{name!r} whose numbers must be KeyNumber objects, found {numbers!r:.80}"
    for number in numbers:
        if not isinstance(number.label, str) or not isinstance(number.unit, str):
            return f"{name!r} with a number whose label or unit is no text, found {number!r:.80}"
        limits = [limit for limit in (number.low, number.high) if limit is not None]
        if not all(isinstance(value, Real) for value in (number.value, *limits)):
            return f"{name!r} whose number {number.label!r} must be real, found {number!r:.80}"
    return None


def write_found(
    folder: Path,
    found: Iterable[tuple[NamedComponent, Finding]],
    warnings: list[str],
    formats: Sequence[str] = DEFAULT_FORMATS,
    note: Callable[[list[str]], None] = lambda names: None,
) -> Found:
    """Write findings and the tables behind them.

    Parameters
    ----------
    folder
        Where to.
    found
        Findings and whose they are. A name that an earlier one has gets that of its analysis
        before it.
    warnings
        Grows: what was renamed, and what is wrong with those of optional analyses.
    formats
        Of figures.
    note
        Called with the names of the files of each finding before they are written.

    Raises
    ------
    ComponentError
        A finding of an analysis that the user asked for cannot be drawn.
    OutputError
        The folder cannot be written to.
    """
    written = Found()
    # Not every file system tells upper from lower case.
    taken: set[str] = set()
    for named, finding in found:
        own = _with_own_name(named, finding, taken, warnings)
        note(file_names(own, formats))
        try:
            files = guarded(
                named, f"at its figure {own.name!r}", write_finding, folder, own, formats
            )
        except ComponentError as error:
            # No half of a finding stays.
            for suffix in ("csv", *FORMATS):
                (folder / f"{own.name}.{suffix}").unlink(missing_ok=True)
            if not named.optional:
                raise
            warnings.append(f"a finding is left out: {error}")
            continue
        taken.add(own.name.casefold())
        written.findings.append(own)
        written.files += files
    return written


def _with_own_name(
    named: NamedComponent, finding: Finding, taken: set[str], warnings: list[str]
) -> Finding:
    if finding.name.casefold() not in taken:
        return finding
    stem = f"{NOT_IN_FILE_NAMES.sub('-', named.alias)}-{finding.name}"
    names = itertools.chain([stem], (f"{stem}-{k}" for k in itertools.count(2)))
    name = next(name for name in names if name.casefold() not in taken)
    warnings.append(
        f"the finding {finding.name!r} of {named.label} has the name of an earlier one; "
        f"its files are called {name}"
    )
    return replace(finding, name=name)
