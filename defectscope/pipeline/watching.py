"""``run --watch``: frames are worked on as they appear, and tables and figures follow."""

from __future__ import annotations

import collections
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import DefectscopeError, InputError
from defectscope.core.provenance import input_digests
from defectscope.pipeline.finishing import track_detections, write_findings
from defectscope.pipeline.lanes import working_lanes
from defectscope.pipeline.results import Result
from defectscope.pipeline.session import Session, uninterrupted
from defectscope.pipeline.stages import FrameStages

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from defectscope.core.calibration import Calibration
    from defectscope.pipeline.named import NamedComponent
    from defectscope.pipeline.stages import FrameOutcome
    from defectscope.pipeline.watched import WatchedFolder

__all__ = ["Lag", "WatchSession"]

POLL_S = 0.05
COMMIT_S = 1.0
SAY_S = 5.0
# Figures may take this share of the time at most, so that frames are not kept waiting.
FIGURES_SHARE = 0.2


@dataclass(frozen=True)
class Lag:
    """How far the tables are behind the folder.

    Parameters
    ----------
    done
        Frames in the tables.
    waiting
        Frames in the folder that are not.
    seconds
        From the appearance of a frame to its rows in the tables, the latest one.
    frames_per_s
        Since the watch began, or the last time that it was said.
    """

    done: int
    waiting: int
    seconds: float
    frames_per_s: float

    def __str__(self) -> str:
        return (
            f"{self.done} frames done, {self.waiting} waiting, lag {self.seconds:.1f} s, "
            f"{self.frames_per_s:.1f} frames/s"
        )


