"""Working on frames here, in processes and on a cluster: the same results, the same errors."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile

import defectscope as ds
from defectscope.core.errors import WorkersLostError
from defectscope.core.frame_rows import joined_table
from defectscope.core.tables import DETECTION_COLUMNS
from defectscope.pipeline import execute
from defectscope.pipeline.execute import outcomes_in_order
from defectscope.pipeline.processes import in_processes
from defectscope.pipeline.stages import FrameStages, NamedComponent
from defectscope.plugins.testing import isolated_host

PLAIN = {"overlay": False, "figures": False}
MODULE = "components_of_the_execution_tests"

# In a file of its own, since worker processes import components by name.
COMPONENTS = '''
import os
import time

import numpy as np
from pydantic import Field

import defectscope as ds


class Series(ds.FrameSequence):
    """Frames made from their index; notes in a file which process unpickles it."""

    def __init__(self, count, notes=None, damaged=()):
        self.indices = tuple(range(100, 100 + count))
        self.names = tuple(f"f{k}.png" for k in self.indices)
        self.warnings, self.notes, self.damaged = [], notes, damaged

    def read(self, position):
        if position in self.damaged:
            raise ds.DamagedFrameError(f"{self.names[position]}: the file is truncated")
        if position == 5:
            self.warnings.append("frame 5 is odd")
        return np.random.default_rng(position).integers(0, 255, (20, 24), dtype=np.uint8)

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.notes:
            with open(self.notes, "a") as stream:
                stream.write(f"{os.getpid()}\\n")


class FindOptions(ds.Options):
    fail_on: int = Field(-1, description="frame index on which to fail")
    how: str = Field("", description="how to fail")


class Find(ds.Detector):
    """One box a frame, whose place depends on the pixels."""

    Options = FindOptions
    defect_types = ("black dot",)
    busy = False

    def detect(self, frames):
        if self.busy:
            raise RuntimeError("two threads share a component")
        self.busy = True
        time.sleep(0.002)
        found = [self.one(frame) for frame in frames]
        self.busy = False
        return found

    def one(self, frame):
        if frame.index == self.options.fail_on:
            if self.options.how == "die":
                os._exit(3)
            if self.options.how == "package":
                raise ds.MissingPackageError("torch", "torch", "'find'")
            if self.options.how == "option":
                raise ds.OptionError("the weights are for another detector")
            raise RuntimeError("no\\nidea")
        x = float(frame.pixels.mean() / 20)
        return ds.Instances(frame.shape, [[x, x, x + 3, x + 4]], defect_types="black dot")
'''


@pytest.fixture
def stages(components):
    def make(count=10, notes=None, damaged=(), **options):
        detector = components.Find(components.FindOptions(**options))
        frames = components.Series(count, None if notes is None else str(notes), damaged)
        return FrameStages(frames, NamedComponent("find", detector))

    return make


def indices(outcomes):
    return [outcome.index - 100 for outcome in outcomes]


def tables(outcomes):
    return joined_table(
        [o.rows.detections for o in outcomes if o.rows is not None], DETECTION_COLUMNS
    )


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_one_worker_keeps_the_order(stages, batch_size):
    positions = [4, 0, 7, 2]
    outcomes = list(outcomes_in_order(stages(), positions, batch_size))
    assert indices(outcomes) == positions
    assert all(o.error is None and len(o.rows) == 1 for o in outcomes)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_positions_are_no_outcomes(stages, workers):
    assert list(outcomes_in_order(stages(), [], workers=workers)) == []


def test_here_components_are_closed_at_the_end_also_of_half_a_run(stages):
    work = stages()
    outcomes = outcomes_in_order(work, range(5))
    next(outcomes)
    assert work._stack is not None
    outcomes.close()
    assert work._stack is None


def test_processes_give_what_one_gives_in_the_same_order(stages, tmp_path):
    notes = tmp_path / "notes.txt"
    positions = [9, 0, 8, 1, 7, 2, 6, 3, 5, 4]
    here = list(outcomes_in_order(stages(damaged=(3,)), positions))
    there = list(outcomes_in_order(stages(damaged=(3,), notes=notes), positions, 2, workers=2))
    assert indices(there) == indices(here) == positions
    pd.testing.assert_frame_equal(tables(there), tables(here))
    assert [o.error for o in there] == [o.error for o in here]
    assert there[7].error == "f103.png: the file is truncated"
    assert [text for o in there for text in o.warnings] == ["frame 5 is odd"]
    # The series went to each process once, not with every batch.
    pids = notes.read_text().split()
    assert len(pids) == len(set(pids)) <= 2
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        (
            "raise",
            ds.ComponentError,
            r"'find' \(fail_on=102, .* on f102\.png: RuntimeError: no idea",
        ),
        ("option", ds.OptionError, "^the weights are for another detector$"),
        ("package", ds.MissingPackageError, r'pip install "defectscope\[torch\]"'),
    ],
)
def test_errors_of_a_process_are_those_of_one_worker(stages, how, kind, message):
    work = stages(fail_on=102, how=how)
    with pytest.raises(kind, match=message) as here:
        list(outcomes_in_order(work, range(4)))
    payload = pickle.dumps(stages(fail_on=102, how=how))
    with in_processes(payload, 1) as (submit, _), pytest.raises(kind) as there:
        list(execute._in_order(work, submit, [[0], [1], [2], [3]], 2))
    assert str(there.value) == str(here.value)
    assert type(there.value) is type(here.value) is kind


def test_a_process_that_dies_is_one_sentence(stages):
    with pytest.raises(WorkersLostError, match=r"a worker process died.*fewer --workers$"):
        list(outcomes_in_order(stages(fail_on=102, how="die"), range(8), workers=2))


@pytest.fixture
def shipped():
    from defectscope.detectors import plugin as detectors
    from defectscope.readers import plugin as readers

    return isolated_host(detectors, readers)


def write_stack(path, count=9):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:48, :56] + 0.5
    frames = []
    for k in range(count):
        image = 150 + 8 * rng.standard_normal((48, 56))
        for cx, cy in ((15 + k, 14), (38, 34)):
            image -= 90 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 30)
        frames.append(np.clip(image, 0, 255).astype(np.uint8))
    tifffile.imwrite(path, np.stack(frames), photometric="minisblack")


def test_a_run_gives_the_same_files_with_two_workers(shipped, tmp_path):
    write_stack(tmp_path / "stack.tif")
    frames = ds.open(tmp_path / "stack.tif", host=shipped, pixel_size_nm=0.5)
    for workers in (1, 2):
        pipeline = ds.Pipeline("dark-blobs", host=shipped, threads=1)
        result = pipeline.run(frames, tmp_path / str(workers), workers=workers, **PLAIN)
        assert result.frames["count"].min() >= 2
    for name in ("detections.parquet", "geometry.parquet", "frames.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as local:
        yield local.scheduler_address


def test_a_cluster_gives_what_one_worker_gives(stages, cluster):
    positions = [9, 0, 8, 1, 7, 2, 6, 3, 5, 4]
    here = list(outcomes_in_order(stages(damaged=(3,)), positions))
    # Two threads a worker, of which none may use a component while another does.
    there = list(outcomes_in_order(stages(damaged=(3,)), positions, dask=cluster))
    assert indices(there) == positions
    pd.testing.assert_frame_equal(tables(there), tables(here))
    assert [o.error for o in there] == [o.error for o in here]


def test_errors_of_a_cluster_are_those_of_one_worker(stages, cluster):
    for how, kind in (("raise", ds.ComponentError), ("package", ds.MissingPackageError)):
        with pytest.raises(kind) as here:
            list(outcomes_in_order(stages(fail_on=102, how=how), range(4)))
        with pytest.raises(kind) as there:
            list(outcomes_in_order(stages(fail_on=102, how=how), range(4), dask=cluster))
        assert str(there.value) == str(here.value)
        assert type(there.value) is kind


def test_two_runs_on_one_cluster_do_not_mix(stages, cluster):
    first = list(outcomes_in_order(stages(), range(6), dask=cluster))
    with pytest.raises(ds.OptionError):
        list(outcomes_in_order(stages(fail_on=100, how="option"), range(6), dask=cluster))
    again = list(outcomes_in_order(stages(), range(6), dask=cluster))
    pd.testing.assert_frame_equal(tables(first), tables(again))


def test_a_run_on_a_cluster_gives_the_same_tables(shipped, cluster, tmp_path):
    write_stack(tmp_path / "stack.tif")
    results = []
    for name, more in (("here", {}), ("there", {"dask": cluster})):
        frames = ds.open(tmp_path / "stack.tif", host=shipped)
        pipeline = ds.Pipeline("dark-blobs", host=shipped, threads=1)
        results.append(pipeline.run(frames, tmp_path / name, **more, **PLAIN))
    here, there = results
    pd.testing.assert_frame_equal(here.detections, there.detections)
    pd.testing.assert_frame_equal(here.frames, there.frames)


@pytest.mark.parametrize("address", ["nonsense", "", "zzz://here:1", "tcp://127.0.0.1:1"])
def test_an_address_without_a_scheduler_is_one_sentence(stages, address, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(execute, "CONNECT_S", 0.3)
    with pytest.raises(ds.UsageError, match=f"no Dask scheduler answers at '{address}': "):
        list(outcomes_in_order(stages(), range(3), dask=address))


def test_without_dask_it_is_said_what_to_install(stages, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ds.MissingPackageError, match=r'pip install "defectscope\[dask\]"'):
        list(outcomes_in_order(stages(), range(3), dask="tcp://somewhere:8786"))


def test_no_more_batches_wait_than_asked_for():
    submitted, done = [], []

    def submit(batch):
        submitted.append(batch)
        return SimpleNamespace(result=lambda: batch, cancel=lambda: done.append(batch))

    outcomes = execute._in_order(None, submit, [[k] for k in range(10)], 3)
    assert [next(outcomes) for _ in range(4)] == [0, 1, 2, 3]
    assert len(submitted) <= 4 + 3
    outcomes.close()
    # What nobody will ask for any more is given up.
    assert [batch[0] for batch in done] == list(range(4, len(submitted)))


@pytest.mark.parametrize("kind", ["killed", "cancelled"])
def test_a_cluster_that_is_lost_is_one_sentence(stages, kind):
    scheduler = pytest.importorskip("distributed.scheduler")
    error = CancelledError() if kind == "cancelled" else scheduler.KilledWorker("task", None, 3)

    def submit(batch):
        future = Future()
        future.set_exception(error)
        return future

    with pytest.raises(WorkersLostError, match="the Dask cluster lost a worker"):
        list(execute._in_order(stages(), submit, [[0]], 2))
    error = RuntimeError("mine")
    with pytest.raises(RuntimeError, match="mine"):
        list(execute._in_order(stages(), submit, [[0]], 2))


SCRIPT = """
import signal, sys
if __name__ != "__main__":
    # In one piece: two processes write here at once.
    sys.stderr.write(f"started {signal.getsignal(signal.SIGINT) is signal.SIG_IGN}\\n")
else:
    import numpy as np
    import defectscope as ds
    from defectscope.pipeline.generating import generate
    pixels = np.random.default_rng(0).integers(0, 9, (6, 20, 24), "u1")
    frames = [ds.Frame(plane, k) for k, plane in enumerate(pixels)]
    ds.Pipeline("dark-blobs", analyses=[]).run(frames, workers=2, overlay=False, figures=False)
    generate("loops", "data", count=2, size=96, workers=2)
    print("kept", signal.getsignal(signal.SIGINT) is signal.default_int_handler, file=sys.stderr)
"""


def test_ctrl_c_does_not_reach_processes_that_are_starting(tmp_path):
    # They import the script first of all.
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
        timeout=300,
    )  # fmt: skip
    said = done.stderr.splitlines()
    assert len(said) >= 3
    assert said == ["started True"] * (len(said) - 1) + ["kept True"]
