"""What happens when all frames are done: tracks, particles, figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from defectscope.core.errors import DefectscopeError
from defectscope.core.frame_steps import typical_step
from defectscope.core.particles import particle_table
from defectscope.core.tables import DETECTION_COLUMNS, GEOMETRY_COLUMNS
from defectscope.pipeline.detector_scores import detector_scores, known_by, unequal_scores
from defectscope.pipeline.finding_files import check_findings, write_found
from defectscope.pipeline.named import NamedComponent, guarded
from defectscope.pipeline.parts import read_csv, read_typed, write_table
from defectscope.pipeline.registering import in_frame, in_specimen, out_of_view, shifts_by_frame
from defectscope.pipeline.track_checks import check_tracks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from defectscope.core.calibration import Calibration
    from defectscope.core.findings import Finding, Tables
    from defectscope.pipeline.results import Result

__all__ = [
    "about_what_was_found",
    "findings_of",
    "linked",
    "linked_in_run",
    "linked_in_specimen",
    "readable_frames",
    "track_detections",
    "write_findings",
]


def linked(
    named: NamedComponent,
    detections: pd.DataFrame,
    geometry: pd.DataFrame | None = None,
    frame_step: int = 1,
    looked_at: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return what a tracker makes of a table.

    Parameters
    ----------
    named
        The tracker.
    detections, geometry
        What it is shown.
    frame_step
        Difference of the indices of two successive frames that were looked at.
    looked_at
        Indices of the frames that were looked at and could be read, where that is known.

    Raises
    ------
    ComponentError
        The tracker raised, or returned something else than particles, each once a frame.
    """

    def link() -> Any:
        with named.component as tracker:
            tracker.frame_step, tracker.looked_at = frame_step, looked_at
            return tracker.link(detections, geometry)

    tracks: pd.DataFrame = guarded(named, "while it linked", link)
    check_tracks(named, tracks, detections, looked_at)
    # An index of its own may have the name of a column, or repeat.
    return tracks.reset_index(drop=True)


