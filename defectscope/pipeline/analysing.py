"""The analyses of a finished run done again, with a report: ``defectscope analyze``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import UsageError
from defectscope.core.files import write_text
from defectscope.core.findings import Finding, Tables
from defectscope.core.frame_steps import typical_step
from defectscope.core.frames import frame_range_text
from defectscope.core.particles import particle_table
from defectscope.core.recalibration import recalibrated
from defectscope.pipeline.analysed_parts import analysed_part, parts_with, said_of_part
from defectscope.pipeline.analysis_notes import said_of_run
from defectscope.pipeline.calibrating import merged_calibration, unknown_fractions, without_laws
from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.detector_scores import detector_scores, known_by, threshold_of
from defectscope.pipeline.figure_files import DEFAULT_FORMATS, figure_formats
from defectscope.pipeline.finding_files import write_found
from defectscope.pipeline.finishing import about_what_was_found, findings_of, readable_frames
from defectscope.pipeline.given_tracks import given_tracks
from defectscope.pipeline.given_values import (
    expected_path,
    expected_paths,
    expected_tables,
    several,
)
from defectscope.pipeline.label_results import run_or_labels
from defectscope.pipeline.named import NamedComponent
from defectscope.pipeline.regions import check_corners
from defectscope.pipeline.report import report_page
from defectscope.pipeline.report_data import page_data, shown_frames
from defectscope.pipeline.report_facts import report_facts
from defectscope.pipeline.report_images import report_images
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_files import refuse_run_folder
from defectscope.pipeline.run_info import said_of_former
from defectscope.pipeline.run_labels import is_run
from defectscope.pipeline.run_lines import line_courses
from defectscope.pipeline.runfolder import RunFolder
from defectscope.pipeline.selected_tables import selected_tables
from defectscope.pipeline.time_tables import outside_table
from defectscope.pipeline.unasked_analyses import unasked_analyses
from defectscope.plugins.host import default_host

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.core.base import Runtime
    from defectscope.core.calibration import Calibration
    from defectscope.pipeline.regions import Roi
    from defectscope.plugins.host import PluginHost

__all__ = ["Analysed", "analyse_run", "analyze"]

VIEWER_FRAMES = 24


@dataclass(frozen=True)
class Analysed:
    """What came out.

    Parameters
    ----------
    findings
        In the order of the analyses.
    files
        Names of what was written under ``figures/``.
    report
        ``report.html``, or None.
    warnings
        What is to be said.
    run
        What a pipeline returned, where that was analysed: its temporary folder, and the report in
        it, live as long as this.
    """

    findings: list[Finding]
    files: list[str]
    report: Path | None
    warnings: list[str] = field(default_factory=list)
    run: Result | None = field(default=None, repr=False, compare=False)


def analyse_run(
    run: str | Path,
    host: PluginHost,
    analyses: str | Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    out: str | Path | None = None,
    frames: str | slice | range | None = None,
    roi: Roi | None = None,
    images: str | Path | Sequence[str | Path] = (),
    viewer_frames: int = VIEWER_FRAMES,
    report: bool = True,
    figures: str | Sequence[str] = DEFAULT_FORMATS,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    tracks: str | Path | pd.DataFrame | None = None,
    calibration: Calibration | Mapping[str, Any] | Path | str | None = None,
    **values: Any,
) -> Analysed:
    """Analyse the tables of a run, and write figures, the data behind them and a report.

    Parameters
    ----------
    run
        Run folder, or labelled data in any format that can be read.
    host
        Plugins.
    analyses
        By name; None means every installed one.
    options
        Options of analyses by name.
    out
        Folder for ``figures/`` and ``report.html``; the run folder by default. Labels need one.
    frames, roi
        Only frame indices ``FIRST:STOP:STEP`` (or that as a slice or range), and a region in px.
    images
        Where the frames are, if not where the run found them.
    viewer_frames
        Most frames that the report shows.
    report
        Whether to write one.
    figures
        Formats of the figures: some of ``png``, ``svg`` and ``pdf``.
    progress
        Called with (stage, done, total).
    tracks
        Table that ``track`` made of the run's detections, or its file, in place of the run's own
        tracks.
    calibration
        A calibration, its fields by name, or a TOML file with one; overrules that of the run.
    **values
        Single fields of :class:`Calibration`, such as ``thickness_nm=75``; overrule both.

    Raises
    ------
    DefectscopeError
        There is no run and no labels, an analysis raised, a selection holds nothing, or `out` is
        another run.
    """
    formats = figure_formats(figures)
    options = expected_tables(options)
    frames = None if frames is None else frame_range_text(frames)
    roi = None if roi is None else check_corners(roi)
    run = expected_path(run, "a run folder, labelled data, or what a pipeline returned")
    result = run_or_labels(run, host)
    folder = result.folder if out is None else expected_path(out)
    of_run = folder.resolve() == result.folder.resolve()
    _check_run(run, result, out is None, tracks is not None)
    if not of_run:
        refuse_run_folder(folder, "analysis")
    runtime = host.runtime()
    wanted, left_out = _built(host, analyses, options, runtime)
    built = about_what_was_found(wanted, result)
    given = None if tracks is None else given_tracks(tracks, result)
    tables, said = _tables_of(result, built, runtime, given, calibration, values, frames, roi)
    part = analysed_part(result.calibration, tables.calibration, frames, roi, tracks)
    before = dict(result.info)
    left_out += _of_other_shapes(wanted, built)
    found = findings_of(built, tables, progress, left_out)
    written = write_found(
        folder / "figures", found, left_out, formats,
        lambda names: _note_figures(result, names, part) if of_run else None,
    )  # fmt: skip
    if of_run:
        said += said_of_part(before, part, written.files)
    warnings = list(dict.fromkeys([*said, *left_out]))
    path = folder / "report.html" if report else None
    if path is not None:
        _write_report(
            path, run.resolve().name, result, tables, written.findings, runtime, host,
            expected_paths(images), viewer_frames, warnings, formats,
        )  # fmt: skip
    return Analysed(written.findings, written.files, path, warnings)


def _tables_of(
    result: Result,
    built: Sequence[NamedComponent],
    runtime: Runtime,
    tracks: pd.DataFrame | None,
    calibration: Calibration | Mapping[str, Any] | Path | str | None,
    values: Mapping[str, Any],
    frames: str | None,
    roi: Roi | None,
) -> tuple[Tables, list[str]]:
    """Return what the analyses are given, and what is to be said of the run and its calibration."""
    geometry = any(named.component.needs_geometry for named in built)
    known = detector_scores(result, runtime.weights)
    tables = known_by(known, result.tables_for_analysis(geometry))
    if tracks is not None:
        tables = replace(tables, tracks=tracks)
    said: list[str] = []
    merged = merged_calibration(tables.calibration, calibration, values, said, of_run=True)
    if result.mixed_sizes:
        merged = without_laws(merged, said, of_run=True)
    found_types = map(str, tables.detections["defect_type"].unique())
    said += unknown_fractions(merged, {*runtime.defect_types, *found_types})
    tables = selected_tables(recalibrated(tables, merged), frames, roi)
    said += outside_table(merged, tables.frames["frame"])
    return tables, [*said, *said_of_run(result, tables), *filter(None, [known.warning])]


def _check_run(run: Path, result: Result, in_place: bool, with_tracks: bool) -> None:
    """Refuse what cannot be analysed, or not so."""
    if not is_run(run):
        if in_place:
            raise UsageError(f"{run} is labelled data; name a folder for the results with --out")
        if with_tracks:
            raise UsageError("labelled data has no detections to link; leave out --tracks")
    if not len(result.frames):
        former = said_of_former(result.folder) or "; run it first"
        raise UsageError(f"the run in {result.folder} has no finished frame{former}")


def _of_other_shapes(wanted: list[NamedComponent], built: list[NamedComponent]) -> list[str]:
    """Return what to say of analyses that were asked for and are about nothing that was found."""
    return [
        f"{named.alias} found nothing: no defect of the run has the shape "
        f"{' or '.join(named.component.shapes)}"
        for named in wanted
        if named not in built and not named.optional
    ]


def _built(
    host: PluginHost,
    analyses: str | Sequence[str] | None,
    options: Mapping[str, Mapping[str, Any]],
    runtime: Runtime,
) -> tuple[list[NamedComponent], list[str]]:
    """Return the analyses, and what is to be said of those that are left out."""
    if analyses:
        choices = make_choices(several(analyses), options)
        warnings: list[str] = []
    else:
        unasked, warnings = unasked_analyses(host, options)
        choices = make_choices(unasked, options)
    built = [NamedComponent.build(host, "analyses", choice, runtime) for choice in choices]
    return [replace(named, optional=not analyses) for named in built], warnings


def _write_report(
    path: Path,
    name: str,
    result: Result,
    tables: Tables,
    findings: Sequence[Finding],
    runtime: Runtime,
    host: PluginHost,
    images: Sequence[Path],
    viewer_frames: int,
    warnings: list[str],
    formats: Sequence[str],
) -> None:
    """Write the page; `name` is that of the run."""
    found = report_images(result, host, images)
    particles = None
    if tables.tracks is not None:
        step, looked_at = typical_step(tables.frames["frame"]), readable_frames(tables.frames)
        particles = particle_table(tables.tracks, tables.calibration, step, looked_at)
    shown = shown_frames(tables, viewer_frames)
    lines = line_courses(result, runtime.defect_types)
    data = page_data(tables, particles, runtime.defect_types, found, shown, lines)
    found.close()
    many = f"{len(shown)} of {len(tables.frames)} frames."
    viewer = f"{many} Dashed: filled in. {_hand_note(data)}{found.note}"
    notes = {
        "viewer": viewer.strip(),
        "particles": _particle_note(data, 0 if particles is None else len(particles)),
    }
    title = f"defectscope: {name}"
    facts = report_facts(
        result, tables, runtime.defect_types, threshold_of(result, runtime.weights)
    )
    pictures = path.parent / "figures" if "png" in formats else None
    page = report_page(title, facts, warnings, findings, data, notes, formats, pictures)
    write_text(path, page)


def _hand_note(data: Mapping[str, Any]) -> str:
    """Return what the origin ``human`` means, where the page has any."""
    origins = {row["origin"] for frame in data["frames"] for row in frame["found"]}
    return "Human: drawn or corrected by hand. " if "human" in origins else ""


def _particle_note(data: Mapping[str, Any], many: int) -> str:
    """Return of how many particles the page's table and its histories are a part."""
    shown, histories = len(data["particles"]), len(data["histories"])
    said = [f"The {shown} longest of {many}."] if shown < many else []
    if histories < shown:
        said.append(f"Histories of the {histories} longest: all would be too many rows.")
    return " ".join(said)


