"""``defectscope track``: link the detections of a table through time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import PATH, current_host, once, plural, say, warn
from defectscope.cli.completion import names_of
from defectscope.core.errors import OutputError, UsageError
from defectscope.core.run_limits import LEAST

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["track"]


@click.command(short_help="Link the detections of a table into particles.")
@click.argument("table", type=PATH)
@once(
    "--tracker",
    "named",
    metavar="NAME",
    required=True,
    help="Tracker: NAME, distribution/NAME, or ALIAS=NAME.",
    shell_complete=names_of("trackers"),
)
@once(
    "--out",
    type=PATH,
    metavar="FILE",
    required=True,
    help="Where the linked rows go: a .parquet or .csv file.",
)
@once(
    "--config",
    type=PATH,
    metavar="FILE.toml",
    help="Options, such as the file of a run: the table of the tracker counts; --set overrules it.",
)
@click.option(
    "--set",
    "assignments",
    metavar="NAME.OPTION=VALUE",
    multiple=True,
    help="Set an option of the tracker; may be repeated.",
)
@once(
    "--frame-step",
    type=click.IntRange(LEAST["frame_step"]),
    metavar="N",
    help="Difference of the indices of two frames that were looked at one after the other; by "
    "default the largest that fits all indices of TABLE.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE where it exists.")
@click.pass_context
def track(
    context: click.Context,
    table: Path,
    named: str,
    out: Path,
    config: Path | None,
    assignments: tuple[str, ...],
    frame_step: int | None,
    overwrite: bool,
) -> None:
    """Link the detections of TABLE into particles.

    TABLE is a CSV or Parquet file, or a folder of Parquet parts, with at least the columns frame,
    x and y (px). The linked rows are written to FILE as they are, with a column particle; a
    tracker may leave rows out. The table detections.* in a run folder is linked as the run would:
    with its lines, without the shifts of its registration.
    """
    from defectscope.pipeline.choices import gather_options, make_choices, read_config
    from defectscope.pipeline.linking import track as linked

    _check_target(table, out, overwrite)
    tables = _of_tracker(read_config(config), named, config)
    choice = make_choices([named], gather_options(assignments, tables))[0]
    host = current_host(context)
    tracks = linked(table, choice, frame_step=frame_step, host=host, say=say)

    from defectscope.pipeline.parts import write_table

    write_table(out, tracks)
    say(f"{_summary(tracks)} -> {out}")


def _of_tracker(
    tables: dict[str, dict[str, Any]], named: str, config: Path | None
) -> dict[str, dict[str, Any]]:
    """Return the tables of a configuration file that are for the tracker, and say if none is."""
    from defectscope.pipeline.choices import Choice

    choice = Choice.parse(named)
    own = {name: tables[name] for name in (choice.name, choice.alias) if name in tables}
    if config is not None and not own:
        warn(f"{config} has no table [{choice.alias}], so that it sets nothing here")
    return own


def _check_target(table: Path, out: Path, overwrite: bool) -> None:
    """Refuse what cannot be written before anything is linked."""
    from defectscope.pipeline.detection_files import SUFFIXES
    from defectscope.pipeline.run_files import refuse_file_of_run

    if out.suffix not in SUFFIXES:
        raise UsageError(f"--out must end in .parquet or .csv, found {out.name!r}")
    if out.is_dir():
        raise OutputError(f"--out must be a file, but {out} is a folder")
    refuse_file_of_run(
        out, "choose another --out; analyze RUN --tracks FILE takes it in place of the run's tracks"
    )
    if out.resolve() == table.resolve():
        raise OutputError(f"--out is TABLE itself, {table}; choose another FILE")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists; choose another name, or replace it with --overwrite")


def _summary(tracks: pd.DataFrame) -> str:
    """Say how many rows and particles there are, and how long particles live (P2)."""
    if not len(tracks):
        return "no rows, no particles"
    frames = tracks.groupby("particle")["frame"]
    lifetime = (frames.max() - frames.min() + 1).mean()
    return (
        f"{plural(len(tracks), 'row')}, {plural(frames.ngroups, 'particle')}, mean lifetime "
        f"{lifetime:.1f} frames (last - first + 1)"
    )