@dataclass
class WatchSession(Session):
    """A session on a folder that grows, until nothing has come for a while or Ctrl-C.

    Parameters
    ----------
    watched
        The folder; the same as `frames`.
    update_s
        Seconds between two updates of tracks and figures at least.
    idle_s
        It ends when nothing new has come for so long; None waits for Ctrl-C.
    said
        Called every few seconds with the lag.
    """

    watched: WatchedFolder = field(kw_only=True)
    update_s: float = field(default=10.0, kw_only=True)
    idle_s: float | None = field(default=None, kw_only=True)
    said: Callable[[Lag], None] = field(default=lambda lag: None, kw_only=True)
    lags_s: list[float] = field(default_factory=list, kw_only=True)
    _waiting: collections.deque[Future[list[FrameOutcome]]] = field(
        default_factory=collections.deque, kw_only=True
    )
    _updating: BaseProcess | None = field(default=None, kw_only=True)

    def run(self) -> Result:
        """Watch to the end, and return the tables.

        Raises
        ------
        DefectscopeError
            A component raised, or frames differ in size; what was finished stays.
        """
        self.folder.create(self.settings.overwrite, self._frame_columns)
        self._write_info()
        self.folder.write_mask(self.settings.masks.bitmap)
        try:
            try:
                self._watch()
            except KeyboardInterrupt:
                self._status = "tracking"
            self._stop_updating()
            if not self.lags_s:
                raise InputError(f"no frame came into {self.watched.folder}")
            self._finish()
            self._status = "complete"
        except KeyboardInterrupt:
            self._status = "interrupted"
            raise
        except BaseException as error:
            self._status = f"failed: {error}"
            raise
        finally:
            self._stop_updating()
            with uninterrupted():
                self._write_info()
        return Result(self.folder.path)

    def _finish(self) -> None:
        self.plan = {**self.plan, "inputs": input_digests(self.watched.paths),
                     "frames": [len(self.frames), min(self.frames.indices),
                                max(self.frames.indices)]}  # fmt: skip
        self.warnings += [t for t in self.watched.warnings if t not in self.warnings]
        self._join_tables()
        self._track()
        self._draw()

    def _watch(self) -> None:
        stages = FrameStages(
            self.frames, self.detector, self.post, self.settings.roi, self.settings.mixed_sizes,
            None, self.runtime.defect_types, self.settings.masks,
        )  # fmt: skip
        done: list[FrameOutcome] = []
        committed = submitted = 0
        last_frame = last_commit = last_said = last_update = time.monotonic()
        last_poll = 0.0
        said_at = 0
        stages.open()
        try:
            with working_lanes(stages, self.lanes) as (submit, most_waiting):
                while True:
                    if time.monotonic() - last_poll > POLL_S:
                        last_poll = time.monotonic()
                        if self.watched.poll():
                            last_frame = last_poll
                    while submitted < len(self.frames) and len(self._waiting) < most_waiting:
                        self._waiting.append(submit([submitted]))
                        submitted += 1
                    done += self._ready(stages)
                    now = time.monotonic()
                    if done and (now - last_commit > COMMIT_S or not self._waiting):
                        self._take(committed, done)
                        committed, done, last_commit = committed + len(done), [], now
                    if now - last_said > SAY_S:
                        self._say(committed, said_at, now - last_said)
                        last_said, said_at = now, committed
                    last_update = self._update(now, last_update, committed)
                    all_done = committed == len(self.frames)
                    if self.idle_s is not None and all_done and now - last_frame > self.idle_s:
                        return
                    time.sleep(POLL_S if submitted == len(self.frames) else POLL_S / 5)
        finally:
            with uninterrupted():
                done += self._ready(stages)
                if done:
                    self._take(committed, done)
                self._waiting.clear()

    def _ready(self, stages: FrameStages) -> list[FrameOutcome]:
        outcomes = []
        while self._waiting and self._waiting[0].done():
            outcome = self._waiting.popleft().result()[0]
            if stages.expected_shape is None and not self.settings.mixed_sizes:
                # The first frame sets the size of the series; lanes that follow are told by it.
                stages.expected_shape = outcome.shape
            outcomes.append(outcome)
        return outcomes

    def _take(self, start: int, outcomes: list[FrameOutcome]) -> None:
        for outcome in outcomes:
            self._note(outcome)
        with uninterrupted():
            self._commit(start, outcomes)
        now = time.time()
        self.lags_s += [now - self.watched.came_s[start + k] for k in range(len(outcomes))]

    def _say(self, committed: int, said_at: int, seconds: float) -> None:
        lag = self.lags_s[-1] if self.lags_s else 0.0
        waiting = len(self.frames) - committed
        self.said(Lag(committed, waiting, lag, (committed - said_at) / seconds))

    def _update(self, now: float, last: float, committed: int) -> float:
        """Let another process bring tracks and figures up to date, one at a time."""
        if self._updating is not None:
            if self._updating.is_alive():
                return last
            self._updating.join()
            self._updating = None
            # The longer it takes, the more seldom it is done.
            self.update_s = max(self.update_s, (now - last) / FIGURES_SHARE)
            return now
        if not committed or now - last < self.update_s:
            return last
        self._write_info()
        self._updating = multiprocessing.get_context("spawn").Process(
            target=_brought_up_to_date,
            args=(self.folder.path, self.tracker, list(self.analyses), self.frames.calibration,
                  self.settings.table_format, self.settings.figures),
            daemon=True,
        )  # fmt: skip
        self._updating.start()
        return now

    def _stop_updating(self) -> None:
        if self._updating is not None and self._updating.is_alive():
            self._updating.terminate()
            self._updating.join()
        self._updating = None

    def _info(self) -> dict[str, Any]:
        info = super()._info()
        if self.lags_s:
            ordered = sorted(self.lags_s)
            info["lag_s"] = {
                "median": round(statistics.median(ordered), 3),
                "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
                "largest": round(ordered[-1], 3),
            }
        return info


def _brought_up_to_date(
    folder: Path,
    tracker: NamedComponent | None,
    analyses: Sequence[NamedComponent],
    calibration: Calibration,
    table_format: str,
    figures: bool,
) -> None:
    """Link what is there, and draw the figures; behind the frames when there is not enough time."""
    if hasattr(os, "nice"):
        os.nice(10)
    try:
        if tracker is not None:
            track_detections(folder, tracker, calibration, table_format)
        if figures:
            write_findings(Result(folder), analyses, lambda stage, done, total: None, [])
    except DefectscopeError:
        # At the end the same is done again, and said where it fails.
        return