def _note_figures(result: Result, files: Sequence[str], part: Mapping[str, Any]) -> None:
    """Say in ``run.json`` which figures are ours, so that the run can be replaced, and of what."""
    result.info["figures"] = sorted({*result.info.get("figures", []), *files})
    if parts := parts_with(result.info.pop("figures_of", []), part, files):
        result.info["figures_of"] = parts
    RunFolder(result.folder).write_info(result.info)


def analyze(
    run: str | Path | Result,
    analyses: str | Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    host: PluginHost | None = None,
    **settings: Any,
) -> Analysed:
    """Analyse a finished run, and write figures, the data behind them and ``report.html``.

    Parameters
    ----------
    run
        A run folder, labelled data, or what a pipeline returned. Where that has a temporary folder
        and no `out` is given, the report lives as long as it, or what is returned here.
    analyses
        Analyses by name; None means every installed one.
    options
        Options of the analyses, by name.
    host
        Plugins to use; the installed ones by default.
    **settings
        ``out``, ``frames`` (``FIRST:STOP:STEP``), ``roi``, ``images``, ``viewer_frames``,
        ``report``, ``figures`` (``png,svg,pdf``), ``tracks``, ``calibration`` and its fields: see
        :func:`defectscope.pipeline.analysing.analyse_run`.

    Raises
    ------
    DefectscopeError
        There is no run, an analysis raised, or a selection holds nothing.
    """
    result = run if isinstance(run, Result) else None
    folder = run.own_folder if isinstance(run, Result) else run
    done = analyse_run(folder, host or default_host(), analyses, options, **settings)
    return replace(done, run=result)