def linked_in_specimen(
    named: NamedComponent,
    detections: pd.DataFrame,
    geometry: pd.DataFrame | None,
    shifts: pd.DataFrame | None,
    frame_step: int = 1,
    looked_at: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return what a tracker makes of a table, which is shown to it without the frames' shifts.

    Parameters
    ----------
    named, detections, geometry, frame_step, looked_at
        As for :func:`linked`.
    shifts
        ``drift_x_px`` and ``drift_y_px`` by frame index, or None.
    """
    if shifts is None:
        return linked(named, detections, geometry, frame_step, looked_at)
    still = None if geometry is None else in_specimen(geometry, shifts)
    tracks = linked(named, in_specimen(detections, shifts), still, frame_step, looked_at)
    return in_frame(tracks, shifts, detections)


def track_detections(
    folder: Path, named: NamedComponent, calibration: Calibration, table_format: str
) -> None:
    """Link the detections of a run folder, and write its tracks and particles."""
    detections = read_typed(folder / "detections.parquet", DETECTION_COLUMNS)
    frames = read_csv(folder / "frames.csv")
    step = typical_step(frames["frame"])
    tracks = linked_in_run(folder, named, detections, frames, step, named.component.needs_geometry)
    write_table(folder / f"tracks.{table_format}", tracks)
    particles = particle_table(tracks, calibration, step, readable_frames(frames))
    write_table(folder / "particles.csv", particles)


def linked_in_run(
    folder: Path,
    named: NamedComponent,
    detections: pd.DataFrame,
    frames: pd.DataFrame,
    frame_step: int,
    geometry: bool,
) -> pd.DataFrame:
    """Return what a tracker makes of detections with all that the folder of their run tells.

    `frames` are the rows of its ``frames.csv``, and `geometry` says whether vertices are shown to
    the tracker; for the others see :func:`linked`. Where the stage carried a particle out of view,
    no row of it is filled in. Rows that are have the time and dose of their frame.
    """
    vertices = None
    if geometry:
        vertices = read_typed(folder / "geometry.parquet", GEOMETRY_COLUMNS)
    shifts, looked_at = shifts_by_frame(frames), readable_frames(frames)
    tracks = linked_in_specimen(named, detections, vertices, shifts, frame_step, looked_at)
    if "origin" not in tracks:
        return tracks
    tracks = _at_their_times(tracks, frames)
    if not {"width_px", "height_px"} <= set(frames.columns):
        return tracks
    sides = frames.drop_duplicates("frame").set_index("frame")[["width_px", "height_px"]]
    out = out_of_view(tracks, *sides.astype(float).reindex(tracks["frame"]).to_numpy().T)
    return tracks[~out].reset_index(drop=True) if out.any() else tracks


def _at_their_times(tracks: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """Return tracks in which what was filled in has the time and dose of its frame.

    A tracker knows those of sightings alone, between which a beam may have paused.
    """
    filled = (tracks["origin"] == "interpolated").to_numpy(bool)
    known = frames.drop_duplicates("frame").set_index("frame")
    names = [name for name in ("time_s", "dose_dpa") if name in tracks and name in known]
    right = {
        name: tracks[name].where(~filled, tracks["frame"].map(known[name].astype(float)))
        for name in names
    }
    return tracks.assign(**right)


def readable_frames(frames: pd.DataFrame) -> list[int] | None:
    """Return the indices of the frames of ``frames.csv`` that could be read, where it says so."""
    if "status" not in frames:
        return None
    return [int(index) for index in frames.loc[frames["status"] == "ok", "frame"]]


def write_findings(
    result: Result,
    analyses: Sequence[NamedComponent],
    progress: Callable[[str, int, int], None],
    warnings: list[str],
    note: Callable[[list[str]], None],
) -> None:
    """Run every analysis, and write its figures and the tables behind them.

    Parameters
    ----------
    result
        The run.
    analyses
        Built; what is wrong with an optional one goes to `warnings`, where it is not there yet.
    progress
        Called with (stage, done, total).
    warnings
        Grows.
    note
        Called with names of files in ``figures/`` before they are written.

    Raises
    ------
    ComponentError
        An analysis that the user asked for raised, or returned something else than findings, or
        one that cannot be drawn.
    """
    about = about_what_was_found(analyses, result)
    geometry = any(named.component.needs_geometry for named in about)
    weights = about[0].component.runtime.weights if about else {}
    known = detector_scores(result, weights)
    said = [known.warning] if known.warning else []
    tables = known_by(known, result.tables_for_analysis(geometry))
    try:
        found = findings_of(about, tables, progress, said)
        write_found(result.folder / "figures", found, said, note=note)
    finally:
        # A run that goes on has said some of it before.
        warnings += [text for text in said if text not in warnings]


def about_what_was_found(
    analyses: Sequence[NamedComponent], result: Result
) -> list[NamedComponent]:
    """Return the analyses that are about a shape of which the run found something.

    A type that is not registered may have any shape.
    """
    names = set(result.detections["defect_type"].astype(str))

    def concerned(named: NamedComponent) -> bool:
        known = named.component.runtime.defect_types
        shapes = {known[name].shape if name in known else None for name in names}
        return not shapes or None in shapes or bool(shapes & set(named.component.shapes))

    return [named for named in analyses if concerned(named)]


def findings_of(
    analyses: Sequence[NamedComponent],
    tables: Tables,
    progress: Callable[[str, int, int], None],
    warnings: list[str],
) -> Iterator[tuple[NamedComponent, Finding]]:
    """Yield each analysis and what it finds in tables of its own.

    `warnings` says why one finds nothing, and where their numbers do not fit together.

    Raises
    ------
    ComponentError
        An analysis that the user asked for raised, or returned something else than findings; of
        others that is a warning.
    """
    options: dict[str, Any] = {}
    for position, named in enumerate(analyses):
        progress("figures", position, len(analyses))
        try:
            findings, reason = _findings(named, tables)
        except DefectscopeError as error:
            if not named.optional:
                raise
            warnings.append(f"an analysis is left out: {error}")
            continue
        if not findings and not named.optional:
            warnings.append(
                f"{named.alias} found nothing: {reason or 'the tables hold too little'}"
            )
        if findings:
            options[named.alias] = named.component.options
        yield from ((named, finding) for finding in findings)
    warnings += unequal_scores(options, tables.detector_scores, tables.detector_scores_by_type)
    progress("figures", len(analyses), len(analyses))


def _of_its_shapes(named: NamedComponent, table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of a table without defects whose shape the analysis is not about."""
    about = named.component.shapes
    known = named.component.runtime.defect_types
    others = [name for name, defect_type in known.items() if defect_type.shape not in about]
    return table[~table["defect_type"].isin(others)].copy()


def _findings(named: NamedComponent, tables: Tables) -> tuple[list[Finding], str]:
    """Return what an analysis finds, and where that is nothing, why."""
    # Each gets tables of its own: what one changes the next must not see.
    copies: dict[str, Any] = {
        "frames": tables.frames.copy(),
        "geometry": None if tables.geometry is None else tables.geometry.copy(),
        "detections": _of_its_shapes(named, tables.detections),
        "tracks": None if tables.tracks is None else _of_its_shapes(named, tables.tracks),
    }

    def analysed() -> Any:
        with named.component as analysis:
            found = analysis.analyse(replace(tables, **copies))
            return found, "" if found else str(analysis.why_nothing(replace(tables, **copies)))

    findings, reason = guarded(named, "on the tables", analysed)
    check_findings(named, findings)
    return findings, reason
