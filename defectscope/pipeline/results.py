"""What a run leaves, as tables."""

from __future__ import annotations

import functools
import tempfile
import weakref
from pathlib import Path
from typing import Any

import pandas as pd

from defectscope.core.base import Tables
from defectscope.core.calibration import Calibration
from defectscope.pipeline.parts import read_table
from defectscope.pipeline.runfolder import read_info

__all__ = ["Result"]


class Result:
    """The tables of a run folder, read when they are first asked for.

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

    def __repr__(self) -> str:
        return f"<Result {self.folder}: {len(self.frames)} frames, {self.info.get('status')}>"

    @property
    def calibration(self) -> Calibration:
        """Calibration of the series."""
        return Calibration.model_validate(self.info["plan"]["calibration"])

    @property
    def warnings(self) -> list[str]:
        """What was to be said about the input."""
        return list(self.info.get("warnings", []))

    @functools.cached_property
    def frames(self) -> pd.DataFrame:
        """One row a frame."""
        return pd.read_csv(self.folder / "frames.csv", dtype={"count": "Int64"})

    @functools.cached_property
    def detections(self) -> pd.DataFrame:
        """One row a detection."""
        return read_table(self.folder / "detections.parquet")

    @functools.cached_property
    def geometry(self) -> pd.DataFrame:
        """One row a vertex of a line or outline."""
        return read_table(self.folder / "geometry.parquet")

    @functools.cached_property
    def tracks(self) -> pd.DataFrame | None:
        """Linked detections, with a column ``particle``; None where nothing was tracked."""
        names = ("tracks.parquet", "tracks.csv")
        if not any((self.folder / name).exists() for name in names):
            return None
        return read_table(self.folder / "tracks.parquet")

    @functools.cached_property
    def particles(self) -> pd.DataFrame | None:
        """One row a particle; None where nothing was tracked."""
        path = self.folder / "particles.csv"
        return pd.read_csv(path) if path.exists() else None

    @property
    def tables(self) -> Tables:
        """All of it, as analyses take it."""
        roi = self.info["plan"].get("roi")
        return Tables(
            self.frames,
            self.detections,
            self.geometry,
            self.tracks,
            self.calibration,
            tuple(roi) if roi else None,
        )
