"""Input that goes away during a run: nothing of it is lost, and the run goes on when it is back."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.core.calibration import Calibration
from defectscope.pipeline.watched import WatchedFolder

PLAIN = {"overlay": False, "figures": False}
TABLES = ("detections.parquet", "geometry.parquet", "tracks.parquet", "frames.csv", "particles.csv")
COUNT = 12


@pytest.fixture
def folder(tmp_path):
    """Twelve images, of which one is truly damaged."""
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(COUNT):
        pixels = np.random.default_rng(k).integers(0, 256, (48, 64), dtype=np.uint8)
        cv2.imwrite(str(folder / f"f{k:02d}.png"), pixels)
    (folder / "f01.png").write_bytes((folder / "f01.png").read_bytes()[:100])
    return folder


@pytest.fixture
def pipeline(with_readers):
    return ds.Pipeline("find", ["axes"], "by-rank", host=with_readers)


def going(folder, stage):
    """Take the folder away when a stage is at frame 5."""

    def progress(now, done, total):
        if now == stage and done == 5:
            folder.rename(folder.with_name("away"))

    return progress


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("detect", {}),
        ("detect", {"workers": 2}),
        ("detect", {"vote": "2/3"}),
        ("register", {"register": True}),
    ],
)
def test_the_run_fails_and_goes_on_when_the_input_is_back(
    pipeline, with_readers, folder, tmp_path, stage, settings
):
    frames = ds.open(folder, host=with_readers)
    pipeline.run(frames, tmp_path / "whole", **settings, **PLAIN)
    out = tmp_path / "run"
    with pytest.raises(ds.InputGoneError, match=r"^the input .*f\d+\.png has gone \(.*\); bring it "
                       "back, and go on with --resume$"):  # fmt: skip
        pipeline.run(frames, out, progress=going(folder, stage), **settings, **PLAIN)
    left = ds.load_run(out)
    assert left.info["status"].startswith("failed: the input ")
    assert len(left.frames) < COUNT
    assert list(left.frames["frame"][left.frames["status"] == "damaged"]) in ([], [1])
    (tmp_path / "away").rename(folder)
    frames = ds.open(folder, host=with_readers)
    result = pipeline.run(frames, out, resume=True, **settings, **PLAIN)
    assert result.info["status"] == "complete"
    for name in TABLES:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_where_another_run_was_to_be_replaced_there_is_none_to_go_on_with(
    pipeline, with_readers, folder, tmp_path
):
    frames, out = ds.open(folder, host=with_readers), tmp_path / "run"
    pipeline.run(frames, out, **PLAIN)
    settings = {"overwrite": True, "register": True}
    before = (out / "run.json").read_bytes()
    with pytest.raises(ds.InputGoneError, match=r"has gone \(.*\); bring it back; the former run "
                       "stays, run again with --overwrite$"):  # fmt: skip
        pipeline.run(frames, out, progress=going(folder, "register"), **settings, **PLAIN)
    assert (out / "run.json").read_bytes() == before


def test_an_overlay_is_drawn_whole_when_the_input_is_back(pipeline, with_readers, folder, tmp_path):
    frames, out = ds.open(folder, host=with_readers), tmp_path / "run"
    with pytest.raises(ds.InputGoneError, match="go on with --resume"):
        pipeline.run(frames, out, progress=going(folder, "overlay"), figures=False)
    left = ds.load_run(out)
    assert left.info["status"].startswith("failed: the input ")
    assert not (out / "overlay.mp4").exists()
    (tmp_path / "away").rename(folder)
    drawn = []
    frames = ds.open(folder, host=with_readers)
    result = pipeline.run(frames, out, resume=True, figures=False,
                          progress=lambda *step: drawn.append(step))  # fmt: skip
    assert result.info["status"] == "complete"
    assert ("overlay", COUNT - 1, COUNT - 1) in drawn
    assert len(list((out / "figures").glob("overlay_*.png"))) == 3


def test_a_file_that_is_there_and_cannot_be_read_is_a_damaged_frame(
    with_readers, folder, monkeypatch
):
    (folder / "f02.png").unlink()
    (folder / "f02.png").symlink_to(folder / "nowhere.png")
    frames = ds.open(folder, host=with_readers)
    for position in (1, 2):
        with pytest.raises(ds.DamagedFrameError):
            frames[position]
    monkeypatch.setattr(Path, "open", refusing(errno.EACCES))
    with pytest.raises(ds.DamagedFrameError, match=r"f03\.png: cannot be read: no"):
        frames[3]
    for code in (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV):
        monkeypatch.setattr(Path, "open", refusing(code))
        with pytest.raises(ds.InputGoneError, match=r"f03\.png has gone \(no\)"):
            frames[3]


def refusing(code):
    def open_file(self, *given, **named):
        raise OSError(code, "no")

    return open_file


def test_a_watch_counts_a_file_that_has_gone_as_damaged(with_readers, folder):
    now = 100.0
    watched = WatchedFolder(folder, with_readers, Calibration(), lambda: now)
    watched.poll()
    now += 10.0
    assert watched.poll() == COUNT
    (folder / "f11.png").unlink()  # more are held than are kept in memory
    with pytest.raises(ds.DamagedFrameError, match=r"f11\.png: its file has gone"):
        watched.read(11)


def test_a_watch_fails_and_goes_on_when_its_folder_is_back(pipeline, folder, tmp_path):
    """Frames that waited are left for later, and are not counted as damaged."""
    pipeline.watch(folder, tmp_path / "whole", idle_s=0.3, **PLAIN)
    out = tmp_path / "run"

    def gone_while_frames_wait(self, position):
        if position == 5 and folder.exists():
            folder.rename(tmp_path / "away")
        return read(self, position)

    read = WatchedFolder.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WatchedFolder, "read", gone_while_frames_wait)
        patch.setattr("defectscope.pipeline.watched.MOST_KEPT", 0)
        patch.setattr("defectscope.pipeline.watching.POLL_S", 2.0)  # frames are met before
        with pytest.raises(ds.InputGoneError, match=r"^the watched folder .*in has gone \(.*\); "
                           "bring it back, and go on with --resume$"):  # fmt: skip
            pipeline.watch(folder, out, idle_s=9.0, **PLAIN)
    left = ds.load_run(out)
    assert left.info["status"].startswith("failed: the watched folder ")
    assert len(left.frames) < COUNT
    assert list(left.frames["frame"][left.frames["status"] == "damaged"]) in ([], [1])
    (tmp_path / "away").rename(folder)
    result = pipeline.watch(folder, out, idle_s=0.3, resume=True, **PLAIN)
    assert result.info["status"] == "complete"
    by_frame = (ds.load_run(tmp_path / "whole").frames, result.frames)
    one, other = (table.sort_values("frame", ignore_index=True) for table in by_frame)
    assert one.equals(other)


def test_a_watch_ends_where_its_folder_has_gone(with_readers, folder):
    watched = WatchedFolder(folder, with_readers, Calibration())
    folder.rename(folder.with_name("away"))
    with pytest.raises(ds.InputGoneError, match=r"in has gone \(.*\); bring it back$"):
        watched.poll()
