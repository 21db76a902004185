"""``run --watch``: frames are worked on as they appear, and tables and figures follow."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import InputError, InputGoneError, OptionError, UsageError
from defectscope.core.interrupts import uninterrupted
from defectscope.core.provenance import input_digests
from defectscope.core.registration import Registrar
from defectscope.pipeline.lag import Lag, lag_summary
from defectscope.pipeline.lanes import working_lanes
from defectscope.pipeline.parts import read_csv
from defectscope.pipeline.regions import frame_part, read_part
from defectscope.pipeline.registering import (
    chosen_registration,
    recorded_shifts,
    shift_warnings,
    shifted_outcome,
)
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_end import recorded_end
from defectscope.pipeline.session import Session
from defectscope.pipeline.stages import FrameStages
from defectscope.pipeline.updating import Update, Updater
from defectscope.pipeline.voting import VotedFrames, check_vote, first_to_repeat

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameOutcome
    from defectscope.pipeline.watched import WatchedFolder

__all__ = ["WatchSession"]

POLL_S = 0.05
COMMIT_S = 1.0
SAY_S = 5.0
# What a plan says about frames that are there; a watch goes on with more of them.
GROWING = ("frames", "inputs", "read_by")


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
    _shape: tuple[int, int] | None = field(default=None, init=False)
    _registrar: Registrar | None = field(default=None, init=False)
    _votes: VotedFrames | None = field(default=None, init=False)
    _updater: Updater | None = field(default=None, init=False)
    _good: int = field(default=0, init=False)
    # Frames in the tables; handed to the lanes; of these, done again for the vote on later ones.
    _committed: int = field(default=0, init=False)
    _submitted: int = field(default=0, init=False)
    _repeated: int = field(default=0, init=False)
    _waiting: collections.deque[Future[list[FrameOutcome]]] = field(
        default_factory=collections.deque, init=False
    )
    _done: list[FrameOutcome] = field(default_factory=list, init=False)

    def run(self) -> Result:
        """Watch to the end, and return the tables.

        Raises
        ------
        InputGoneError
            The folder has gone; what was finished stays.
        DefectscopeError
            A component raised, frames differ in size, or there is another run in the folder than
            the one to go on with; what was finished stays.
        """
        self._begin()
        with recorded_end(self.folder, self._record):
            self._watch()
            if not self._committed:
                raise InputError(f"no frame came into {self.watched.folder}")
            if not self._good:
                raise InputError(
                    f"none of {self._committed} frames can be used; the first: {self.damaged[0]}"
                )
            self._status = "tracking"
            self._finish()
        return Result(self.folder.path)

    def _begin(self) -> None:
        options = chosen_registration(self.settings.register)
        if options is not None:
            self._registrar, self.shifts = Registrar(options), {}
        former = self._former_run()
        if former is None:
            self._start_new()
        else:
            self._go_on(former)

    def _go_on(self, former: Mapping[str, Any]) -> None:
        """Take up a run of the same settings, whether it had come to its end or not."""
        plan = {name: value for name, value in self.plan.items() if name not in GROWING}
        # The first file has its say about the scale.
        del plan["calibration"]
        finished = self.folder.finished_frames(plan)
        self.watched.recall([(outcome.index, outcome.source) for outcome in finished])
        if finished:
            self._know_scale()
            self.folder.check_plan({name: self.plan[name] for name in ("calibration", "read_by")})
        known = former["plan"].get("inputs")
        if known and known != input_digests(self.watched.paths):
            raise UsageError(
                f"the run in {self.folder.path} cannot be resumed: its input files have changed; "
                "put them back, or use --overwrite"
            )
        kept = self._final(finished)
        if self._registrar is not None:
            self._register_on(finished, kept)
        self._take_over(former, finished[:kept])  # first: it may refuse
        self.folder.reopen(finished, kept)
        self._good = sum(outcome.error is None for outcome in finished[:kept])
        self._shape = next((o.shape for o in finished if o.shape is not None), None)
        self._committed = self._submitted = kept
        # What was said about fewer frames; it is said again at the end.
        old = self._said_about([outcome.index for outcome in finished])
        self.warnings = [text for text in self.warnings if text not in old]
        if self._vote is not None:
            self._submitted = first_to_repeat(self._vote, self.frames.indices[:kept])
            self._repeated = kept - self._submitted
        self._write_info()

    def _know_scale(self) -> None:
        """Make what needs the calibration, as soon as the first file has been looked at."""
        calibration = self.frames.calibration
        self.plan = {**self.plan, "calibration": calibration.model_dump(),
                     "read_by": dict(self.frames.read_by)}  # fmt: skip
        if self._vote is not None:
            self._votes = VotedFrames(self._vote, calibration, self._registrar is not None)
        update = Update(
            self.folder.path, self.tracker, self.analyses, calibration,
            self.settings.table_format, self.settings.figures,
        )  # fmt: skip
        self._updater = Updater(update, self.update_s, time.monotonic(), self._note_figures)

    def _final(self, finished: Sequence[FrameOutcome]) -> int:
        """Return how many of the finished frames stay as they are, whatever comes after them."""
        kept = len(finished)
        while self._vote and kept and finished[kept - 1].index > (
            finished[-1].index - self._vote.after
        ):  # fmt: skip
            kept -= 1
        return kept

    def _register_on(self, finished: Sequence[FrameOutcome], kept: int) -> None:
        assert self._registrar is not None
        # Those of frames that are done again stand until the same are found again.
        self.shifts = recorded_shifts(read_csv(self.folder.frames_path))
        order = [self.shifts.get(outcome.index) for outcome in finished[:kept]]
        roi = self.settings.roi
        self._registrar = Registrar.after(
            self._registrar.options,
            order,
            lambda position: read_part(self.watched, position, roi)[0].pixels,
        )

    def _said_about(self, indices: Sequence[int]) -> list[str]:
        """Return what is to be said about a series as a whole."""
        said = [] if self._vote is None else check_vote(self._vote, indices)
        known = self.shifts or {}
        return said + shift_warnings({i: known[i] for i in indices if i in known})

    def _finish(self) -> None:
        self.frames = self.watched.up_to(self._committed)
        indices = self.frames.indices
        self.plan = {**self.plan, "inputs": input_digests(self.frames.paths),
                     "read_by": dict(self.frames.read_by),
                     "frames": [len(indices), min(indices), max(indices)]}  # fmt: skip
        for text in (*self.watched.warnings, *self._said_about(indices)):
            self._warn(text)
        self._join_tables()
        self._track()
        self._draw()

    def _watch(self) -> None:
        self._open_tracker()
        stages = self._stages([])
        stages.expected_shape = self._shape
        stages.open()
        try:
            with working_lanes(stages, self.lanes) as (submit, most_waiting):
                self._follow(stages, submit, most_waiting)
            self._release()
        except KeyboardInterrupt:
            # What the lanes were at has been finished meanwhile; the rest is for --resume.
            with uninterrupted():
                self._collect(stages)
                self._release()
        finally:
            with uninterrupted():
                self._tell_not_closed(stages)
                self._write_done()
                self._waiting.clear()
                if self._updater is not None:
                    self._updater.stop()

    def _follow(
        self,
        stages: FrameStages,
        submit: Callable[[list[int]], Future[list[FrameOutcome]]],
        most_waiting: int,
    ) -> None:
        last_frame = last_commit = last_said = time.monotonic()
        last_poll, said_at, strict = 0.0, self._committed, self.settings.strict
        while True:
            if time.monotonic() - last_poll > POLL_S:
                last_poll = time.monotonic()
                if self.watched.poll():
                    last_frame = last_poll
                    if self._updater is None and (self.watched.scale_is_known or strict):
                        self._know_scale()
                        self._write_info()
            while (
                self._updater is not None
                and self._submitted < len(self.frames)
                and len(self._waiting) < most_waiting
            ):
                self._waiting.append(self._handed(submit))
                self._submitted += 1
            self._collect(stages)
            now = time.monotonic()
            if self._done and (now - last_commit > COMMIT_S or not self._waiting):
                self._write_done()
                last_commit = now
            if now - last_said > SAY_S:
                self.folder.owner.keep()
                self._say((self._committed - said_at) / (now - last_said))
                last_said, said_at = now, self._committed
            if self._updater is not None and self._committed and self._updater.is_due(now):
                self._write_info()
                self._updater.start(now)
            all_seen = self._submitted == len(self.frames)
            nothing_left = (all_seen or self._updater is None) and not self._waiting
            idle = self.idle_s is not None and now - last_frame > self.idle_s
            if idle and nothing_left and not self._done:
                if self.watched.give_up():
                    continue
                if all_seen:
                    return
                self._know_scale()  # no file can be read that knows it
            time.sleep(POLL_S if all_seen else POLL_S / 5)

    def _handed(
        self, submit: Callable[[list[int]], Future[list[FrameOutcome]]]
    ) -> Future[list[FrameOutcome]]:
        """Hand the next frame to the lanes, registered where that was asked for."""
        try:
            self._register_next()
        except (OptionError, InputGoneError) as error:
            # Told when its turn comes: the frames before it are not lost.
            failed: Future[list[FrameOutcome]] = Future()
            failed.set_exception(error)
            return failed
        return submit([self._submitted])

    def _register_next(self) -> None:
        position, index = self._submitted, self.frames.indices[self._submitted]
        if self._registrar is None or self.shifts is None or position < self._committed:
            return
        try:
            pixels = self.watched.read(position)
            self.watched.keep(position, pixels)
            part = frame_part(self.watched, position, self.settings.roi, pixels)
        except InputGoneError:
            raise  # back a moment later, the frame would be without its shift
        except InputError:
            # The stage that looks for defects meets it again, and says what is wrong.
            return
        self.shifts[index] = self._registrar.add(part.pixels)

    def _collect(self, stages: FrameStages) -> None:
        """Take what the lanes have finished, in order."""
        while self._waiting and self._waiting[0].done() and not self._waiting[0].cancelled():
            with uninterrupted():
                outcome = self._waiting[0].result()[0]
                self._waiting.popleft()
                if stages.expected_shape is None and not self.settings.mixed_sizes:
                    # The first frame sets the size of the series; lanes that follow are told.
                    stages.expected_shape = outcome.shape
                if self._votes is None:
                    self._keep([outcome])
                else:
                    # Votes compare places of the specimen.
                    self._keep(self._votes.add(self._shifted_by(outcome, -1)))

    def _release(self) -> None:
        """Take what was held for the vote: no more frames come."""
        if self._votes is not None:
            with uninterrupted():
                self._keep(self._votes.rest())

    def _keep(self, outcomes: Sequence[FrameOutcome]) -> None:
        for outcome in outcomes:
            if self._repeated:
                self._repeated -= 1
                continue
            self._note(outcome)
            self._good += outcome.error is None
            self._done.append(outcome if self._votes is None else self._shifted_by(outcome, 1))

    def _shifted_by(self, outcome: FrameOutcome, sign: int) -> FrameOutcome:
        shift = None if self.shifts is None else self.shifts.get(outcome.index)
        return shifted_outcome(outcome, shift, sign)

    def _write_done(self) -> None:
        if not self._done:
            return
        with uninterrupted():
            start, count = self._committed, len(self._done)
            self._commit(start, self._done)
            now = self.watched.clock()
            self.lags_s += [now - came for came in self.watched.came_s[start : start + count]]
            self._committed, self._done = start + count, []

    def _say(self, frames_per_s: float) -> None:
        waiting = len(self.frames) - self._committed
        lag = self.lags_s[-1] if self.lags_s else 0.0
        if waiting:
            lag = max(lag, self.watched.clock() - self.watched.came_s[self._committed])
        held = 0 if self._votes is None else max(0, len(self._votes) - self._repeated)
        self.said(Lag(self._committed, waiting, lag, frames_per_s, held))

    def _info(self) -> dict[str, Any]:
        info = super()._info()
        if self.lags_s:
            info["lag_s"] = lag_summary(self.lags_s)
        return info
