"""Tables that grow while a run goes on, and become one file at its end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from defectscope.core.errors import ComponentError, FormatError, OutputError
from defectscope.core.files import atomic_path
from defectscope.core.patience import patiently
from defectscope.core.tables import empty_table, typed
from defectscope.pipeline.column_types import OTHER_KIND, known_types, unified

__all__ = [
    "GrowingTable",
    "expected_whole",
    "read_csv",
    "read_table",
    "read_typed",
    "write_table",
]

# Row groups of one size, wherever the parts ended: the same rows give the same bytes.
ROWS_A_GROUP = 2**14


class GrowingTable:
    """A table kept as a folder of Parquet parts until it is finished.

    Parameters
    ----------
    path
        ``….parquet``: the folder of parts, and the name of the finished file.
    columns
        Columns that the table has even without rows.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self.path = path
        self.columns = columns
        self._known = pa.schema([])

    def append(self, start: int, rows: pd.DataFrame) -> None:
        """Write the rows of the frames from position `start` on as one part."""
        arrow = _arrow(rows)
        # What cannot be joined at the end is said at once.
        self._known = unified([self._known, known_types(arrow)])
        with atomic_path(self.path / f"part-{start:08d}.parquet") as temporary:
            _write_part(temporary, arrow)

    def drop_from(self, start: int, committed: Collection[int]) -> None:
        """Delete what was never committed: of the frames from position `start` on.

        Parameters
        ----------
        start
            Parts that begin there or later go.
        committed
            Indices of the frames before: the last part left may hold more.
        """
        for part in self._parts():
            if int(part.stem.removeprefix("part-")) >= start:
                part.unlink()
        for part in self._parts()[-1:]:
            table = _read_part(part)
            kept = table.filter(pc.is_in(table["frame"], value_set=pa.array(committed, pa.int64())))
            if kept.num_rows < table.num_rows:
                with atomic_path(part) as temporary:
                    _write_part(temporary, kept)

    def drop_frames(self, frames: Collection[int]) -> None:
        """Delete the rows of frames, which are the last of the table."""
        for part in reversed(self._parts()):
            table = _read_part(part)
            gone = pc.is_in(table["frame"], value_set=pa.array(list(frames), pa.int64()))
            kept = table.filter(pc.invert(gone))
            if kept.num_rows < table.num_rows:
                with atomic_path(part) as temporary:
                    _write_part(temporary, kept)
            elif table.num_rows:
                return

    def reopen(self) -> None:
        """Make a finished file the first part again, so that rows can follow.

        Killed at any moment, it can be called again.
        """
        self.recover()
        if self._csv.is_file():
            table = read_csv(self._csv)
            kinds = {name: kind for name, kind in self.columns.items() if name in table}
            self.append(0, table.astype(kinds))
            self._csv.unlink()
        elif self.path.is_file():
            self._set_aside.mkdir()
            shutil.copyfile(self.path, self._set_aside / "part-00000000.parquet")
            self.path.rename(self._joined)
            self._set_aside.rename(self.path)
            self._joined.unlink()

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))

    @property
    def _joined(self) -> Path:
        return self.path.with_name(f".{self.path.name}.joined")

    @property
    def _set_aside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.parts")

    @property
    def _csv(self) -> Path:
        return self.path.with_suffix(".csv")

    @property
    def is_finished(self) -> bool:
        """Whether the parts have become one file already."""
        return self.path.is_file() or self._csv.is_file()

    def recover(self) -> None:
        """Complete what :meth:`finish` began, where it was killed between two renames."""
        if not self.path.exists():
            for left in (self._joined, self._set_aside):
                if left.exists():
                    left.rename(self.path)
                    break
        if self.path.exists():
            shutil.rmtree(self._set_aside, ignore_errors=True)
            self._joined.unlink(missing_ok=True)
        if self._csv.is_file() and self.path.is_dir():
            # The CSV came to be in one step; parts beside it are those not yet deleted.
            shutil.rmtree(self.path, ignore_errors=True)

    def _schema(self, parts: list[Path]) -> pa.Schema:
        # The types of an empty table mean nothing: only rows decide, wherever there are any.
        plain = pa.Table.from_pandas(empty_table(self.columns), preserve_index=False).schema
        filled: list[pa.Schema] = []
        empty = [plain.remove_metadata()]
        for part in parts:
            with expected_whole(part), part.open("rb") as stream, pq.ParquetFile(stream) as file:
                schema = file.schema_arrow.remove_metadata()
                (filled if file.metadata.num_rows else empty).append(schema)
        joined = _joined_schema(parts, filled or empty)
        for schema in empty:
            for column in schema:
                if column.name not in joined.names:
                    joined = joined.append(column)
        return joined

    def finish(self, csv: bool = False) -> Path:
        """Join the parts into one file, holding a row group at a time, and delete them.

        A table that is finished already stays as it is.

        Returns
        -------
        Path
            The file: ``….parquet``, or ``….csv``.
        """
        self.recover()
        target = self._csv if csv else self.path
        if self.is_finished:
            return target
        parts = self._parts()
        schema = self._schema(parts)
        if csv:
            with atomic_path(target) as temporary:
                _write_csv(temporary, schema, parts)
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            with atomic_path(self._joined) as temporary:
                _write_parquet(temporary, schema, parts)
            # A folder cannot be replaced by a file in one step.
            if self.path.exists():
                patiently(lambda: self.path.rename(self._set_aside))
            patiently(lambda: self._joined.rename(self.path))
            shutil.rmtree(self._set_aside, ignore_errors=True)
        return target


