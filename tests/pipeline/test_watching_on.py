"""Watches with a vote and registration, and those that go on with a former one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

import defectscope as ds
from defectscope.core.calibration import Calibration
from defectscope.core.errors import ComponentError, DamagedFrameError, UsageError
from defectscope.pipeline.lag import Lag
from defectscope.pipeline.parts import GrowingTable, read_table
from defectscope.pipeline.watched import GIVEN_UP_S, SETTLED_S, WatchedFolder
from defectscope.plugins.host import PluginRecord, default_host

SHIFTS = [(0, 0), (1, 0), (1, 1), (2, 1), (25, -14), (26, -14), (26, -13), (27, -13)]
PLACES = [(120, 120), (160, 110), (130, 170)]
CALIBRATION = {"pixel_size_nm": 0.5, "frame_interval_s": 2.0}
OPTIONS = {
    "dark-blobs": {"background_px": 60},
    "loops": {"min_length": 2, "remove_drift": False},
}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def picture(number):
    pixels = np.random.default_rng(number).integers(0, 256, (48, 64), dtype=np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def write(folder, numbers):
    """Frames of a specimen that drifts, and jumps; one of three dark squares blinks."""
    folder.mkdir(exist_ok=True)
    for k in numbers:
        rng = np.random.default_rng(0)
        scene = cv2.GaussianBlur(rng.normal(0, 1, (300, 300)), (0, 0), 2) * 80 + 150
        for x, y in PLACES[: 2 if k in (2, 5) else 3]:
            scene[y : y + 12, x : x + 12] = 10
        x, y = SHIFTS[k]
        seen = np.clip(scene[60 - y : 220 - y, 60 - x : 240 - x], 0, 255).astype(np.uint8)
        temporary = folder / f".{k}.png"
        cv2.imwrite(str(temporary), seen)
        temporary.rename(folder / f"f{k:02d}.png")


def pipeline():
    return ds.Pipeline("dark-blobs", tracker="loops", analyses=[], options=OPTIONS)


def watch(folder, out, **given):
    settings = {"idle_s": 0.3, "overlay": False, "figures": False, **given}
    return pipeline().watch(folder, out, Calibration(**CALIBRATION), **settings)


def plain(folder, out, **given):
    frames = ds.open(folder, **CALIBRATION)
    return pipeline().run(frames, out, overlay=False, figures=False, **given)


def assert_same(one, other):
    names = {p.name for p in other.iterdir() if p.suffix in {".csv", ".parquet"}}
    assert names == {p.name for p in one.iterdir() if p.suffix in {".csv", ".parquet"}}
    assert len(names) == 5
    for name in sorted(names):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"table_format": "csv", "vote": "2/3"},
        {"vote": "3/5", "register": {"batch": 2}},
        {"register": {"batch": 3}, "roi": (10, 10, 160, 150)},
    ],
    ids=str,
)
def test_a_watch_in_two_parts_gives_the_tables_of_a_run(tmp_path, given):
    folder, out = tmp_path / "frames", tmp_path / "live"
    write(folder, range(5))
    first = watch(folder, out, **given)
    assert len(first.frames) == 5
    write(folder, range(5, 8))
    result = watch(folder, out, resume=True, **given)
    expected = plain(folder, tmp_path / "plain", **given)
    assert_same(out, tmp_path / "plain")
    assert result.info["plan"] == expected.info["plan"]
    assert result.info["status"] == "complete"
    assert result.warnings == expected.warnings
    assert len(expected.detections) > 10
    if "register" in given:
        assert result.warnings == ["the stage jumped 1 times: in frames 4"]
    if "vote" in given:
        assert (result.detections["origin"] == "interpolated").any()
    # Once more without anything new: the same again.
    watch(folder, out, resume=True, **given)
    assert_same(out, tmp_path / "plain")


@pytest.mark.slow
def test_a_watch_that_was_killed_goes_on(tmp_path):
    folder, out = tmp_path / "frames", tmp_path / "live"
    write(folder, range(6))
    command = [
        sys.executable, "-m", "defectscope", "run", "--watch", str(folder), "--out", str(out),
        "--detector", "dark-blobs", "--tracker", "loops", "--no-overlay", "--no-figures",
        "--set", "dark-blobs.background_px=60", "--set", "loops.min_length=2",
        "--set", "loops.remove_drift=false", "--vote", "2/3", "--register",
        "--pixel-size", "0.5", "--frame-interval", "2",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while rows_of(out) < 4 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    # The last one waits for the next, which may show it or not; the one before may be on its way.
    assert rows_of(out) in (4, 5)
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    write(folder, range(6, 8))
    done = subprocess.run(
        [*command, "--resume", "--idle", "0.4"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warning: the stage jumped 1 times: in frames 4" in (done.stdout + done.stderr).lower()
    plain(folder, tmp_path / "plain", vote="2/3", register=True)
    assert_same(out, tmp_path / "plain")


def rows_of(out: Path) -> int:
    table = out / "frames.csv"
    return table.read_text().count("\n") - 1 if table.is_file() else 0


class Slow(ds.Detector):
    """One box a frame, after a while."""

    defect_types = ("black dot",)

    def detect(self, frames):
        time.sleep(0.25)
        return [ds.Instances(f.shape, [[9, 9, 19, 19]], defect_types="black dot") for f in frames]


class SlowPlugin:
    @ds.hookimpl
    def defectscope_detectors(self):
        return [ds.ComponentSpec("slow", "Test detector.", f"{__name__}:Slow")]


def test_ctrl_c_leaves_the_frames_that_wait_for_a_resume(host, with_readers, tmp_path):
    folder, out = tmp_path / "frames", tmp_path / "live"
    folder.mkdir()
    for k in range(16):
        (folder / f"f{k}.png").write_bytes(picture(k))
    host.register(SlowPlugin(), PluginRecord("slow", "t", "1", __name__))
    slow = ds.Pipeline("slow", analyses=[], host=host)
    slow.host = with_readers

    def interrupt():
        while rows_of(out) < 1:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = slow.watch(folder, out, overlay=False)
    thread.join()
    done = result.frames["frame"].tolist()
    assert result.info["status"] == "complete"
    assert 1 <= len(done) < 16
    assert done == list(range(len(done)))
    assert result.info["plan"]["frames"] == [len(done), 0, len(done) - 1]
    assert list(result.info["plan"]["inputs"]) == [f"f{k}.png" for k in done]
    again = slow.watch(folder, out, overlay=False, resume=True, idle_s=0.3)
    assert again.frames["frame"].tolist() == list(range(16))
    assert again.detections["frame"].tolist() == list(range(16))


def test_after_an_error_nothing_stands_behind_a_gap(host, with_readers, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(6):
        (folder / f"f{k}.png").write_bytes(picture(k))
    failing = ds.Pipeline("find", analyses=[], options={"find": {"fail_on": 3}}, host=host)
    failing.host = with_readers
    with pytest.raises(ComponentError, match="no idea"):
        failing.watch(folder, tmp_path / "live", idle_s=0.3, overlay=False)
    assert pd.read_csv(tmp_path / "live/frames.csv")["frame"].tolist() == [0, 1, 2]


def test_what_cannot_be_gone_on_with_is_refused(host, with_readers, tmp_path):
    folder, out = tmp_path / "frames", tmp_path / "live"
    folder.mkdir()
    for k in range(3):
        (folder / f"f{k}.png").write_bytes(picture(k))

    def watched(**given):
        one = ds.Pipeline("find", analyses=[], host=host)
        one.host = with_readers
        return one.watch(folder, out, idle_s=0.2, overlay=False, figures=False, **given)

    watched()
    before = (out / "detections.parquet").read_bytes()
    with pytest.raises(UsageError, match="its vote was none, now it is 2/3"):
        watched(resume=True, vote="2/3")
    known = (out / "run.json").read_text()
    info = json.loads(known)
    (reader,) = info["plan"]["read_by"]
    info["plan"]["read_by"][reader] = "0.0"
    (out / "run.json").write_text(json.dumps(info))
    with pytest.raises(UsageError, match=rf"the reader {reader} had the version 0\.0, now"):
        watched(resume=True)
    (out / "run.json").write_text(known)
    (folder / "f1.png").write_bytes(picture(9))
    with pytest.raises(UsageError, match="its input files have changed"):
        watched(resume=True)
    (folder / "f1.png").unlink()
    with pytest.raises(UsageError, match=r"its frame f1\.png is not in .* as it was; put the file"):
        watched(resume=True)
    assert (out / "detections.parquet").read_bytes() == before
    (folder / "f1.png").write_bytes(picture(1))
    assert len(watched(resume=True).frames) == 3
    with pytest.raises(UsageError, match="leave out --workers and --dask"):
        watched(workers=2)
    with pytest.raises(UsageError, match="cannot vote on each other"):
        watched(vote="2/3", mixed_sizes=True)


def test_a_strict_resume_that_is_refused_leaves_a_finished_watch_as_it_was(
    host, with_readers, tmp_path
):
    folder, out = tmp_path / "frames", tmp_path / "live"
    folder.mkdir()
    for k in range(4):
        (folder / f"f{k}.png").write_bytes(picture(k)[: 100 if k == 1 else None])

    def watched(**given):
        one = ds.Pipeline("find", analyses=[], host=host)
        one.host = with_readers
        settings = {"vote": "2/3", "overlay": False, "figures": False, **given}
        return one.watch(folder, out, idle_s=0.2, **settings)

    watched()
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(DamagedFrameError, match="because of --strict"):
        watched(resume=True, strict=True)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_in_order_a_file_waits_for_those_before_it_and_a_late_one_is_left_out(tmp_path):
    clock = Clock()
    series = WatchedFolder(tmp_path, default_host(), Calibration(), clock)
    series.in_order = True

    def later(seconds=SETTLED_S):
        clock.now += seconds
        return series.poll()

    (tmp_path / "f_2.png").write_bytes(picture(2)[:100])
    (tmp_path / "f_3.png").write_bytes(picture(3))
    assert [later(), later(), later()] == [0, 0, 0]
    (tmp_path / "f_2.png").write_bytes(picture(2))
    assert [later(), later(), later()] == [0, 1, 1]
    assert series.indices == (2, 3)
    (tmp_path / "f_1.png").write_bytes(picture(1))
    (tmp_path / "f_4.png").write_bytes(b"")
    (tmp_path / "f_5.png").write_bytes(picture(5))
    assert [later(), later()] == [0, 0]
    assert "f_1.png came after f_3.png" in series.warnings[-1]
    # An empty file does not hold the others for ever; it is a damaged frame.
    assert [later(GIVEN_UP_S), later()] == [1, 1]
    assert series.indices == (2, 3, 4, 5)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("step", range(4))
def test_a_table_is_opened_again_whenever_it_was_killed(tmp_path, monkeypatch, suffix, step):
    columns = {"frame": "int64", "score": "float64", "origin": "str"}
    rows = pd.DataFrame({"frame": [0, 1, 1], "score": [1.0, 0.1, np.nan], "origin": "detector"})
    table = GrowingTable(tmp_path / "t.parquet", columns)
    table.append(0, rows)
    assert table.finish(csv=suffix == ".csv").suffix == suffix
    whole = (tmp_path / f"t{suffix}").read_bytes()
    left = [step]

    def stopped(original):
        def act(self, *given, **named):
            if self.name.startswith(("t.", ".t.")):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
            return original(self, *given, **named)

        return act

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink", "mkdir"):
            patch.setattr(Path, name, stopped(getattr(Path, name)))
        if step < (2 if suffix == ".csv" else 4):
            with pytest.raises(KeyboardInterrupt):
                table.reopen()
    table.reopen()
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), rows, check_dtype=False)
    table.append(2, rows.assign(frame=2))
    table.drop_frames({2})
    table.finish(csv=suffix == ".csv")
    assert (tmp_path / f"t{suffix}").read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == [f"t{suffix}"]


def test_the_lag_says_what_is_held():
    assert str(Lag(8, 4, 1.25, 10.0, 2)) == (
        "8 frames done, 4 waiting (2 of them for the vote), lag 1.2 s, 10.0 frames/s"
    )
    assert str(Lag(8, 0, 0.5, 10.0)) == "8 frames done, 0 waiting, lag 0.5 s, 10.0 frames/s"


def test_many_files_are_not_all_open(tmp_path):
    resource = pytest.importorskip("resource")
    frames = tmp_path / "frames"
    frames.mkdir()
    pages = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)
    for number in range(80):
        tifffile.imwrite(frames / f"f{number:03d}.tif", pages)
    watched = WatchedFolder(frames, default_host(), Calibration())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    known = Path("/proc/self/fd")
    opened = len(list(known.iterdir())) if known.is_dir() else 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 40, limits[1]))
    try:
        names = [(2 * k + page, f"f{k:03d}.tif#{page}") for k in range(80) for page in range(2)]
        watched.recall(names)
        for position in range(len(names)):
            assert watched[position].pixels.shape == (8, 8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
