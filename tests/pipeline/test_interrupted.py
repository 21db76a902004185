"""Runs that end early, at every stage, and are taken up again: nothing finished is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from types import SimpleNamespace

import pandas as pd
import pytest

import defectscope as ds
from defectscope.core import patience
from defectscope.pipeline import parts, session
from defectscope.pipeline.runfolder import RunFolder

PLAIN = {"overlay": False, "figures": False}
TABLES = ("detections.parquet", "geometry.parquet", "tracks.parquet", "frames.csv", "particles.csv")


@pytest.fixture
def pipeline(host):
    return ds.Pipeline("find", ["axes"], "by-rank", host=host)


@pytest.fixture
def whole(pipeline, series, tmp_path):
    """A run in one go, to compare with."""
    pipeline.run(series(6, damaged=(2,)), tmp_path / "whole", **PLAIN)
    return tmp_path / "whole"


def same(one, other):
    for name in TABLES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def raising(error):
    def stop(*_, **__):
        raise error

    return stop


STAGES = ("track_detections", "write_overlays", "write_findings")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ds.ComponentError("no idea")])
def test_a_stop_after_the_tables_were_joined(
    pipeline, series, tmp_path, whole, monkeypatch, stage, error
):
    with monkeypatch.context() as patch:
        patch.setattr(session, stage, raising(error))
        with pytest.raises(type(error)):
            pipeline.run(series(6, damaged=(2,)), tmp_path / "run")
    before = ds.load_run(tmp_path / "run").detections
    pipeline.run(series(6, damaged=(2,)), tmp_path / "run", resume=True, **PLAIN)
    same(tmp_path / "run", whole)
    pd.testing.assert_frame_equal(before, ds.load_run(tmp_path / "run").detections)


def test_figures_of_a_run_that_failed_go_with_it(host, series, tmp_path):
    pipeline = ds.Pipeline("find", ["axes"], "by-rank", host=host)

    def stop(stage, done, total):
        if stage == "overlay" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(series(3), tmp_path / "run", progress=stop)
    figures = tmp_path / "run/figures"
    assert any(figures.iterdir())
    pipeline.run(series(3), tmp_path / "run", overwrite=True, **PLAIN)
    assert not figures.exists()


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_with_csv(pipeline, series, tmp_path, monkeypatch, stage):
    csv = {"table_format": "csv"}
    pipeline.run(series(6), tmp_path / "whole", **csv, **PLAIN)
    with monkeypatch.context() as patch:
        patch.setattr(session, stage, raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(series(6), tmp_path / "run", **csv)
    assert len(pd.read_csv(tmp_path / "run/detections.csv")) == 18
    pipeline.run(series(6), tmp_path / "run", resume=True, **csv, **PLAIN)
    for name in ("detections.csv", "tracks.csv", "frames.csv"):
        one, other = tmp_path / "run" / name, tmp_path / "whole" / name
        assert one.read_bytes() == other.read_bytes()


def test_resume_of_a_complete_run_leaves_it_as_it_is(pipeline, series, tmp_path, whole):
    shutil.copytree(whole, tmp_path / "copy")
    result = pipeline.run(series(6, damaged=(2,)), whole, resume=True, **PLAIN)
    same(whole, tmp_path / "copy")
    assert len(result.detections) == 15


@pytest.mark.parametrize("left", ["parts", "both", "joined"])
def test_a_kill_between_the_renames(pipeline, series, tmp_path, whole, left):
    """As `finish` leaves it when it is killed before, between and after its two renames."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "tracks.parquet").unlink()
    for name in ("detections", "geometry"):
        path = run / f"{name}.parquet"
        folder = run / f".{name}.parquet.parts"
        folder.mkdir()
        table = ds.load_run(whole)
        getattr(table, name).to_parquet(folder / "part-00000000.parquet", index=False)
        if left == "parts":
            path.unlink()
        elif left == "both":
            path.rename(run / f".{name}.parquet.joined")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "status": "running"}))
    pipeline.run(series(6, damaged=(2,)), run, resume=True, **PLAIN)
    same(run, whole)
    assert not [path.name for path in run.iterdir() if path.name.startswith(".")]


def test_what_a_kill_left_half_written_is_cleared(pipeline, series, tmp_path, whole):
    for name in (".overlay-0123456789.mp4", ".detections-abcdef0123.parquet"):
        (whole / name).write_bytes(b"half")
    (whole / ".geometry.parquet.joined").write_bytes(b"aside")
    (whole / ".detections.parquet.parts").mkdir()
    (whole / ".detections.parquet.parts" / "part-00000000.parquet").write_bytes(b"aside")
    for name in (".thesis-notes.txt", ".run.json.swp"):
        (whole / name).write_text("mine")
    pipeline.run(series(2), whole, overwrite=True, **PLAIN)
    left = sorted(path.name for path in whole.iterdir() if path.name.startswith("."))
    assert left == [".run.json.swp", ".thesis-notes.txt"]


