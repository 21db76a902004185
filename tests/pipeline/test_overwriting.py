"""What a run leaves that was to replace another, or the same after a correction."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

import defectscope as ds
from defectscope.pipeline import former_run, session
from defectscope.pipeline.run_owner import other_owner, write_owner
from defectscope.pipeline.runfolder import RunFolder

PLAIN = {"overlay": False, "figures": False}


@pytest.fixture
def pipeline(host):
    return ds.Pipeline("find", ["axes"], "by-rank", host=host)


@pytest.fixture
def run(pipeline, series, tmp_path):
    """A finished run with a figure of its own and one of somebody else."""
    run = tmp_path / "run"
    pipeline.run(series(4), run, **PLAIN)
    (run / "figures").mkdir()
    for name in ("map.png", "mine.png"):
        (run / "figures" / name).write_text(name)
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "figures": ["map.png"]}))
    return run


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")
            if path.is_file()}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"roi": (0, 0, 90, 40)}, {}),
        ({"masks": ["0,0,90,10"]}, {}),
        ({"dask": "tcp://127.0.0.1:1"}, {}),
        ({}, {"odd": 2}),
        ({"strict": True}, {"damaged": (0,)}),
        ({}, {"damaged": (0, 1, 2)}),
    ],
)
def test_what_a_refused_run_was_to_replace_stays(
    pipeline, series, run, monkeypatch, settings, given
):
    if "dask" in settings:
        pytest.importorskip("distributed")
        monkeypatch.setattr("defectscope.pipeline.execute.CONNECT_S", 0.2)
    before = contents(run)
    with pytest.raises(ds.DefectscopeError):
        pipeline.run(series(3, **given), run, overwrite=True, **settings, **PLAIN)
    assert contents(run) == before


def test_a_finished_frame_replaces_a_run(host, series, run):
    broken = ds.Pipeline("find", ["axes"], options={"find": {"fail_on": 1}}, host=host)
    with pytest.raises(ds.ComponentError):
        broken.run(series(3), run, overwrite=True, **PLAIN)
    assert ds.load_run(run).frames["frame"].tolist() == [0]
    names = {"frames.csv", "run.json", "detections.parquet", "geometry.parquet", "figures"}
    assert {path.name for path in run.iterdir()} == names
    assert [path.name for path in (run / "figures").iterdir()] == ["mine.png"]


def test_ctrl_c_before_the_first_frame_is_finished(pipeline, series, run, monkeypatch):
    before = contents(run)
    monkeypatch.setattr(
        session.Session, "_detect", lambda *given: os.kill(os.getpid(), signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(series(3), run, overwrite=True, **PLAIN)
    assert contents(run) == before


def test_a_full_disk_leaves_the_former_run(pipeline, series, run, monkeypatch):
    def full(*given):
        raise ds.OutputError("No space left on device")

    def filled(self, *given):
        monkeypatch.setattr(RunFolder, "write_info", full)
        full()

    before = contents(run)
    monkeypatch.setattr(RunFolder, "commit", filled)
    with pytest.raises(ds.OutputError, match="No space left"):
        pipeline.run(series(3), run, overwrite=True, **PLAIN)
    assert contents(run) == before


def test_a_run_that_is_being_replaced_is_left_alone(pipeline, series, run, monkeypatch):
    """Another process knows one that has not finished a frame yet from one that was killed."""
    owner, detect = run / ".former-run/owner", session.Session._detect

    def detecting(self, *given):
        own = owner.read_text()
        owner.write_text(own.replace(str(os.getpid()), str(os.getppid())))
        before = contents(run)
        for settings in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(ds.OutputError, match=r"is being replaced by another \(process \d+ "
                               rf"on .*delete {re.escape(str(owner))} and run again$"):  # fmt: skip
                pipeline.run(series(4), run, **settings, **PLAIN)
        assert contents(run) == before
        owner.write_text(own)
        detect(self, *given)

    monkeypatch.setattr(session.Session, "_detect", detecting)
    assert len(pipeline.run(series(3), run, overwrite=True, **PLAIN).frames) == 3
    assert not owner.parent.exists()


def test_the_owner_of_a_folder(tmp_path):
    path = tmp_path / "owner"
    assert other_owner(path) is None
    write_owner(path)
    assert other_owner(path) is None  # this very process
    own = path.read_text()
    path.write_text(own.replace(str(os.getpid()), str(os.getppid())))
    assert other_owner(path) == f"process {os.getppid()} on {platform.node()}"
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    path.write_text(own.replace(str(os.getpid()), str(ended.pid)))
    assert other_owner(path) is None
    path.write_text("7 elsewhere\n")
    assert other_owner(path) == "process 7 on elsewhere"
    path.write_text("")  # killed while it was written
    assert other_owner(path) is None


def test_a_run_whose_folder_was_taken_leaves_it_as_it_is(pipeline, series, tmp_path):
    run, taken = tmp_path / "run", {}

    def take(stage, done, total):
        if not taken:
            taken["running"] = True
            pipeline.run(series(2), run, **PLAIN)  # there is no result that it would replace
            taken.update(contents(run))

    with pytest.raises(ds.OutputError, match=r"another run has taken the folder.*another --out"):
        pipeline.run(series(4), run, progress=take, **PLAIN)
    del taken["running"]
    assert contents(run) == taken


class Killed(BaseException):
    """In place of a signal that nothing can catch."""


@pytest.mark.parametrize("step", [0, 1, 5, 12, 13, 15, 18])
def test_a_kill_at_any_step_loses_neither_run(pipeline, series, run, tmp_path, step, monkeypatch):
    """Each file is moved or deleted in one step; the next start finds one run or the other."""
    former, steps, begun = contents(run), iter(range(step)), []

    def counted(call):
        def counting(*given):
            if next(steps, None) is None:
                raise Killed
            return call(*given)

        return counting

    commit, settle = RunFolder.commit, RunFolder.settle
    with monkeypatch.context() as patch:
        for name in ("_move", "_delete"):
            patch.setattr(former_run, name, counted(getattr(former_run, name)))
        # Nobody tidies up where a program is killed.
        patch.setattr(RunFolder, "settle", lambda self: None)
        patch.setattr(RunFolder, "commit", lambda *given: (begun.append(1), commit(*given)))
        with suppress(Killed):
            pipeline.run(series(2), run, overwrite=True, **PLAIN)
    if not begun:
        settle(RunFolder(run))
        assert contents(run) == former
    pipeline.run(series(2), run, resume=bool(begun), overwrite=not begun, **PLAIN)
    pipeline.run(series(2), tmp_path / "new", **PLAIN)
    for name in ("frames.csv", "detections.parquet", "tracks.parquet"):
        assert (run / name).read_bytes() == (tmp_path / "new" / name).read_bytes()
    assert not (run / ".former-run").exists()


@pytest.mark.parametrize(
    ("settings", "odd"), [({"roi": (0, 0, 90, 40)}, None), ({}, 1), ({"roi": (9, 9, 5, 5)}, None)]
)
def test_a_refused_first_run_is_not_in_the_way(pipeline, series, tmp_path, settings, odd):
    with pytest.raises(ds.UsageError):
        pipeline.run(series(2, odd=odd), tmp_path / "run", **settings, **PLAIN)
    assert len(pipeline.run(series(2), tmp_path / "run", **PLAIN).frames) == 2


def test_corners_are_checked_before_there_is_a_folder(pipeline, series, tmp_path):
    with pytest.raises(ds.OptionError, match="X0 < X1"):
        pipeline.run(series(2), tmp_path / "run", roi=(9, 9, 5, 5), **PLAIN)
    assert not (tmp_path / "run").exists()
