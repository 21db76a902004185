"""The folder that a run leaves: created, taken up again, finished."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from defectscope.core.errors import FormatError, OutputError, UsageError
from defectscope.core.files import (
    atomic_path,
    contents,
    half_written,
    lost_input,
    write_json,
    write_text,
)
from defectscope.core.frame_rows import joined_table
from defectscope.core.patience import patiently
from defectscope.core.tables import DETECTION_COLUMNS, FRAME_COLUMNS, GEOMETRY_COLUMNS
from defectscope.pipeline.former_run import FormerRun
from defectscope.pipeline.parts import GrowingTable, expected_whole, read_csv
from defectscope.pipeline.plans import plan_difference
from defectscope.pipeline.run_info import INFO, own_info, read_info
from defectscope.pipeline.run_owner import OWNER, RunOwner
from defectscope.pipeline.stages import FrameOutcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MASK", "OWN_FILES", "RunFolder"]

MASK = "mask.png"
# What a run writes, and may therefore delete again when it is overwritten; figures are listed in
# run.json, as analyses name them.
OWN_FILES = (
    "frames.csv", "detections.parquet", "detections.csv", "geometry.parquet", "geometry.csv",
    "tracks.parquet", "tracks.csv", "particles.csv", "overlay.mp4", "report.html", MASK, INFO,
)  # fmt: skip
FIGURES = "figures"


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
        self.owner = RunOwner(path)
        self._former = FormerRun(path, INFO)
        self._session: str | None = None

    def create(
        self,
        overwrite: bool,
        columns: Mapping[str, str] = FRAME_COLUMNS,
        inputs: Collection[Path] = (),
    ) -> None:
        """Make the folder, empty of what a former run left.

        The results of one are set aside until the first frame is finished.

        Parameters
        ----------
        overwrite
            Whether a former run may be replaced.
        columns
            Those of ``frames.csv``.
        inputs
            Files that the run is about to read, and that must therefore stay.

        Raises
        ------
        OutputError
            It holds something else, or a run and `overwrite` is not given, or cannot be written, or
            one of the `inputs` would be deleted.
        FormatError
            The ``run.json`` of a run is damaged, and `overwrite` is not given.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; --out takes a folder")
        try:
            present = [path for path in contents(self.path) if path.name != OWNER]
            if present:
                self._clear(present, overwrite, inputs)
            self.path.mkdir(parents=True, exist_ok=True)
            header = pd.DataFrame(columns=list(columns))
            with atomic_path(self.frames_path) as temporary:
                header.to_csv(temporary, index=False, lineterminator="\n")
        except OSError as error:
            raise OutputError(
                f"cannot write to {self.path}: {error.strerror or error}; choose another --out"
            ) from error

    def _clear(self, present: list[Path], overwrite: bool, inputs: Collection[Path]) -> None:
        info = self._replaced(overwrite)
        if info is None:
            raise OutputError(
                f"the folder {self.path} exists and holds something else than a run "
                f"({present[0].name}); choose another --out"
            )
        if not overwrite and self._holds_results():
            raise OutputError(
                f"the folder {self.path} holds another run; choose another --out, "
                "or give --overwrite to replace it or --resume to go on with it"
            )
        figures = self.path / FIGURES
        drawn = [figures / name for name in info.get("figures", []) if Path(name).name == name]
        self._keep([*drawn, *(self.path / name for name in OWN_FILES)], inputs)
        if self._holds_results():
            for table in (self.detections, self.geometry):
                table.recover()
            self._former.set_aside([*(f"{FIGURES}/{figure.name}" for figure in drawn), *OWN_FILES])
        for figure in drawn:
            figure.unlink(missing_ok=True)
        if figures.is_dir() and not any(figures.iterdir()):
            figures.rmdir()
        self._remove_own()

    def _remove_own(self) -> None:
        for table in (self.detections, self.geometry):
            table.recover()
        for target in (*half_written(self.path), *(self.path / name for name in OWN_FILES)):
            _remove(target)

    def settle(self) -> bool:
        """Leave one run of two: the new one if it has a finished frame, else the former.

        Killed at any moment, it can be called again. Returns whether the former came back in place
        of the new one.

        Raises
        ------
        OutputError
            The former run cannot be put back, or another process is about to replace it.
        """
        self._former.expect_no_other()
        if self._former.is_replaced:
            if self.frames_path.is_file() and self._holds_results():
                self._former.discard()
                return False
            self._remove_own()
            self._former.put_back()
            return True
        if self._former.has_files and (self.path / INFO).is_file():
            self._former.put_back()
        return False

    def _keep(self, own: list[Path], inputs: Collection[Path]) -> None:
        """Refuse to delete what is about to be read, such as the video of a former run."""
        lost = lost_input(inputs, own)
        if lost is not None:
            raise OutputError(
                f"{lost} is an input, but replacing the run in {self.path} would delete it; choose "
                "another --out"
            )

    def _replaced(self, overwrite: bool) -> dict[str, Any] | None:
        """Return what is known of a run to replace, or None where there is none."""
        try:
            return self.info()
        except FormatError:
            # A damaged file may be anybody's, but not beside a table of ours.
            if not self.frames_path.is_file():
                return None
            if not overwrite:
                raise
            return {}

    def info(self) -> dict[str, Any] | None:
        """Return ``run.json``, or None where there is none of ours.

        Raises
        ------
        FormatError
            It is damaged.
        """
        return own_info(self.path)

    def _holds_results(self) -> bool:
        # A run that ended before its first good frame left nothing worth a question.
        try:
            return bool((read_csv(self.frames_path)["status"] == "ok").any())
        except (OSError, ValueError, KeyError):
            return True

    def take_up(self, plan: Mapping[str, Any], total: int) -> list[FrameOutcome]:
        """Return the finished frames of an interrupted run with the same plan.

        Parameters
        ----------
        plan
            What decides about the numbers.
        total
            Number of frames of the series.

        Raises
        ------
        UsageError
            There is no run to go on with, or its plan differs; says in what.
        FormatError
            Its tables do not fit together.
        """
        finished = self.finished_frames(plan)
        tables = (self.detections, self.geometry)
        for table in tables:
            table.recover()
        if len(finished) < total and any(table.is_finished for table in tables):
            raise FormatError(
                f"{self.frames_path} has {len(finished)} of {total} frames, but the tables beside "
                "it are complete; start again with --overwrite"
            )
        for left in half_written(self.path):
            left.unlink()
        for table in tables:
            table.drop_from(len(finished), [outcome.index for outcome in finished])
        return finished

    def finished_frames(self, plan: Mapping[str, Any]) -> list[FrameOutcome]:
        """Return the frames of ``frames.csv``, after a look at what `plan` says about the numbers.

        Raises
        ------
        UsageError
            There is no run to go on with, or its plan differs in an entry of `plan`.
        FormatError
            The table cannot be read.
        """
        self.check_plan(plan)
        return self._finished_rows()

    def check_order(
        self, finished: Sequence[FrameOutcome], indices: Sequence[int], names: Sequence[str]
    ) -> None:
        """Refuse the same files in another order than before; UsageError says where it differs."""
        now = zip(indices, names, strict=True)
        for outcome, (index, source) in zip(finished, now, strict=False):
            if (outcome.index, outcome.source) != (index, source):
                raise UsageError(
                    f"the run in {self.path} cannot be resumed: its frame {outcome.index} "
                    f"was {outcome.source}, now frame {index} is {source}; give the files in the "
                    "same order, or use --overwrite"
                )

    def check_plan(self, plan: Mapping[str, Any]) -> None:
        """Refuse a run whose plan differs in an entry of `plan`; UsageError says in what."""
        difference = plan_difference(read_info(self.path).get("plan", {}), plan)
        if difference:
            raise UsageError(
                f"the run in {self.path} cannot be resumed: {difference}; "
                "use the same command, or --overwrite"
            )

    def reopen(self, finished: list[FrameOutcome], kept: int) -> None:
        """Open the tables again for frames that follow the first `kept` of the finished ones."""
        gone = {outcome.index for outcome in finished[kept:]}
        for table in (self.detections, self.geometry):
            table.reopen()
            table.drop_from(len(finished), [outcome.index for outcome in finished])
            if gone:
                table.drop_frames(gone)
        for left in half_written(self.path):
            left.unlink()
        # Last: killed before, the same frames are dropped again.
        if gone:
            lines = self.frames_path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(self.frames_path, "".join(lines[: kept + 1]))

    def _finished_rows(self) -> list[FrameOutcome]:
        try:
            text = self.frames_path.read_text(encoding="utf-8")
        except OSError as error:
            raise FormatError(
                f"{self.frames_path} cannot be read ({error.strerror}), so that the run cannot be "
                "resumed; start again with --overwrite"
            ) from error
        # A run that was killed may have left half a line at the end.
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            write_text(self.frames_path, whole)
        types = {name: FRAME_COLUMNS[name] for name in ("source", "width_px", "height_px")}
        with expected_whole(self.frames_path):
            table = read_csv(self.frames_path, types)
        repeated = table["frame"].duplicated()
        if repeated.any():
            # A crash at the wrong moment can have appended rows twice.
            lines = whole.splitlines(keepends=True)
            kept = [line for line, again in zip(lines[1:], repeated, strict=True) if not again]
            write_text(self.frames_path, "".join([lines[0], *kept]))
        return [
            FrameOutcome(
                int(row["frame"]),
                str(row["source"]),
                None if pd.isna(row["height_px"]) else (row["height_px"], row["width_px"]),
                error=None if row["status"] == "ok" else f"{row['source']}: damaged",
            )
            for row in table[~repeated].to_dict("records")
        ]

    def commit(self, start: int, outcomes: list[FrameOutcome], rows: pd.DataFrame) -> None:
        """Write what became of the frames from position `start` on.

        Raises
        ------
        OutputError
            It cannot be written, or another run has taken the folder.
        """
        self._expect_own()
        found = [outcome.rows for outcome in outcomes if outcome.rows is not None]
        detections = joined_table([rows.detections for rows in found], DETECTION_COLUMNS)
        geometry = joined_table([rows.geometry for rows in found], GEOMETRY_COLUMNS)
        self.detections.append(start, detections)
        self.geometry.append(start, geometry)
        text = rows.to_csv(index=False, header=False, lineterminator="\n")
        try:
            patiently(lambda: _append(self.frames_path, text))
        except OSError as error:
            raise OutputError(f"cannot write {self.frames_path}: {error.strerror}") from error
        if self._former.is_replaced and any(outcome.error is None for outcome in outcomes):
            self._former.discard()

    def write_mask(self, bitmap: NDArray[np.bool_] | None) -> None:
        """Keep the masked pixels beside the tables, where there are any."""
        if bitmap is None:
            return
        encoded = cv2.imencode(".png", bitmap.astype(np.uint8) * 255)[1]
        with atomic_path(self.path / MASK) as temporary:
            temporary.write_bytes(encoded.tobytes())

    def record(self, info: Mapping[str, Any]) -> None:
        """Write ``run.json`` of the run that is at work; with the first one it takes the folder.

        Raises
        ------
        OutputError
            It cannot be written, or another run has taken the folder since.
        """
        self._expect_own()
        session = self._session or secrets.token_hex(8)
        self.write_info({**info, "session": session})
        self.owner.take()
        self._session = session

    def _expect_own(self) -> None:
        if self._session is None:
            return
        with suppress(FormatError):
            info = self.info()
            if info is None or info.get("session") != self._session:
                raise OutputError(
                    f"the {INFO} in {self.path} is not of this run any more, because another run "
                    "has taken the folder; this one is given up: choose another --out for it"
                )

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        write_json(self.path / INFO, info, default=str)


def _append(path: Path, text: str) -> None:
    size = path.stat().st_size
    try:
        with path.open("a", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        # All of it or nothing.
        with suppress(OSError):
            os.truncate(path, size)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
