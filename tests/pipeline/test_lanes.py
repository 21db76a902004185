"""Two frames at a time in one process: the same results, the same errors, nothing left behind."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from pydantic import Field

import defectscope as ds
from defectscope.pipeline import api, lanes, training
from defectscope.pipeline.execute import outcomes_in_order
from defectscope.pipeline.lanes import lane_count
from defectscope.pipeline.named import NamedComponent
from defectscope.pipeline.stages import FrameStages

PLAIN = {"overlay": False, "figures": False}
TABLES = ("detections.parquet", "geometry.parquet", "tracks.parquet", "frames.csv", "particles.csv")


class SlowOptions(ds.Options):
    """Options of the test detector."""

    fail_on: int = Field(-1, description="frame index on which to raise")
    meet: bool = Field(False, description="whether two frames must be worked on at a time")


class Slow(ds.Detector):
    """One box a frame; notes who opened and closed it, and that one thread uses it at a time."""

    Options = SlowOptions
    options: SlowOptions
    opened: list
    meeting: threading.Barrier

    def open(self):
        self.opened.append(self)
        self.busy = False

    def close(self):
        self.opened.remove(self)

    def detect(self, frames):
        assert not self.busy, "two threads share a component"
        self.busy = True
        if self.options.meet:
            self.meeting.wait(timeout=20)
        if any(frame.index == self.options.fail_on for frame in frames):
            raise RuntimeError("no idea")
        self.busy = False
        x = [float(frame.pixels.mean() / 8) for frame in frames]
        return [
            ds.Instances(f.shape, [[v, v, v + 3, v + 4]], defect_types="black dot")
            for f, v in zip(frames, x, strict=True)
        ]


@pytest.fixture
def stages(series):
    Slow.opened, Slow.meeting = [], threading.Barrier(2)

    def make(count=10, damaged=(), odd=None, **options):
        detector = Slow(SlowOptions(**options), ds.Runtime(threads=1))
        return FrameStages(
            series(count, damaged, odd), NamedComponent("slow", detector), expected_shape=(48, 64)
        )

    # Other tests leave threads of components that never return.
    before = set(threading.enumerate())
    yield make
    assert Slow.opened == []
    left = set(threading.enumerate()) - before
    assert not [t for t in left if t.name.startswith("lane")]


def places(outcomes):
    return [(o.index, o.error, o.rows and o.rows.boxes.tolist()) for o in outcomes]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_two_lanes_give_what_one_gives_in_the_same_order(stages, batch_size):
    positions = [9, 0, 8, 1, 7, 2, 6, 3, 5, 4]
    one = list(outcomes_in_order(stages(damaged=(3,)), positions, batch_size))
    two = list(outcomes_in_order(stages(damaged=(3,)), positions, batch_size, lanes=2))
    assert [o.index for o in two] == positions
    assert places(two) == places(one)
    assert two[7].error == "frame003.png: the file is truncated"


@pytest.mark.parametrize("lanes", [1, 2])
def test_opencv_gets_its_threads_back(stages, monkeypatch, lanes):
    before, seen = cv2.getNumThreads(), set()
    detect = Slow.detect
    monkeypatch.setattr(
        Slow, "detect", lambda *given: seen.add(cv2.getNumThreads()) or detect(*given)
    )
    cv2.setNumThreads(3)
    try:
        assert len(list(outcomes_in_order(stages(), range(10), lanes=lanes))) == 10
        assert seen == {1}
        assert cv2.getNumThreads() == 3
        with pytest.raises(ds.ComponentError):
            list(outcomes_in_order(stages(fail_on=2), range(10), lanes=lanes))
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_two_frames_are_worked_on_at_a_time(stages):
    # Each waits until another is there: one lane alone would wait in vain.
    assert len(list(outcomes_in_order(stages(meet=True), range(10), lanes=2))) == 10


def test_an_error_comes_when_its_frame_is_due(stages):
    outcomes = outcomes_in_order(stages(fail_on=4), range(10), lanes=2)
    assert [next(outcomes).index for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ds.ComponentError, match=r"'slow'.*fail_on=4.*frame004\.png.*no idea"):
        next(outcomes)


def test_an_error_of_reading_comes_when_its_frame_is_due_too(stages):
    outcomes = outcomes_in_order(stages(odd=4), range(10), lanes=2)
    assert [next(outcomes).index for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ds.UsageError, match=r"frame004\.png is 64 x 50 px"):
        next(outcomes)


def test_whoever_stops_asking_leaves_nothing_open(stages):
    outcomes = outcomes_in_order(stages(), range(10), lanes=2)
    next(outcomes)
    outcomes.close()


def test_no_more_frames_are_held_than_lanes_and_one(stages, series, monkeypatch):
    read = []
    monkeypatch.setattr(
        series, "read", lambda self, k: read.append(k) or np.eye(48, 64, dtype=np.uint8)
    )
    for done, _ in enumerate(outcomes_in_order(stages(), range(10), lanes=2), start=1):
        assert len(read) <= done + 2


def test_a_single_batch_needs_no_second_lane(stages, monkeypatch):
    monkeypatch.setattr(FrameStages, "twin", lambda self: pytest.fail("a second lane"))
    assert len(list(outcomes_in_order(stages(), range(2), 5, lanes=2))) == 2


@pytest.mark.parametrize(
    ("cores", "threads", "device", "expected"),
    [(1, 0, "cpu", 1), (2, 0, "cpu", 2), (16, 0, "cpu", 2), (2, 1, "cpu", 2), (2, 2, "cpu", 1),
     (4, 2, "cpu", 2), (4, 8, "cpu", 1), (16, 0, "cuda", 1)],
)  # fmt: skip
def test_how_many_lanes_there_are(monkeypatch, cores, threads, device, expected):
    monkeypatch.setattr(lanes, "available_cores", lambda: cores)
    assert lane_count(threads, device) == expected


@pytest.mark.parametrize("vote", [None, "2/3"])
def test_a_run_gives_the_same_bytes_with_one_lane_and_with_two(
    host, series, tmp_path, monkeypatch, vote
):
    pipeline = ds.Pipeline("find", ["axes"], "by-rank", host=host)
    for count in (1, 2):
        monkeypatch.setattr(api, "lane_count", lambda threads, device, count=count: count)
        pipeline.run(series(9, damaged=(0, 4)), tmp_path / str(count), vote=vote, **PLAIN)
    for name in TABLES:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_cores_are_shared_among_lanes_and_workers(host, series, tmp_path, monkeypatch):
    monkeypatch.setattr(lanes, "available_cores", lambda: 8)
    monkeypatch.setattr(api, "available_cores", lambda: 8)
    pipeline = ds.Pipeline("find", host=host)
    for count, more, threads in ((4, {}, 4), (1, {}, 8), (4, {"workers": 4}, 2)):
        chosen = api.RunSettings(**more)
        session = pipeline._session(series(count), tmp_path / "run", chosen, None, [])
        assert session.runtime.threads == threads
        assert session.lanes == (2 if count > 1 and not more else 1)


def test_training_takes_the_cores_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(training, "available_cores", lambda: 3)
    assert [training._threads(workers) for workers in (0, 1, 5)] == [3, 2, 1]
