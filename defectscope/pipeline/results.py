"""What a run leaves, as tables."""

from __future__ import annotations

import functools
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from defectscope._version import __version__
from defectscope.core.calibration import Calibration
from defectscope.core.errors import FormatError, InputError, OptionError
from defectscope.core.findings import Tables
from defectscope.core.tables import (
    DETECTION_COLUMNS,
    FRAME_COLUMNS,
    GEOMETRY_COLUMNS,
    empty_table,
)
from defectscope.pipeline.masking import MaskedParts
from defectscope.pipeline.parts import expected_whole, read_csv, read_typed
from defectscope.pipeline.run_info import own_info, read_info
from defectscope.pipeline.runfolder import MASK

__all__ = ["Result"]

# Columns of frames.csv whose type cannot be told from the text.
NOT_AS_GUESSED = ("source", "width_px", "height_px", "count")


class Result:
    """The tables of a run folder, read when they are first asked for.

    A table that was not read before another run took the folder is not to be had any more: asking
    for it raises InputError.

    Parameters
    ----------
    folder
        The run folder.
    holder
        A temporary folder to keep for as long as the result lives.
    """

    def __init__(
        self, folder: Path, holder: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        self.folder = Path(folder)
        if holder is not None:
            # Removed with the result, quietly: nobody was told to clean up.
            weakref.finalize(self, holder.cleanup)
        self.info: dict[str, Any] = read_info(self.folder)
        self._former: Result | None = None

    def __repr__(self) -> str:
        try:
            number = f"{len(self.frames)} frames"
        except InputError:
            number = "no table of frames"
        return f"<Result {self.folder}: {number}, {self.info.get('status')}>"

    def reloaded(self) -> Result:
        """Return what its folder holds now."""
        again = Result(self.folder)
        again._former = self  # a temporary folder lives as long as this one
        return again

    def _expect_same_run(self) -> None:
        """Refuse to mix what ``run.json`` said with the tables of a later run in its place."""
        now = None
        with suppress(FormatError):  # a damaged file says nothing of another run
            now = own_info(self.folder)
        if now is not None and now.get("session") != self.info.get("session"):
            raise InputError(
                f"the run in {self.folder} has been replaced or gone on with since it was loaded; "
                "load it again, and give runs that are to be compared folders of their own"
            )

    @property
    def own_folder(self) -> Path:
        """Its folder, for who reads its tables there; InputError where a later run took it."""
        self._expect_same_run()
        return self.folder

    @property
    def calibration(self) -> Calibration:
        """Calibration of the series."""
        try:
            return Calibration.model_validate(self._plan.get("calibration", {}))
        except (OptionError, ValidationError) as error:
            by = (self.info.get("versions") or {}).get("defectscope", "of an unknown version")
            raise FormatError(
                f"{self.folder / 'run.json'} holds a calibration that defectscope {__version__} "
                f"does not know ({_fields(error)}); it was written by defectscope {by}: use "
                "that version, or run again"
            ) from error

    @property
    def roi(self) -> tuple[int, int, int, int] | None:
        """x_min, y_min, x_max, y_max in px of the part that was looked at; None for all of it."""
        roi = self._plan.get("roi")
        return tuple(roi) if roi else None

    @property
    def mixed_sizes(self) -> bool:
        """Whether the frames are unrelated images, whose numbers are no times."""
        return bool((self.info.get("settings") or {}).get("mixed_sizes"))

    @property
    def reader_options(self) -> dict[str, dict[str, Any]]:
        """Options that the readers of the frames were given, by their names."""
        return dict(self._plan.get("readers") or {})

    @functools.cached_property
    def masks(self) -> MaskedParts:
        """Parts of the frames in which detections were dropped."""
        self._expect_same_run()
        return MaskedParts.recorded(self._plan.get("masks"), self.folder / MASK)

    @property
    def _plan(self) -> Mapping[str, Any]:
        plan = self.info.get("plan")
        if not isinstance(plan, dict):
            raise FormatError(f"{self.folder / 'run.json'} lacks the plan of the run")
        return plan

    @property
    def warnings(self) -> list[str]:
        """What was to be said about the input."""
        return list(self.info.get("warnings", []))

    @functools.cached_property
    def frames(self) -> pd.DataFrame:
        """One row a frame."""
        self._expect_same_run()
        path = self.folder / "frames.csv"
        if not path.is_file():
            raise InputError(f"the run folder {self.folder} lacks its table frames.csv")
        # A file name may look like a number, and a damaged frame has no size.
        with expected_whole(path):
            return read_csv(path, {name: FRAME_COLUMNS[name] for name in NOT_AS_GUESSED})

    @functools.cached_property
    def detections(self) -> pd.DataFrame:
        """One row a detection."""
        return self._table("detections", DETECTION_COLUMNS)

    @functools.cached_property
    def geometry(self) -> pd.DataFrame:
        """One row a vertex of a line or outline."""
        return self._table("geometry", GEOMETRY_COLUMNS)

    def _table(self, name: str, columns: Mapping[str, str]) -> pd.DataFrame:
        self._expect_same_run()
        path = self.folder / f"{name}.parquet"
        if path.is_file() or path.with_suffix(".csv").is_file() or any(path.glob("part-*")):
            return read_typed(path, columns)
        # A run that ended before its first frame was finished has no table yet.
        if len(self.frames):
            raise InputError(f"the run folder {self.folder} lacks its table {path.name}")
        return empty_table(columns)

    @functools.cached_property
    def tracks(self) -> pd.DataFrame | None:
        """Linked detections, with a column ``particle``; None where nothing was tracked."""
        self._expect_same_run()
        names = ("tracks.parquet", "tracks.csv")
        if not any((self.folder / name).exists() for name in names):
            return None
        return read_typed(self.folder / "tracks.parquet", DETECTION_COLUMNS)

    @functools.cached_property
    def particles(self) -> pd.DataFrame | None:
        """One row a particle; None where nothing was tracked."""
        self._expect_same_run()
        path = self.folder / "particles.csv"
        with expected_whole(path):
            return read_csv(path) if path.exists() else None

    @property
    def tables(self) -> Tables:
        """All of it, as analyses take it."""
        return self.tables_for_analysis(geometry=True)

    def tables_for_analysis(self, geometry: bool) -> Tables:
        """Return all of it, without reading the `geometry` where nobody needs it.

        Where frames came to the run in another order, they are in that of their indices.
        """
        came_in_order = self.frames["frame"].is_monotonic_increasing

        def in_order(table: pd.DataFrame) -> pd.DataFrame:
            if came_in_order:
                return table
            return table.sort_values("frame", kind="stable", ignore_index=True)

        return Tables(
            in_order(self.frames),
            in_order(self.detections),
            in_order(self.geometry) if geometry else None,
            None if self.tracks is None else in_order(self.tracks),
            self.calibration,
            self.roi,
            masked=self._masked_pixels,
        )

    @property
    def _masked_pixels(self) -> NDArray[np.bool_] | None:
        sides = self.frames[["height_px", "width_px"]].dropna()
        if not self.masks or not len(sides):
            return None
        height, width = sides.max().astype(int).tolist()
        return self.masks.pixels((height, width))


def _fields(error: Exception) -> str:
    """Return the names of the fields that are wrong."""
    found = error if isinstance(error, ValidationError) else error.__cause__
    assert isinstance(found, ValidationError)
    faults = found.errors()
    return ", ".join(".".join(map(str, fault["loc"])) for fault in faults) or "no table"
