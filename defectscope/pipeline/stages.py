"""What happens to one frame: read, detect, measure, turn into table rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectscope.core.errors import (
    InputError,
    InputGoneError,
    PluginClashError,
    UnfitOptionError,
)
from defectscope.core.frame_rows import FrameRows
from defectscope.core.frames import Frame, FrameSequence
from defectscope.core.geometry.boxes import box_centres
from defectscope.core.instances import Instances
from defectscope.core.masks import mask_outline
from defectscope.core.thread_counts import ThreadCount
from defectscope.pipeline.found_checks import check_found, check_processed
from defectscope.pipeline.masking import MaskedParts
from defectscope.pipeline.named import NamedComponent, enter, guarded
from defectscope.pipeline.regions import Roi, read_part

if TYPE_CHECKING:
    from defectscope.core.base import Component, Detector, PostProcessor
    from defectscope.core.defect_types import DefectType

__all__ = ["FrameOutcome", "FrameStages", "ReadFrames"]


@dataclass
class FrameOutcome:
    """What became of one frame; `error` is set where it was damaged."""

    index: int
    source: str
    shape: tuple[int, int] | None = None
    rows: FrameRows | None = None
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)


class ReadFrames(NamedTuple):
    """The outcomes of several frames as far as they are known, and those that could be read."""

    outcomes: list[FrameOutcome]
    readable: list[tuple[FrameOutcome, Frame]]


@dataclass
class FrameStages:
    """The per-frame part of a pipeline; can be pickled before it is opened.

    Parameters
    ----------
    frames
        The series.
    detector, post
        Components in the order of their work.
    roi
        x_min, y_min, x_max, y_max in px, half open; only this part is looked at.
    mixed_sizes
        Whether frames may differ in size from `expected_shape`.
    masks
        What the detector finds there is dropped.
    not_closed
        Says of each component that could not be closed what it raised; of twins, too.
    """

    frames: FrameSequence
    detector: NamedComponent
    post: Sequence[NamedComponent] = ()
    roi: Roi | None = None
    mixed_sizes: bool = False
    expected_shape: tuple[int, int] | None = None
    defect_types: Mapping[str, Any] = field(default_factory=dict)
    masks: MaskedParts = field(default_factory=MaskedParts)
    not_closed: list[str] = field(default_factory=list)
    _stack: ExitStack | None = None
    _said: int = 0

    def open(self) -> None:
        """Open the components, once; a failure names the component."""
        if self._stack is not None:
            return
        component: Component = self.detector.component
        with ExitStack() as stack:
            stack.enter_context(_opencv_threads().of(component.runtime.threads))
            for named in (self.detector, *self.post):
                enter(stack, named, self.not_closed)
            # Left open from here on; what was opened before a failure is closed again.
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the components and the series; OpenCV gets back the threads that it had.

        A component that cannot be closed costs no result: `not_closed` says so.
        """
        if self._stack is not None:
            self._stack.close()
            self._stack = None
        self.frames.close()

    def twin(self) -> FrameStages:
        """Return the same stages with components of their own, not opened."""
        detector, *post = (named.twin() for named in (self.detector, *self.post))
        return replace(self, detector=detector, post=post, _stack=None)

    def try_out(self) -> None:
        """Open what would be opened, and read the first frame that can be, for what they refuse.

        Raises
        ------
        DefectscopeError
            A component cannot be opened, or the region or a mask does not fit the frame.
        """
        twin = self.twin()
        try:
            twin.open()
            any(twin.read([position]).readable for position in range(len(self.frames)))
        finally:
            twin.close()

    def process(self, positions: Sequence[int]) -> list[FrameOutcome]:
        """Return the outcome of the frames at `positions`, in that order."""
        self.open()
        return self.work(self.read(positions))

    def read(self, positions: Sequence[int]) -> ReadFrames:
        """Read the frames at `positions`."""
        outcomes = [
            FrameOutcome(self.frames.indices[position], self.frames.names[position])
            for position in positions
        ]
        readable = [
            (outcome, frame)
            for outcome, position in zip(outcomes, positions, strict=True)
            if (frame := self._read(position, outcome)) is not None
        ]
        said = list(self.frames.warnings)
        outcomes[0].warnings, self._said = said[self._said :], len(said)
        return ReadFrames(outcomes, readable)

    def work(self, read: ReadFrames) -> list[FrameOutcome]:
        """Return the outcome of frames that were read, in their order."""
        self.open()
        if read.readable:
            self._detect_and_measure(read.readable)
        return read.outcomes

    def _read(self, position: int, outcome: FrameOutcome) -> Frame | None:
        start = time.perf_counter()
        try:
            frame, outcome.shape = read_part(self.frames, position, self.roi)
        except InputGoneError:
            raise  # the frame may be whole, and is left for later
        except InputError as error:
            outcome.error = str(error)
            return None
        finally:
            outcome.timings_s["read"] = time.perf_counter() - start
        self._check_shape(outcome)
        if outcome.shape is not None:
            self.masks.check(outcome.shape, outcome.source, self.mixed_sizes)
        # A component that changes its input would change what the next one sees.
        frame.pixels.flags.writeable = False
        return frame

    def _check_shape(self, outcome: FrameOutcome) -> None:
        expected, shape = self.expected_shape, outcome.shape
        if self.mixed_sizes or expected is None or shape is None or shape == expected:
            return
        raise UnfitOptionError(
            f"{outcome.source} is {shape[1]} x {shape[0]} px, but the series began with "
            f"{expected[1]} x {expected[0]} px; run the sizes apart, or give --mixed-sizes "
            "to take them as unrelated images"
        )

    def _detect_and_measure(self, readable: list[tuple[FrameOutcome, Frame]]) -> None:
        start = time.perf_counter()
        frames = [frame for _, frame in readable]
        detector: Detector = self.detector.component
        sources = ", ".join(frame.source for frame in frames)
        found = guarded(self.detector, f"on {sources}", detector.detect, frames)
        check_found(self.detector, found, frames)
        share = (time.perf_counter() - start) / len(frames)
        for (outcome, frame), instances in zip(readable, found, strict=True):
            outcome.timings_s[self.detector.alias] = share
            self._measure(outcome, frame, self._unmasked(instances))

    def _unmasked(self, instances: Instances) -> Instances:
        if not self.masks:
            return instances
        corner = np.array(self.roi[:2] if self.roi is not None else (0, 0))
        return instances[~self.masks.hold(box_centres(instances.boxes) + corner)]

    def _measure(self, outcome: FrameOutcome, frame: Frame, instances: Instances) -> None:
        for named in self.post:
            start = time.perf_counter()
            processor: PostProcessor = named.component
            where = f"on {frame.source}"
            given = instances
            instances = guarded(named, where, processor.process, frame, given)
            check_found(named, [instances], [frame])
            check_processed(named, frame, given, instances)
            outcome.timings_s[named.alias] = time.perf_counter() - start
        self._expect_one_meaning(instances)
        start = time.perf_counter()
        if self.roi is not None and outcome.shape is not None:
            instances = instances.moved(self.roi[0], self.roi[1], outcome.shape)
        instances = _outlined(instances, self.defect_types)
        outcome.rows = FrameRows.of(frame, instances, self.defect_types)
        outcome.timings_s["tables"] = time.perf_counter() - start

    def _expect_one_meaning(self, instances: Instances) -> None:
        clashing = self.detector.component.runtime.clashing_types
        if clashing:
            for name in np.unique(instances.defect_types).tolist():
                if name in clashing:
                    raise PluginClashError(clashing[name])


@cache
def _opencv_threads() -> ThreadCount:
    import cv2

    return ThreadCount(cv2.getNumThreads, cv2.setNumThreads)


def _outlined(instances: Instances, types: Mapping[str, DefectType]) -> Instances:
    """Give every instance that has a mask and no line of its own the outline of the mask.

    Not so those of a type that is a line: the way round a mask would be taken for its course.
    """
    if instances.masks is None:
        return instances
    lines = instances.lines or (np.zeros((0, 2)),) * len(instances)
    courses = {name for name, known in types.items() if known.shape == "line"}
    rows = zip(lines, instances.masks, instances.defect_types, strict=True)
    return replace(
        instances,
        lines=tuple(
            line if len(line) or name in courses else mask_outline(mask)
            for line, mask, name in rows
        ),
    )
