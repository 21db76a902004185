"""``defectscope track``: link the detections of a table through time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import PATH, current_host, once, plural, say, warn
from defectscope.core.errors import FormatError, OutputError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.pipeline.choices import Choice
    from defectscope.pipeline.linking_tables import LinkingTables

__all__ = ["track"]

SUFFIXES = (".csv", ".parquet")
NEEDED = ("frame", "x", "y")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}


@click.command(short_help="Link the detections of a table into particles.")
@click.argument("table", type=PATH)
@once(
    "--tracker",
    "named",
    metavar="NAME",
    required=True,
    help="Tracker: NAME, distribution/NAME, or ALIAS=NAME.",
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
    type=click.IntRange(min=1),
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
    from defectscope.pipeline.linking_tables import LinkingTables

    _check_target(table, out, overwrite)
    tables = _of_tracker(read_config(config), named, config)
    choice = make_choices([named], gather_options(assignments, tables))[0]
    detections = _read(table)
    _warn_of_repeated(detections)
    beside = LinkingTables.beside(table)
    for text in beside.warnings:
        warn(text)
    step = frame_step or beside.frame_step or _common_step(detections)
    tracks = _linked(context, choice, detections, step, beside)

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


def _common_step(detections: pd.DataFrame) -> int:
    """Return the step that all frame indices fit, and say so where it is not 1."""
    import pandas as pd

    from defectscope.core.frame_steps import common_step

    frames = detections.get("frame")
    if frames is None or not pd.api.types.is_integer_dtype(frames) or frames.isna().any():
        return 1  # the tracker says what is wrong
    step = common_step(frames)
    if step > 1:
        say(
            f"frame indices are {step} apart, or multiples of it: memory and gaps count steps of "
            f"{step}; --frame-step 1 counts every index"
        )
    return step


def _linked(
    context: click.Context,
    choice: Choice,
    detections: pd.DataFrame,
    frame_step: int,
    beside: LinkingTables,
) -> pd.DataFrame:
    from defectscope.pipeline.named import NamedComponent

    named = NamedComponent.build(current_host(context), "trackers", choice)
    if named.component.needs_geometry and not beside.has_geometry:
        warn(
            f"{named.label} goes by the courses of lines, which stand in geometry.* of a run; "
            "there is none beside TABLE, so that it goes by positions"
        )
    return beside.linked(named, detections, frame_step)


def _read(path: Path) -> pd.DataFrame:
    """Read a table of detections."""
    if path.is_dir():
        if (path / "run.json").exists():
            raise UsageError(f"{path} is a run folder; give the table in it: {path}/detections.*")
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise UsageError(f"the folder {path} holds no .parquet files")
    elif path.suffix not in SUFFIXES:
        raise UsageError(f"TABLE must be a .parquet or .csv file, found {path.name!r}")
    else:
        parts = [path]
    try:
        return _plain(_read_csv(path) if path.suffix == ".csv" else _read_parquet(parts))
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"the table {path} cannot be read: {reason}") from error


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    from defectscope.pipeline.parts import read_csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next((line for line in file if line.strip()), "").rstrip("\r\n")
    names = next(csv.reader([header]), [])
    if not set(NEEDED) <= set(names):
        _refuse_other_separators(path, header)
    _check_names(path, names)
    table = read_csv(path)
    # pandas takes the values too many for row names, and so moves all others by a column.
    if not isinstance(table.index, pd.RangeIndex):
        raise FormatError(
            f"{path}: rows have more values than the {len(names)} columns that the first line names"
        )
    return table


def _refuse_other_separators(path: Path, header: str) -> None:
    for separator, name in SEPARATORS.items():
        cells = [cell.strip(" \"'").lower() for cell in header.split(separator)]
        if set(NEEDED) <= set(cells):
            raise FormatError(
                f"{path}: columns must be separated by commas, found {name} in the first line; "
                "save the table as comma-separated values, with points in the numbers"
            )


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse names that come twice, and those that are meant, but spelt in another way."""
    twice = next((name for name, times in Counter(names).items() if name and times > 1), None)
    if twice is not None:
        raise FormatError(f"{path}: the column {twice!r} comes twice; names must differ")
    missing = set(NEEDED) - set(names)
    meant = [name for name in names if name not in NEEDED and name.strip().lower() in missing]
    if meant:
        found = ", ".join(map(repr, meant))
        raise FormatError(
            f"{path}: column names are lower case and without blanks: expected frame, x and y, "
            f"found {found}"
        )


def _warn_of_repeated(detections: pd.DataFrame) -> None:
    if not set(NEEDED) <= set(detections.columns):
        return  # the tracker says what is missing
    repeated = int(detections.duplicated(list(NEEDED)).sum())
    if repeated:
        rows = "1 row repeats" if repeated == 1 else f"{repeated} rows repeat"
        warn(f"{rows} the frame, x and y of an earlier one; all are linked")


def _read_parquet(parts: list[Path]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part in parts:
        _check_names(part, pq.read_schema(part).names)
    tables = [pq.read_table(part) for part in parts]
    return pa.concat_tables(tables, promote_options="permissive").to_pandas()


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with nothing but columns; trackpy's own tables have ``frame`` as both."""
    from defectscope.core.tables import DETECTION_COLUMNS, typed

    new = [name for name in table.index.names if name is not None and name not in table.columns]
    plain = (table.reset_index(new) if new else table).reset_index(drop=True)
    # Without rows CSV tells no types; in others trackers say what is wrong.
    return plain if len(plain) else typed(plain, DETECTION_COLUMNS)


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
