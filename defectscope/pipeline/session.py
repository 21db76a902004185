"""One execution of a pipeline: from frames to a finished run folder."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import (
    DamagedFrameError,
    InputError,
    UnfitOptionError,
    UsageError,
)
from defectscope.core.frames import FrameSequence, what_was_selected
from defectscope.core.interrupts import uninterrupted
from defectscope.core.provenance import package_versions
from defectscope.core.registration import Shift
from defectscope.core.votes import Vote
from defectscope.pipeline.execute import outcomes_in_order
from defectscope.pipeline.finishing import track_detections, write_findings
from defectscope.pipeline.frame_table import frame_columns, frame_table
from defectscope.pipeline.handing_over import packed, unpacked
from defectscope.pipeline.input_notes import still_true
from defectscope.pipeline.named import NamedComponent, enter, unknown_types
from defectscope.pipeline.overlay import write_overlays
from defectscope.pipeline.registering import (
    chosen_registration,
    register_frames,
    shift_warnings,
    shifted_outcome,
)
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_end import recorded_end
from defectscope.pipeline.runfolder import RunFolder
from defectscope.pipeline.settings import RunSettings
from defectscope.pipeline.source_names import is_named, where_inputs_lie
from defectscope.pipeline.stages import FrameOutcome, FrameStages
from defectscope.pipeline.voting import Outcomes, check_vote, first_needed, voted

if TYPE_CHECKING:
    from defectscope.core.base import Runtime

__all__ = ["Progress", "RunSettings", "Session"]

COMMIT_FRAMES = 64
COMMIT_SECONDS = 15.0

# (stage, done, total)
Progress = Callable[[str, int, int], None]


@dataclass
class Session:
    """Runs built components over a series and writes the run folder.

    Parameters
    ----------
    frames
        The series, with its calibration.
    detector, post, tracker, analyses
        Built, not opened.
    plan
        What decides about the numbers; a run is only resumed under the same plan.
    folder
        Where the results go.
    lanes, helpers
        Frames worked on at a time in one process; processes that help it.
    warnings
        What is to be said of the run; what is said of its frames is added as they are read.
    """

    frames: FrameSequence
    detector: NamedComponent
    post: Sequence[NamedComponent]
    tracker: NamedComponent | None
    analyses: Sequence[NamedComponent]
    plan: Mapping[str, Any]
    folder: RunFolder
    settings: RunSettings
    runtime: Runtime
    progress: Progress = field(default=lambda stage, done, total: None)
    lanes: int = 1
    helpers: int = 0
    warnings: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    shifts: dict[int, Shift] | None = None
    _status: str = "running"
    _figures: list[str] = field(default_factory=list)

    def run(self) -> Result:
        """Run to the end, and return the tables.

        Raises
        ------
        DefectscopeError
            What was finished before stays in the folder.
        KeyboardInterrupt
            Likewise, marked as interrupted.
        """
        finished = self._prepare()
        if finished is None:
            return Result(self.folder.path)
        with recorded_end(self.folder, self._record):
            self._open_tracker()
            stages = self._stages(finished)
            self._register(stages)
            self._detect(stages, finished)
            self._status = "tracking"
            self._join_tables()
            self._track()
            self._draw()
        return Result(self.folder.path)

    def _prepare(self) -> list[FrameOutcome] | None:
        """Return the frames that are finished already; None where the whole run is."""
        if not len(self.frames):
            raise UsageError(f"no frame is left to work on; {what_was_selected(self.frames)}")
        if self._vote is not None:
            self.warnings += check_vote(self._vote, self.frames.indices)
        former = self._former_run()
        if former is None:
            self._start_new()
            return []
        finished = self.folder.take_up(self.plan, len(self.frames))
        self.folder.check_order(finished, self.frames.indices, self.frames.names)
        if former["status"] == "complete":
            return None
        self._take_over(former, finished)
        self._write_info()
        return finished

    def _former_run(self) -> dict[str, Any] | None:
        """Return ``run.json`` of the run to go on with, if that is asked for and there is one."""
        self.folder.owner.expect_no_other()
        self.folder.settle()  # of a program that was killed
        return self.folder.info() if self.settings.resume else None

    def _start_new(self) -> None:
        try:
            self._begin_folder()
        except BaseException:
            try:
                self.folder.settle()
            finally:
                self.folder.owner.release()
            raise

    def _begin_folder(self) -> None:
        columns = frame_columns(registered=self.settings.register is not None)
        self.folder.create(self.settings.overwrite, columns, self.frames.paths)
        if self.settings.resume:
            self.warnings.append(
                f"there was no run in {self.folder.path} to go on with; a new one was started"
            )
        self._write_info()
        self.folder.write_mask(self.settings.masks.bitmap)

    def _take_over(self, former: Mapping[str, Any], finished: Sequence[FrameOutcome]) -> None:
        self.warnings += [t for t in former.get("warnings", []) if t not in self.warnings]
        self.damaged += dict.fromkeys(former.get("damaged_frames", []))
        # A run that was killed may not have said of all of them what was wrong.
        self.damaged += [
            outcome.error
            for outcome in finished
            if outcome.error is not None and not is_named(outcome.source, self.damaged)
        ]
        self._figures += former.get("figures", [])
        for stage, seconds in former.get("timings_s", {}).items():
            self.timings_s[stage] += seconds
        if self.damaged and self.settings.strict:
            raise DamagedFrameError(f"{self.damaged[0]} (stopped because of --strict)")

    def _open_tracker(self) -> None:
        """Learn now what it lacks, not when all frames are done."""
        if self.tracker is not None:
            twin = self.tracker.twin()
            with ExitStack() as stack:
                enter(stack, twin)

    def _stages(self, finished: Sequence[FrameOutcome]) -> FrameStages:
        return FrameStages(
            self.frames,
            self.detector,
            self.post,
            self.settings.roi,
            self.settings.mixed_sizes,
            next((o.shape for o in finished if o.shape is not None), None),
            self.runtime.defect_types,
            self.settings.masks,
        )

    def _register(self, stages: FrameStages) -> None:
        options = chosen_registration(self.settings.register)
        if options is None:
            return
        begun = time.perf_counter()
        stages.try_out()  # all frames are read before the first one is looked at
        self.shifts = register_frames(self.frames, options, self.progress, self.settings.roi)
        for text in shift_warnings(self.shifts):
            self._warn(text)
        self.timings_s["registration"] += time.perf_counter() - begun

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _detect(self, stages: FrameStages, finished: list[FrameOutcome]) -> None:
        total, start = len(self.frames), len(finished)
        good = sum(outcome.error is None for outcome in finished)
        waiting: list[FrameOutcome] = []
        committed, last_commit = start, time.monotonic()
        begun = time.perf_counter()
        outcomes = self._voted_outcomes(stages, start)
        try:
            for outcome in outcomes:
                self._note(outcome)
                waiting.append(outcome)
                good += outcome.error is None
                self.progress("detect", committed + len(waiting), total)
                late = time.monotonic() - last_commit > COMMIT_SECONDS
                if len(waiting) >= COMMIT_FRAMES or late:
                    with uninterrupted():
                        self._commit(committed, waiting)
                        committed, waiting = committed + len(waiting), []
                        self._write_info()  # what was said survives a kill
                        last_commit = time.monotonic()
        except UnfitOptionError:
            if not committed:
                waiting = []  # a refused request leaves nothing in the way of the corrected one
            raise
        finally:
            # Also on the way out of an error: nothing finished is lost.
            with uninterrupted():
                if waiting:
                    self._commit(committed, waiting)
                outcomes.close()
                self._close(stages)
                self.timings_s["detection stage"] += time.perf_counter() - begun
        if not good:
            raise InputError(
                self.damaged[0]
                if total == 1
                else f"none of {total} frames can be used; the first: {self.damaged[0]}"
            )

    def _close(self, stages: FrameStages) -> None:
        stages.close()
        self._tell_not_closed(stages)

    def _tell_not_closed(self, stages: FrameStages) -> None:
        for text in stages.not_closed:
            self._warn(text)

    def _voted_outcomes(self, stages: FrameStages, start: int) -> Outcomes:
        """Yield the outcomes from position `start` on, voted on where that was asked for."""
        vote, indices = self._vote, self.frames.indices
        # A vote needs what was found in the frames before as well; they are done again.
        first = first_needed(vote, indices, start)
        outcomes = self._outcomes(stages, range(first, len(indices)))
        if vote is not None:
            # Votes compare places of the specimen.
            outcomes = voted(
                self._shifted(outcomes, -1), vote, self.frames.calibration, self.shifts is not None
            )
            outcomes = self._shifted(outcomes, 1)
        with closing(outcomes):
            yield from itertools.islice(outcomes, start - first, None)

    def _shifted(self, outcomes: Outcomes, sign: int) -> Outcomes:
        shifts = self.shifts
        if shifts is None:
            yield from outcomes
            return
        with closing(outcomes):
            for outcome in outcomes:
                yield shifted_outcome(outcome, shifts.get(outcome.index), sign)

    @property
    def _vote(self) -> Vote | None:
        vote = self.settings.vote
        return None if vote is None else Vote.parse(vote)

    def _outcomes(self, stages: FrameStages, positions: range) -> Outcomes:
        settings = self.settings
        parallel = settings.workers > 1 or settings.dask is not None
        if positions and stages.expected_shape is None and not stages.mixed_sizes:
            # The first readable frame sets the size of the series, whoever works on the rest.
            # Workers get components that were never opened: only those can be pickled.
            probe = unpacked(packed(stages)) if parallel else stages
            try:
                while positions and stages.expected_shape is None:
                    outcome = probe.process(positions[:1])[0]
                    stages.expected_shape = outcome.shape if outcome.error is None else None
                    positions = positions[1:]
                    yield outcome
            finally:
                if parallel:
                    self._close(probe)
        how = settings.workers, settings.dask, self.lanes, self.helpers
        yield from outcomes_in_order(stages, positions, self.runtime.batch_size, *how)

    def _note(self, outcome: FrameOutcome) -> None:
        found = () if outcome.rows is None else outcome.rows.detections["defect_type"]
        unknown = unknown_types(self.detector, found, self.runtime.defect_types)
        calibration, unrelated = self.frames.calibration, self.settings.mixed_sizes
        for text in (*still_true(outcome.warnings, calibration, unrelated), *unknown):
            self._warn(text)
        for stage, seconds in outcome.timings_s.items():
            self.timings_s[stage] += seconds
        if outcome.error is not None:
            if outcome.error in self.damaged:
                self.damaged.remove(outcome.error)  # of a frame that is done again
            self.damaged.append(outcome.error)
            if self.settings.strict:
                raise DamagedFrameError(f"{outcome.error} (stopped because of --strict)")

    def _commit(self, start: int, outcomes: list[FrameOutcome]) -> None:
        begun = time.perf_counter()
        table = frame_table(outcomes, self.frames.calibration, self.shifts)
        self.folder.commit(start, outcomes, table)
        self.timings_s["write tables"] += time.perf_counter() - begun

    def _join_tables(self) -> None:
        begun = time.perf_counter()
        csv = self.settings.table_format == "csv"
        self.folder.detections.finish(csv)
        self.folder.geometry.finish(csv)
        self.timings_s["write tables"] += time.perf_counter() - begun

    def _track(self) -> None:
        if self.tracker is None:
            return
        begun = time.perf_counter()
        self.progress("track", 0, 1)
        track_detections(
            self.folder.path, self.tracker, self.frames.calibration, self.settings.table_format
        )
        self.timings_s[self.tracker.alias] += time.perf_counter() - begun
        self.progress("track", 1, 1)

    def _draw(self) -> None:
        self._write_info()
        result = Result(self.folder.path)
        if self.settings.overlay:
            begun = time.perf_counter()
            write_overlays(
                self.frames, result, self.runtime.defect_types, self.progress, self.warnings,
                self._note_figures,
            )  # fmt: skip
            self.timings_s["overlay"] += time.perf_counter() - begun
        if self.settings.figures:
            begun = time.perf_counter()
            write_findings(result, self.analyses, self.progress, self.warnings, self._note_figures)
            self.timings_s["figures"] += time.perf_counter() - begun

    def _note_figures(self, names: list[str]) -> None:
        """Say in ``run.json`` which figures are ours before they are there.

        A run that fails or is killed then leaves none that nobody may delete.
        """
        new = [name for name in names if name not in self._figures]
        if new:
            self._figures += new
            self._write_info()

    def _record(self, status: str) -> None:
        self._status = status
        self._write_info()

    def _write_info(self) -> None:
        self.folder.record(self._info())

    def _info(self) -> dict[str, Any]:
        """Return what ``run.json`` holds."""
        return {
            "status": self._status,
            "plan": dict(self.plan),
            "versions": package_versions(),
            "settings": {
                name: value
                for name, value in vars(self.settings).items()
                if name not in {"roi", "masks", "vote", "register", "resume", "overwrite"}
            },
            "input_paths": where_inputs_lie(self.frames.paths),
            "runtime": {"device": self.runtime.device, "threads": self.runtime.threads},
            "warnings": self.warnings,
            "damaged_frames": self.damaged,
            "figures": sorted(set(self._figures)),
            "timings_s": {name: round(value, 4) for name, value in self.timings_s.items()},
        }