def _arrow(table: pd.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(table, preserve_index=False)
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        for name, column in table.items():
            if column.dtype == object and len({type(v) for v in column.dropna()}) > 1:
                raise ComponentError(OTHER_KIND.format(name)) from error
        raise


def _write_part(path: Path, table: pa.Table) -> None:
    with path.open("wb") as stream:
        pq.write_table(table, stream)
        # frames.csv says that these rows are there, also after a power cut.
        stream.flush()
        os.fsync(stream.fileno())


def _joined_schema(parts: list[Path], schemas: list[pa.Schema]) -> pa.Schema:
    try:
        return unified(schemas)
    except ComponentError:
        # Where text does not apply there may be NaN, which looks like numbers.
        known = unified([known_types(_read_part(part)) for part in parts])
        columns = (f.with_type(pa.float64()) if pa.types.is_null(f.type) else f for f in known)
        return pa.schema(columns)


def _groups(schema: pa.Schema, parts: list[Path]) -> Iterator[pa.Table]:
    waiting = schema.empty_table()
    for part in parts:
        waiting = pa.concat_tables([waiting, _fitted(_read_part(part), schema)])
        while waiting.num_rows >= ROWS_A_GROUP:
            yield waiting.slice(0, ROWS_A_GROUP).combine_chunks()
            waiting = waiting.slice(ROWS_A_GROUP)
    yield waiting.combine_chunks()


def _read_part(path: Path) -> pa.Table:
    # pq.read_table would import pyarrow's dataset machinery, which costs memory for nothing.
    # Files and not paths go to pyarrow, which takes a path for a URI and trips over its letters.
    with expected_whole(path), path.open("rb") as stream, pq.ParquetFile(stream) as file:
        return file.read()


@contextmanager
def expected_whole(path: Path) -> Iterator[None]:
    """Say of a table of a run that cannot be read that it is damaged, and what to do.

    Raises
    ------
    FormatError
        What reads it raised.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise FormatError(
            f"the table {path} is damaged or cannot be read ({reason}); copy it again, or run "
            "again with --overwrite"
        ) from error


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[column.name].cast(column.type)
        if column.name in table.column_names
        else pa.nulls(table.num_rows, column.type)
        for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _write_parquet(path: Path, schema: pa.Schema, parts: list[Path]) -> None:
    with path.open("wb") as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for group in _groups(schema, parts):
            writer.write_table(group, row_group_size=ROWS_A_GROUP)


def _write_csv(path: Path, schema: pa.Schema, parts: list[Path]) -> None:
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with (
        path.open("wb") as stream,
        pyarrow.csv.CSVWriter(stream, schema, write_options=options) as writer,
    ):
        for group in _groups(schema, parts):
            writer.write_table(group)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a finished table as Parquet or CSV by its suffix, whole or not at all.

    Raises
    ------
    OutputError
        The suffix is neither ``.parquet`` nor ``.csv``, or the place cannot be written to.
    """
    if path.suffix not in {".parquet", ".csv"}:
        raise OutputError(f"tables are written as .parquet or .csv, found {path.name!r}")
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n")
        else:
            arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
            with temporary.open("wb") as stream:
                pq.write_table(arrow, stream, compression="zstd", row_group_size=ROWS_A_GROUP)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that :class:`GrowingTable` or :func:`write_table` wrote.

    Parameters
    ----------
    path
        ``….parquet`` (a file or a folder of parts); where it is absent, ``….csv`` is tried.

    Raises
    ------
    FormatError
        It is damaged.
    """
    csv = path.with_suffix(".csv")
    # Parts beside a CSV are those that could not be deleted.
    if path.is_dir() and not csv.is_file():
        parts = sorted(path.glob("part-*.parquet"))
        tables = [_read_part(part) for part in parts]
        filled = [table for table in tables if len(table)] or tables
        names = (column for table in tables for column in table.schema.remove_metadata())
        schema = _joined_schema(parts, [table.schema.remove_metadata() for table in filled])
        for column in names:
            if column.name not in schema.names:
                schema = schema.append(column)
        return _pandas(pa.concat_tables([_fitted(table, schema) for table in tables]))
    if path.is_file() and path.suffix == ".parquet":
        return _pandas(_read_part(path))
    with expected_whole(csv):
        return read_csv(csv)


def read_typed(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a table as :func:`read_table` does, with `columns` of the types they have."""
    table = read_table(path)
    with expected_whole(path if path.exists() else path.with_suffix(".csv")):
        return typed(table, columns)


def read_csv(path: Path, dtype: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read a CSV table with its numbers exactly as they were written.

    Parameters
    ----------
    path
        The file.
    dtype
        Types of columns that are not to be told from the text.
    """
    # pandas' own default from 3.1 on, where the argument is deprecated.
    major, minor = (int(part) for part in pd.__version__.split(".")[:2])
    exact: dict[str, Any] = {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}
    table: pd.DataFrame = pd.read_csv(path, dtype=dtype, low_memory=False, **exact)
    return table


def _pandas(table: pa.Table) -> pd.DataFrame:
    converted: pd.DataFrame = table.to_pandas()
    return converted
