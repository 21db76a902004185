"""The folder that a run leaves: created, taken up again, finished."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from defectscope.core.errors import FormatError, OutputError, UsageError
from defectscope.core.files import atomic_path, write_json
from defectscope.core.tables import DETECTION_COLUMNS, FRAME_COLUMNS, GEOMETRY_COLUMNS
from defectscope.pipeline.parts import GrowingTable
from defectscope.pipeline.stages import FrameOutcome

__all__ = ["RunFolder", "read_info"]

INFO = "run.json"
# What a run writes, and may therefore delete again when it is overwritten.
OWN_FILES = (
    INFO, "frames.csv", "detections.parquet", "detections.csv", "geometry.parquet",
    "geometry.csv", "tracks.parquet", "tracks.csv", "particles.csv", "overlay.mp4", "figures",
)  # fmt: skip


class RunFolder:
    """Writes a run's tables as it goes on.

    Rows of frames are appended to ``frames.csv`` last: a frame that stands there is finished,
    and everything after it is done again on resume.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.detections = GrowingTable(path / "detections.parquet", DETECTION_COLUMNS)
        self.geometry = GrowingTable(path / "geometry.parquet", GEOMETRY_COLUMNS)
        self.frames_path = path / "frames.csv"

    def create(self, overwrite: bool) -> None:
        """Make the folder, empty of what a former run left.

        Raises
        ------
        OutputError
            It holds something else, or a run and `overwrite` is not given, or cannot be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; --out takes a folder")
        present = sorted(self.path.iterdir()) if self.path.is_dir() else []
        if present:
            self._clear(present, overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            header = pd.DataFrame(columns=list(FRAME_COLUMNS))
            with atomic_path(self.frames_path) as temporary:
                header.to_csv(temporary, index=False, lineterminator="\n")
        except OSError as error:
            raise OutputError(
                f"cannot write to {self.path}: {error.strerror or error}; choose another --out"
            ) from error

    def _clear(self, present: list[Path], overwrite: bool) -> None:
        if not (self.path / INFO).is_file():
            raise OutputError(
                f"the folder {self.path} exists and holds something else than a run "
                f"({present[0].name}); choose another --out"
            )
        if not overwrite and self._holds_results():
            raise OutputError(
                f"the folder {self.path} holds another run; choose another --out, "
                "or give --overwrite to replace it or --resume to go on with it"
            )
        for name in OWN_FILES:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def _holds_results(self) -> bool:
        # A run that ended before its first good frame left nothing worth a question.
        try:
            return bool((pd.read_csv(self.frames_path)["status"] == "ok").any())
        except (OSError, ValueError, KeyError):
            return True

    def take_up(self, plan: Mapping[str, Any]) -> list[FrameOutcome]:
        """Return the finished frames of an interrupted run with the same plan.

        Raises
        ------
        UsageError
            There is no run to go on with, it is complete, or its plan differs.
        """
        info = read_info(self.path)
        former = info.get("plan", {})
        for key in plan:
            if former.get(key) != plan[key]:
                raise UsageError(
                    f"the run in {self.path} cannot be resumed: its {key} was "
                    f"{json.dumps(former.get(key))[:200]}, "
                    f"now it is {json.dumps(plan[key])[:200]}; "
                    "use the same command, or --overwrite"
                )
        finished = self._finished_rows()
        self.detections.drop_from(len(finished))
        self.geometry.drop_from(len(finished))
        return finished

    def _finished_rows(self) -> list[FrameOutcome]:
        # A run that was killed may have left half a line at the end.
        text = self.frames_path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            with atomic_path(self.frames_path) as temporary:
                temporary.write_text(whole, encoding="utf-8")
        table = pd.read_csv(self.frames_path, dtype={"width_px": "Int64", "height_px": "Int64"})
        return [
            FrameOutcome(
                int(row["frame"]),
                str(row["source"]),
                None if pd.isna(row["height_px"]) else (row["height_px"], row["width_px"]),
                error=None if row["status"] == "ok" else "damaged",
            )
            # An interrupt at the wrong moment can have appended a row twice.
            for row in table.drop_duplicates("frame").to_dict("records")
        ]

    def commit(self, start: int, outcomes: list[FrameOutcome], rows: pd.DataFrame) -> None:
        """Write what became of the frames from position `start` on."""
        done = [outcome for outcome in outcomes if outcome.error is None]
        self.detections.append(start, [o.detections for o in done if o.detections is not None])
        self.geometry.append(start, [o.geometry for o in done if o.geometry is not None])
        text = rows.to_csv(index=False, header=False, lineterminator="\n")
        try:
            with self.frames_path.open("a", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self.frames_path}: {error.strerror}") from error

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        write_json(self.path / INFO, info, default=str)


def read_info(folder: Path) -> dict[str, Any]:
    """Read ``run.json`` of a run folder.

    Raises
    ------
    UsageError
        The folder holds no run.
    FormatError
        The file is malformed.
    """
    path = folder / INFO
    if not path.is_file():
        raise UsageError(f"{folder} is no run folder: it has no {INFO}")
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    if not isinstance(info, dict):
        raise FormatError(f"{path} must hold an object, found {type(info).__name__}")
    return info
