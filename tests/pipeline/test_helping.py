"""Processes that help this one: the same results, the same errors, nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import threading
import time

import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.frame_rows import joined_table
from defectscope.core.tables import DETECTION_COLUMNS
from defectscope.pipeline import api, helping, lanes, processes
from defectscope.pipeline.execute import outcomes_in_order
from defectscope.pipeline.handing_over import packed
from defectscope.pipeline.helping import helper_count
from defectscope.pipeline.processes import in_processes
from defectscope.pipeline.stages import FrameStages, NamedComponent

MODULE = "components_of_the_helper_tests"

# In a file of its own, since helpers import components by name.
COMPONENTS = '''
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from pydantic import Field

import defectscope as ds


class Series(ds.FrameSequence):
    """Frames made from their index."""

    def __init__(self, count, damaged=()):
        self.indices = tuple(range(count))
        self.names = tuple(f"f{k}.png" for k in self.indices)
        self.warnings, self.damaged = [], damaged

    def read(self, position):
        if position in self.damaged:
            raise ds.DamagedFrameError(f"{self.names[position]}: the file is truncated")
        return np.random.default_rng(position).integers(0, 255, (20, 24), dtype=np.uint8)


def send_half(connection, data):
    os.write(connection.fileno(), data[: len(data) // 2])
    os._exit(3)


class FindOptions(ds.Options):
    half_on: int = Field(-1, description="index from which a helper dies as it sends a result")
    fail_on: int = Field(-1, description="frame index on which to fail")
    die_on: int = Field(-1, description="frame index on which to die in a helper")
    noted: str = Field("", description="file in which each frame is noted")
    together: str = Field("", description="folder in which to wait for another process")
    slow_to_open: bool = Field(False, description="whether helpers take long to get ready")
    fails_to_open: bool = Field(False, description="whether helpers cannot be made ready")
    wait_for: str = Field("", description="file without which no frame is done")
    parent: int = Field(0, description="process that is no helper")


class Find(ds.Detector):
    """One box a frame, whose place depends on the pixels."""

    Options = FindOptions
    defect_types = ("black dot",)

    def open(self):
        if self.options.fails_to_open and os.getpid() != self.options.parent:
            Path(self.options.wait_for).touch()
            raise ValueError("not here")
        if self.options.slow_to_open and os.getpid() != self.options.parent:
            time.sleep(600)

    def detect(self, frames):
        return [self.one(frame) for frame in frames]

    def one(self, frame):
        if self.options.together:
            folder = Path(self.options.together)
            (folder / str(os.getpid())).touch()
            end = time.monotonic() + 60
            while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
                time.sleep(0.01)
        end = time.monotonic() + 60
        while self.options.wait_for and time.monotonic() < end:
            if Path(self.options.wait_for).exists():
                time.sleep(0.05)
                break
        if self.options.noted:
            time.sleep(0.01)
            with open(self.options.noted, "a") as stream:
                print(frame.index, file=stream)
        if frame.index == self.options.fail_on:
            raise RuntimeError("no idea")
        if frame.index >= self.options.die_on > 0 and os.getpid() != self.options.parent:
            os._exit(3)
        if frame.index >= self.options.half_on > 0 and os.getpid() != self.options.parent:
            Connection._send = send_half
        x = float(frame.pixels.mean() / 20)
        return ds.Instances(frame.shape, [[x, x, x + 3, x + 4]], defect_types="black dot")
'''


@pytest.fixture
def stages(components):
    def make(count=30, damaged=(), **options):
        detector = components.Find(components.FindOptions(**options))
        return FrameStages(components.Series(count, damaged), NamedComponent("find", detector))

    before = set(threading.enumerate())
    yield make
    assert multiprocessing.active_children() == []
    left = set(threading.enumerate()) - before
    assert not [t for t in left if t.name.startswith("lane")]


def tables(outcomes):
    return joined_table(
        [o.rows.detections for o in outcomes if o.rows is not None], DETECTION_COLUMNS
    )


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_helper_works_on_frames_and_changes_nothing(stages, tmp_path, batch_size):
    positions = [*range(20, 30), *range(20)]
    alone = list(outcomes_in_order(stages(damaged=(3,)), positions, batch_size))
    # Each process waits until another is at work as well.
    work = stages(damaged=(3,), together=str(tmp_path))
    together = list(outcomes_in_order(work, positions, batch_size, helpers=1))
    assert len(list(tmp_path.iterdir())) == 2
    assert [o.index for o in together] == positions
    pd.testing.assert_frame_equal(tables(together), tables(alone))
    assert [o.error for o in together] == [o.error for o in alone]
    assert together[13].error == "f3.png: the file is truncated"


def test_stages_that_were_used_before_can_be_helped(stages):
    work = stages()
    first = work.process([0])
    rest = list(outcomes_in_order(work, range(1, 30), helpers=1))
    alone = list(outcomes_in_order(stages(), range(30)))
    pd.testing.assert_frame_equal(tables([*first, *rest]), tables(alone))
    assert work._stack is None


def test_a_process_works_on_frames_in_the_order_in_which_they_come(stages, tmp_path):
    payload = packed(stages(noted=str(tmp_path / "noted")))
    with in_processes(payload, 1) as (submit, _):
        for future in [submit([k]) for k in range(30)]:
            future.result()
    assert (tmp_path / "noted").read_text().split() == [str(k) for k in range(30)]


def test_an_error_comes_when_its_frame_is_due(stages):
    outcomes = outcomes_in_order(stages(fail_on=12), range(30), helpers=1)
    assert [next(outcomes).index for _ in range(12)] == list(range(12))
    with pytest.raises(ds.ComponentError, match=r"'find'.*fail_on=12.*f12\.png.*no idea"):
        next(outcomes)


def said(outcomes):
    return [text for outcome in outcomes for text in outcome.warnings]


@pytest.mark.parametrize("how", ["die_on", pytest.param("half_on", marks=pytest.mark.skipif(
    sys.platform == "win32", reason="pipes are written in another way there"))])  # fmt: skip
def test_without_a_helper_that_dies_the_work_goes_on(stages, tmp_path, how):
    work = stages(together=str(tmp_path), parent=os.getpid(), **{how: 1})
    outcomes = list(outcomes_in_order(work, range(30), helpers=1))
    assert [o.index for o in outcomes] == list(range(30))
    pd.testing.assert_frame_equal(tables(outcomes), tables(outcomes_in_order(stages(), range(30))))
    [text] = said(outcomes)
    assert text.startswith("a process that helped this run is no more (it died, for want of memory")


def test_a_helper_that_cannot_be_made_ready_is_done_without(stages, tmp_path):
    work = stages(fails_to_open=True, parent=os.getpid(), wait_for=str(tmp_path / "failed"))
    outcomes = list(outcomes_in_order(work, range(30), helpers=1))
    assert [o.index for o in outcomes] == list(range(30))
    [text] = said(outcomes)
    assert re.search(r"is no more \('find'.*ValueError: not here.*\); the run goes on", text)


def test_a_helper_that_is_not_needed_is_not_waited_for(stages):
    # It is still getting ready when everything is done.
    work = stages(slow_to_open=True, parent=os.getpid())
    begun = time.monotonic()
    assert len(list(outcomes_in_order(work, range(30), helpers=1))) == 30
    assert time.monotonic() - begun < 60


def test_whoever_stops_asking_leaves_nothing_behind(stages):
    outcomes = outcomes_in_order(stages(), range(30), helpers=1)
    next(outcomes)
    outcomes.close()
    assert multiprocessing.active_children() == []


def test_whoever_stops_asking_does_not_wait_for_a_helper_that_is_getting_ready(stages):
    outcomes = outcomes_in_order(
        stages(slow_to_open=True, parent=os.getpid()), range(30), helpers=1
    )
    next(outcomes)
    begun = time.monotonic()
    outcomes.close()
    assert time.monotonic() - begun < 5


def test_a_run_that_ends_early_leaves_the_helpers_of_another_alone(stages, tmp_path):
    ended = outcomes_in_order(stages(), range(30), helpers=1)
    next(ended)
    other = outcomes_in_order(stages(together=str(tmp_path)), range(30), helpers=1)
    next(other)  # its helper is at work as well
    ended.close()
    assert len(list(other)) == 29


def test_where_no_process_can_be_started_the_work_is_done_here(stages, monkeypatch):
    def none(payload):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(processes, "FrameProcess", none)
    outcomes = list(outcomes_in_order(stages(), range(30), helpers=1))
    assert [o.index for o in outcomes] == list(range(30))
    with pytest.raises(BlockingIOError):
        list(outcomes_in_order(stages(), range(30), workers=2))


def test_what_cannot_be_handed_over_is_done_here(stages, monkeypatch):
    work = stages()
    work.frames.held = lambda: None
    monkeypatch.setattr(helping, "frame_processes", lambda *given: pytest.fail("a process"))
    assert len(list(outcomes_in_order(work, range(30), lanes=2, helpers=1))) == 30


@pytest.mark.parametrize(
    ("cores", "threads", "batches", "device", "expected"),
    [(1, 0, 9999, "cpu", 0), (2, 0, 99, "cpu", 0), (2, 0, 100, "cpu", 1), (2, 2, 9999, "cpu", 0),
     (4, 0, 9999, "cpu", 3), (4, 0, 160, "cpu", 2), (64, 0, 9999, "cpu", 3),
     (8, 4, 9999, "cpu", 1), (64, 0, 9999, "cuda", 0)],
)  # fmt: skip
def test_how_many_are_worth_it(monkeypatch, cores, threads, batches, device, expected):
    monkeypatch.setattr(lanes, "available_cores", lambda: cores)
    assert helper_count(batches, threads, device) == expected


def test_nobody_is_helped_who_did_not_ask_or_has_frames_in_memory(
    host, series, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    monkeypatch.setattr(api, "helper_count", lambda batches, threads, device: 3)
    monkeypatch.setattr(api, "available_cores", lambda: 8)
    pipeline = ds.Pipeline("find", host=host)
    lying = series(200)
    lying.paths = (tmp_path / "a.png",)
    for frames, workers, expected in (
        (lying, 0, 3), (lying, 1, 0), (lying, 4, 0), (series(200), 0, 0),
    ):  # fmt: skip
        chosen = api.RunSettings(workers=workers)
        monkeypatch.setattr(pipeline, "_plan", lambda *given: {})
        session = pipeline._session(frames, tmp_path / "run", chosen, None, [])
        assert session.helpers == expected
        assert session.runtime.threads == (2 if expected or workers == 4 else 4)


@pytest.mark.parametrize("file", ["<stdin>", None])
def test_a_script_that_lies_in_no_file_is_not_helped(host, series, tmp_path, monkeypatch, file):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    monkeypatch.setattr(api, "helper_count", lambda batches, threads, device: 3)
    frames = series(200)
    frames.paths = (tmp_path / "a.png",)
    pipeline = ds.Pipeline("find", host=host)
    assert pipeline._helpers(frames, api.RunSettings(workers=0)) == 3
    monkeypatch.setattr(sys.modules["__main__"], "__file__", file)
    assert pipeline._helpers(frames, api.RunSettings(workers=0)) == 0