def test_damaged_frames_warnings_and_times_survive_a_resume(
    pipeline, series, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(session, "track_detections", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(series(6, damaged=(2,)), tmp_path / "run", **PLAIN)
    result = pipeline.run(series(6, damaged=(2,)), tmp_path / "run", resume=True, **PLAIN)
    assert "frame002.png" in result.info["damaged_frames"][0]
    assert result.info["timings_s"]["find"] > 0


def cut(run, frames, whole):
    """Leave a run as a kill does after so many frames: run.json knows of none of them."""
    tables = ds.load_run(whole)
    shutil.copytree(whole, run)
    (run / "tracks.parquet").unlink(missing_ok=True)
    for name in ("detections", "geometry"):
        (run / f"{name}.parquet").unlink()
        (run / f"{name}.parquet").mkdir()
        table = getattr(tables, name)
        table[table["frame"] < frames].to_parquet(run / f"{name}.parquet/part-00000000.parquet")
    lines = (run / "frames.csv").read_text().splitlines(keepends=True)
    (run / "frames.csv").write_text("".join(lines[: frames + 1]))
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(
        json.dumps({**info, "status": "running", "damaged_frames": [], "warnings": []})
    )


def test_damaged_frames_survive_a_kill(pipeline, series, tmp_path):
    frames = series(6, damaged=(1, 4))
    pipeline.run(frames, tmp_path / "whole", **PLAIN)
    cut(tmp_path / "run", 3, tmp_path / "whole")
    shutil.copytree(tmp_path / "run", tmp_path / "strict")
    result = pipeline.run(frames, tmp_path / "run", resume=True, **PLAIN)
    assert result.info["damaged_frames"] == [
        "frame001.png: damaged", "frame004.png: the file is truncated",
    ]  # fmt: skip
    same(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(ds.DamagedFrameError, match=r"frame001\.png"):
        pipeline.run(frames, tmp_path / "strict", resume=True, strict=True, **PLAIN)


def test_what_was_said_is_kept_with_every_part(pipeline, series, tmp_path, monkeypatch):
    seen = []

    def joined(self):
        seen.append(json.loads((tmp_path / "run/run.json").read_text())["damaged_frames"])
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "COMMIT_FRAMES", 2)
    monkeypatch.setattr(session.Session, "_join_tables", joined)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(series(6, damaged=(1,)), tmp_path / "run", **PLAIN)
    assert seen == [["frame001.png: the file is truncated"]]


def test_a_run_of_damaged_frames_alone_is_said_after_a_kill(host, series, tmp_path):
    pipeline = ds.Pipeline("find", host=host)
    with pytest.raises(ds.InputError, match="none of 3 frames"):
        pipeline.run(series(3, damaged=(0, 1, 2)), tmp_path / "run", **PLAIN)
    info = json.loads((tmp_path / "run/run.json").read_text())
    (tmp_path / "run/run.json").write_text(json.dumps({**info, "damaged_frames": []}))
    with pytest.raises(ds.InputError, match=r"none of 3 frames .*frame000\.png: damaged"):
        pipeline.run(series(3, damaged=(0, 1, 2)), tmp_path / "run", resume=True, **PLAIN)


def test_a_frame_at_which_a_strict_run_stopped_is_told_once(pipeline, series, tmp_path):
    frames = series(4, damaged=(2,))
    with pytest.raises(ds.DamagedFrameError):
        pipeline.run(frames, tmp_path / "run", strict=True, **PLAIN)
    result = pipeline.run(frames, tmp_path / "run", resume=True, **PLAIN)
    assert result.info["damaged_frames"] == ["frame002.png: the file is truncated"]


def test_strict_also_stops_at_a_frame_that_was_damaged_before(pipeline, series, tmp_path):
    frames = series(6, damaged=(2,))
    pipeline.run(frames, tmp_path / "run", **PLAIN)
    info = json.loads((tmp_path / "run/run.json").read_text())
    (tmp_path / "run/run.json").write_text(json.dumps({**info, "status": "interrupted"}))
    with pytest.raises(ds.DamagedFrameError, match=r"frame002\.png"):
        pipeline.run(frames, tmp_path / "run", resume=True, strict=True, **PLAIN)


def test_another_format_is_another_plan(pipeline, series, tmp_path):
    pipeline.run(series(2), tmp_path / "run", table_format="csv", **PLAIN)
    info = json.loads((tmp_path / "run/run.json").read_text())
    (tmp_path / "run/run.json").write_text(json.dumps({**info, "status": "interrupted"}))
    with pytest.raises(ds.UsageError, match=r"cannot be resumed.*table_format"):
        pipeline.run(series(2), tmp_path / "run", resume=True, **PLAIN)


def test_a_refusal_names_what_differs(host, pipeline, series, tmp_path):
    pipeline.run(series(3), tmp_path / "run", **PLAIN)
    other = ds.Pipeline("find", ["axes"], "by-rank", options={"find": {"boxes": 4}}, host=host)
    with pytest.raises(ds.UsageError, match=r"find\.boxes was 3, now it is 4"):
        other.run(series(3), tmp_path / "run", resume=True, **PLAIN)
    with pytest.raises(ds.UsageError, match=r"frames were 3 \(0 to 2\), now they are 4 \(0 to 3\)"):
        pipeline.run(series(4), tmp_path / "run", resume=True, **PLAIN)


def test_a_run_without_its_table_of_frames(pipeline, series, tmp_path, whole):
    info = json.loads((whole / "run.json").read_text())
    (whole / "run.json").write_text(json.dumps({**info, "status": "interrupted"}))
    (whole / "frames.csv").unlink()
    with pytest.raises(ds.FormatError, match=r"frames\.csv.*--overwrite"):
        pipeline.run(series(6, damaged=(2,)), whole, resume=True, **PLAIN)


def test_fewer_rows_than_the_joined_table(pipeline, series, tmp_path, whole):
    info = json.loads((whole / "run.json").read_text())
    (whole / "run.json").write_text(json.dumps({**info, "status": "interrupted"}))
    lines = (whole / "frames.csv").read_text().splitlines(keepends=True)
    (whole / "frames.csv").write_text("".join(lines[:3]))
    with pytest.raises(ds.FormatError, match=r"frames\.csv.*--overwrite"):
        pipeline.run(series(6, damaged=(2,)), whole, resume=True, **PLAIN)
    assert len(ds.load_run(whole).detections) == 15


def test_resume_without_a_run_says_so(pipeline, series, tmp_path):
    result = pipeline.run(series(2), tmp_path / "typo", resume=True, **PLAIN)
    assert any("no run" in text for text in result.warnings)


def test_a_foreign_run_json_protects_its_folder(pipeline, series, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/my.png").write_text("mine")
    (tmp_path / "run.json").write_text('{"tool": "another"}')
    with pytest.raises(ds.OutputError, match="something else than a run"):
        pipeline.run(series(2), tmp_path, overwrite=True, **PLAIN)
    assert (tmp_path / "figures/my.png").exists()


def test_overwriting_leaves_strange_figures_alone(pipeline, series, tmp_path):
    pipeline.run(series(2), tmp_path / "run")
    (tmp_path / "run/figures/mine.png").write_text("mine")
    pipeline.run(series(2), tmp_path / "run", overwrite=True, **PLAIN)
    assert [p.name for p in (tmp_path / "run/figures").iterdir()] == ["mine.png"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_in_the_middle_of_writing(pipeline, series, tmp_path, whole, monkeypatch, moment):
    """A signal that arrives while rows are written takes effect when they are."""
    commit = RunFolder.commit

    def interrupted(self, start, outcomes, rows):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGINT)
        commit(self, start, outcomes, rows)
        if moment == "after":
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(session, "COMMIT_FRAMES", 2)
        patch.setattr(RunFolder, "commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(series(6, damaged=(2,)), tmp_path / "run", **PLAIN)
    assert pd.read_csv(tmp_path / "run/frames.csv")["frame"].tolist() == [0, 1]
    pipeline.run(series(6, damaged=(2,)), tmp_path / "run", resume=True, **PLAIN)
    same(tmp_path / "run", whole)


def test_windows_denies_the_table_of_frames_for_a_moment(
    pipeline, series, tmp_path, whole, monkeypatch
):
    table, real, denied = tmp_path / "run" / "frames.csv", os.fsync, []

    def fsync(handle):
        if len(denied) < 2 and os.path.samestat(os.fstat(handle), table.stat()):
            denied.append(handle)
            raise PermissionError(errno.EACCES, "used by another process")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(patience, "sys", SimpleNamespace(platform="win32"))
    pipeline.run(series(6, damaged=(2,)), tmp_path / "run", **PLAIN)
    assert len(denied) == 2
    same(tmp_path / "run", whole)


def test_rows_that_were_appended_twice_are_mended(pipeline, series, tmp_path, whole):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "tracks.parquet").unlink()
    lines = (run / "frames.csv").read_text().splitlines(keepends=True)
    (run / "frames.csv").write_text("".join([*lines[:4], *lines[2:]]))
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "status": "running"}))
    pipeline.run(series(6, damaged=(2,)), run, resume=True, **PLAIN)
    same(run, whole)


def test_join_is_done_once(tmp_path):
    table = parts.GrowingTable(tmp_path / "t.parquet", {"frame": "int64"})
    table.append(0, pd.DataFrame({"frame": [1, 2]}))
    first = table.finish().read_bytes()
    assert table.finish().read_bytes() == first
