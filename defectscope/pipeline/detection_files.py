"""Tables of detections of any origin, for linking them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from defectscope.core.errors import FormatError, UsageError
from defectscope.core.tables import DETECTION_COLUMNS, typed
from defectscope.pipeline.parts import read_csv

__all__ = ["NEEDED", "SUFFIXES", "plain_table", "read_detections"]

SUFFIXES = (".csv", ".parquet")
NEEDED = ("frame", "x", "y")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}


def read_detections(path: Path) -> pd.DataFrame:
    """Return a table of detections, with nothing but columns.

    Parameters
    ----------
    path
        A CSV or Parquet file, or a folder of Parquet parts.

    Raises
    ------
    UsageError
        There is no such file, or it is of another kind.
    FormatError
        It cannot be read, or names its columns in another way.
    """
    if path.is_dir():
        if (path / "run.json").exists():
            raise UsageError(f"{path} is a run folder; give the table in it: {path}/detections.*")
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise UsageError(f"the folder {path} holds no .parquet files")
    elif path.suffix not in SUFFIXES:
        raise UsageError(f"the table must be a .parquet or .csv file, found {path.name!r}")
    else:
        parts = [path]
    try:
        return plain_table(_read_csv(path) if path.suffix == ".csv" else _read_parquet(parts))
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"the table {path} cannot be read: {reason}") from error


def _read_csv(path: Path) -> pd.DataFrame:
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


def _read_parquet(parts: list[Path]) -> Any:
    for part in parts:
        _check_names(part, pq.read_schema(part).names)
    tables = [pq.read_table(part) for part in parts]
    return pa.concat_tables(tables, promote_options="permissive").to_pandas()


def plain_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with nothing but columns; trackpy's own tables have ``frame`` as both."""
    new = [name for name in table.index.names if name is not None and name not in table.columns]
    plain = (table.reset_index(new) if new else table).reset_index(drop=True)
    # Without rows CSV tells no types; in others trackers say what is wrong.
    return plain if len(plain) else typed(plain, DETECTION_COLUMNS)
