"""Analyses: what is asked of those that turn tables into quantities and figures."""

from __future__ import annotations

import pandas as pd

from defectscope.core.base import Analysis
from defectscope.core.findings import Finding, Tables
from defectscope.plugins.conformance.basics import Check, Setup, expect, pickled
from defectscope.plugins.conformance.tables import sample_tables

__all__ = ["CHECKS"]


def _analysed(analysis: Analysis, tables: Tables) -> list[Finding]:
    parts = [tables.frames, tables.detections, tables.geometry, tables.tracks]
    before = [None if part is None else part.copy(deep=True) for part in parts]
    findings = analysis.analyse(tables)
    expect(
        isinstance(findings, list) and all(isinstance(f, Finding) for f in findings),
        f"analyse must return a list of defectscope.Finding, found {findings!r:.80}",
    )
    expect(
        all(
            old is None or (new is not None and new.equals(old))
            for old, new in zip(before, parts, strict=True)
        ),
        "analyse must not change the tables that it is given",
    )
    _expect_findings(findings)
    return findings


def _expect_findings(findings: list[Finding]) -> None:
    names = [finding.name for finding in findings]
    for finding in findings:
        safe = finding.name and finding.name.replace("-", "").replace("_", "").isalnum()
        expect(
            bool(safe) and finding.name.isascii() and names.count(finding.name) == 1,
            f"the name of a finding is a file stem of letters, digits, - and _, and occurs once; "
            f"found {names}",
        )
        expect(
            isinstance(finding.title, str) and finding.title.strip(),
            f"finding {finding.name!r} needs a title",
        )
        expect(
            isinstance(finding.table, pd.DataFrame),
            f"finding {finding.name!r} needs the table behind it, found "
            f"{type(finding.table).__name__}",
        )
        expect(
            finding.figure is None or hasattr(finding.figure, "savefig"),
            f"the figure of finding {finding.name!r} must be a matplotlib Figure or None, found "
            f"{type(finding.figure).__name__}",
        )


def check_finds_in_tables(component: type[Analysis], setup: Setup) -> None:
    """It returns a list of findings, each with a name, a title and a table."""
    with setup.opened(component) as analysis:
        _analysed(analysis, sample_tables())


def check_copes_with_less(component: type[Analysis], setup: Setup) -> None:
    """It copes with empty tables, without tracks, and with an unknown calibration."""
    with setup.opened(component) as analysis:
        for tracked in (True, False):
            for measured in (True, False):
                _analysed(analysis, sample_tables(measured=measured, tracked=tracked))
                _analysed(analysis, sample_tables(rows=False, measured=measured, tracked=tracked))
            _analysed(analysis, sample_tables(frames=False, tracked=tracked))


def check_analysis_repeats(component: type[Analysis], setup: Setup) -> None:
    """The same tables give the same findings."""
    built = setup.build(component)
    copy = pickled(built)
    with built:
        results = [_analysed(built, sample_tables()) for _ in range(2)]
    with copy:
        results.append(_analysed(copy, sample_tables()))
    first = results[0]
    for again in results[1:]:
        expect(
            [f.name for f in first] == [f.name for f in again]
            and all(a.table.equals(b.table) for a, b in zip(first, again, strict=True)),
            "the same tables must give the same findings",
        )


CHECKS: tuple[Check, ...] = (
    check_finds_in_tables,
    check_copes_with_less,
    check_analysis_repeats,
)
