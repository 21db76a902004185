"""Who is at work in a run folder, and who may say that nobody is any more."""

import os
import platform
import subprocess
import sys

import pytest

import defectscope as ds
from defectscope.pipeline import run_owner
from defectscope.pipeline.run_owner import OWNER, RunOwner, write_owner
from defectscope.pipeline.runfolder import RunFolder

PLAIN = {"overlay": False, "figures": False}
ELSEWHERE = "7 elsewhere\n"


@pytest.fixture
def owner(tmp_path):
    return RunOwner(tmp_path)


def test_what_another_process_says_stays(owner, tmp_path):
    path = tmp_path / OWNER
    owner.take()
    path.write_text(ELSEWHERE)
    owner.release()
    os.utime(path, (0, 0))
    owner.keep()
    assert (path.read_text(), path.stat().st_mtime) == (ELSEWHERE, 0)
    owner.take()
    owner.release()
    assert not path.exists()


def test_a_run_whose_folder_was_taken_leaves_it_to_the_other(host, series, tmp_path):
    pipeline, run = ds.Pipeline("find", host=host), tmp_path / "run"

    def be_replaced(stage, done, total):
        if stage == "detect" and done == 2:
            (run / OWNER).write_text(ELSEWHERE)
            (run / "run.json").write_text('{"status": "running", "session": "other", "plan": {}}')

    with pytest.raises(ds.OutputError, match="another run has taken the folder"):
        pipeline.run(series(3), run, progress=be_replaced, **PLAIN)
    assert (run / OWNER).read_text() == ELSEWHERE


def test_one_at_work_says_so_again_and_is_never_without_an_owner(owner, tmp_path, monkeypatch):
    path, seen = tmp_path / OWNER, []
    owner.take()
    os.utime(path, (0, 0))
    # A reader at the wrong moment would find an empty file, and take that for nobody.
    monkeypatch.setattr(run_owner, "write_owner", seen.append)
    show = owner.kept_by(lambda *given: seen.append(given))
    show("detect", 1, 2)
    assert path.stat().st_mtime == 0
    monkeypatch.setattr(run_owner, "KEEP_S", -1.0)
    show("detect", 2, 2)
    assert path.stat().st_mtime > 0
    assert seen == [("detect", 1, 2), ("detect", 2, 2)]


def test_whether_anybody_is_at_work(owner, tmp_path):
    assert not owner.is_at_work()
    owner.take()
    assert owner.is_at_work()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    path = tmp_path / OWNER
    path.write_text(path.read_text().replace(str(os.getpid()), str(ended.pid)))
    assert not owner.is_at_work()
    path.write_text(ELSEWHERE)
    assert owner.is_at_work()
    os.utime(path, (0, 0))
    assert not owner.is_at_work()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells it so")
def test_one_that_was_killed_and_never_waited_for_is_not_at_work(owner, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / OWNER).write_text(f"{process.pid} {platform.node()}\n")
        with pytest.raises(ds.OutputError, match="another run is at work"):
            owner.expect_no_other()
        process.kill()
        # Ended, but left for the parent to ask about.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        owner.expect_no_other()
    finally:
        process.communicate()


def test_a_run_that_cannot_put_back_the_former_one_is_not_at_work_any_more(
    host, series, tmp_path, monkeypatch
):
    def fail(folder):
        raise ds.OutputError("something is in the way")

    pipeline, run = ds.Pipeline("find", host=host), tmp_path / "run"

    def spoil(stage, done, total):
        if stage == "detect":
            assert (run / OWNER).is_file()
            monkeypatch.setattr(RunFolder, "settle", fail)

    with pytest.raises(ds.OutputError, match="in the way"):
        pipeline.run(series(3), run, progress=spoil, **PLAIN)
    assert not (run / OWNER).exists()


def test_a_half_written_owner_is_nobody(owner, tmp_path):
    (tmp_path / OWNER).write_bytes(b"\xff\xfe")
    owner.expect_no_other()
    assert not owner.is_at_work()
    write_owner(tmp_path / OWNER)
    owner.expect_no_other()
    assert owner.is_at_work()
