"""Frames that appear while a run goes on."""

from __future__ import annotations

import itertools
import threading
import time
import weakref

import cv2
import numpy as np
import pytest
import tifffile

import defectscope as ds
from defectscope.core.calibration import Calibration
from defectscope.core.errors import DamagedFrameError, InputError, UsageError
from defectscope.pipeline.inputs import InputSeries
from defectscope.pipeline.watched import GIVEN_UP_S, MOST_KEPT, SETTLED_S, WatchedFolder
from defectscope.plugins.host import default_host


def picture(number):
    pixels = np.random.default_rng(number).integers(0, 256, (48, 64), dtype=np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def watched(tmp_path):
    clock = Clock()
    folder = tmp_path / "frames"
    folder.mkdir()
    series = WatchedFolder(folder, default_host(), Calibration(), clock)

    def later(seconds=SETTLED_S):
        clock.now += seconds
        return series.poll()

    return folder, series, later


def test_a_file_is_taken_when_it_does_not_grow_any_more(watched):
    folder, series, later = watched
    data = picture(1)
    (folder / "f_001.png").write_bytes(data[:100])
    assert later() == 0
    (folder / "f_001.png").write_bytes(data)
    assert later() == 0  # it has grown
    assert later() == 1
    assert (series.indices, series.names) == ((1,), ("f_001.png",))
    assert series[0].shape == (48, 64)
    assert series[0].shape == (48, 64)  # once from memory, once from the file
    assert later() == 0


def test_a_long_series_in_one_file_is_not_held_in_memory(watched, monkeypatch):
    folder, series, later = watched
    stack = np.random.default_rng(0).integers(0, 256, (200, 16, 16), dtype=np.uint8)
    tifffile.imwrite(folder / "long.tif", stack, imagej=True, metadata={"axes": "TYX"})
    alive, most, read = weakref.WeakValueDictionary(), [], InputSeries.read

    def counted(self, position):
        pixels = alive[position] = read(self, position)
        most.append(len(alive))
        return pixels

    monkeypatch.setattr(InputSeries, "read", counted)
    later()
    assert later() == 200
    # The one before may go when the next one is there.
    assert max(most) <= MOST_KEPT + 2
    assert len(alive) == MOST_KEPT
    assert [(series.read(k) == stack[k]).all() for k in (0, 7, 8, 199)] == [True] * 4


@pytest.mark.parametrize("half", [picture(1)[:100], b""])
def test_a_file_that_stays_half_is_a_damaged_frame(watched, half):
    folder, series, later = watched
    (folder / "f_001.png").write_bytes(half)
    assert [later(), later()] == [0, 0]
    assert later(GIVEN_UP_S) == 1
    assert (series.indices, series.names) == ((1,), ("f_001.png",))
    with pytest.raises(DamagedFrameError, match=r"f_001\.png"):
        series[0]
    (folder / "f_002.png").write_bytes(picture(2))
    assert later() == 0
    assert later() == 1


def test_what_is_half_at_the_end_is_taken_as_it_is(watched):
    folder, series, later = watched
    (folder / "f_001.png").write_bytes(picture(1)[:100])
    later()
    assert later(2 * SETTLED_S) == 0
    (folder / "f_002.png").write_bytes(picture(2)[:100])
    assert later(0) == 0
    assert series.give_up() == 1  # the other may be growing
    assert series.names == ("f_001.png",)


@pytest.mark.parametrize("given_nm", [None, 0.5])
def test_the_first_file_says_the_scale_and_is_overruled(tmp_path, given_nm):
    clock = Clock()
    given = Calibration(frame_interval_s=2, pixel_size_nm=given_nm)
    series = WatchedFolder(tmp_path, default_host(), given, clock)
    for number, size_nm in ((1, 0.4), (2, 0.4), (3, 0.8)):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64), dtype=np.uint8)
        tifffile.imwrite(
            tmp_path / f"f{number}.tif", pixels, imagej=True, resolution=(1 / size_nm, 1 / size_nm),
            metadata={"unit": "nm"},
        )  # fmt: skip
    series.poll()
    assert not series.scale_is_known
    clock.now += SETTLED_S
    assert series.poll() == 3
    assert series.scale_is_known
    assert series.calibration.pixel_size_nm == pytest.approx(given_nm or 0.4)
    assert series.calibration.frame_interval_s == 2
    assert series[2].calibration == series.calibration
    differ, *overruled = sorted(series.warnings, key=lambda text: "files say" in text)
    assert "the files differ in pixel size" in differ
    assert len(overruled) == (given_nm is not None)
    assert all("but 0.5 nm/px was given" in text for text in overruled)


@pytest.mark.parametrize("given_nm", [None, 1.0])
def test_a_size_that_is_given_is_not_called_unsure(tmp_path, given_nm):
    clock = Clock()
    series = WatchedFolder(
        tmp_path, default_host(), Calibration(frame_interval_s=2, pixel_size_nm=given_nm), clock
    )
    for number in (1, 2):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64), dtype=np.uint8)
        tifffile.imwrite(tmp_path / f"f{number}.tif", pixels, imagej=True, metadata={"unit": "nm"})
    series.poll()
    clock.now += SETTLED_S
    assert series.poll() == 2
    assert ["exactly 1 nm" in text for text in series.warnings] == [True] * (given_nm is None)


def test_another_stem_is_said_once(watched):
    folder, series, later = watched
    for name in ("a_1.png", "b_2.png", "c_3.png"):
        (folder / name).write_bytes(picture(1))
    later()
    later()
    assert series.indices == (1, 2, 3)
    (text,) = series.warnings
    assert "b_2.png is not named like the first file (a_ and a number)" in text


def test_text_after_the_number_is_part_of_the_stem(watched):
    folder, series, later = watched
    for name in ("frame_0007_BF.png", "frame_0009_BF.png", "frame_0010_DF.png"):
        (folder / name).write_bytes(picture(1))
    later()
    later()
    assert series.indices == (7, 9, 10)
    (text,) = series.warnings
    assert "frame_0010_DF.png is not named like the first file (frame_…_BF) and gets" in text


def test_no_file_is_left_out_for_a_number_of_another_series(watched):
    folder, series, later = watched
    for name in ("a_1.png", "a_2.png", "b_1.png", "c_300.png"):
        (folder / name).write_bytes(picture(1))
    later()
    assert later() == 4
    assert series.indices == (1, 2, 3, 4)
    for name in ("a_3.png", "a_4.png", "a_9.png", "a_10.png"):
        (folder / name).write_bytes(picture(1))
    later()
    assert later() == 4
    assert series.indices == (1, 2, 3, 4, 5, 6, 9, 10)
    assert len(series.warnings) == 1


def test_units_in_names_are_no_indices(watched):
    folder, series, later = watched
    for name in ("300kV_a.png", "300kV_b.png"):
        (folder / name).write_bytes(picture(1))
    later()
    later()
    assert series.indices == (0, 1)
    assert series.warnings == []


def test_no_index_is_too_large_for_a_table(watched):
    folder, series, later = watched
    (folder / f"f{2**63}.png").write_bytes(picture(1))
    later()
    later()
    assert series.indices == (0,)


def test_numbers_in_names_are_indices_and_come_once(watched):
    folder, series, later = watched
    for name in ("f_7.png", "f_10.png", "notes.txt", ".f_9.png"):
        (folder / name).write_bytes(picture(1))
    later()
    assert later() == 2
    assert series.indices == (7, 10)
    (folder / "f_07.png").write_bytes(picture(1))
    (folder / "f_3.png").write_bytes(picture(1))
    later()
    assert later() == 1
    assert series.indices == (7, 10, 3)
    (text,) = series.warnings
    assert "f_07.png has the frame index 7 of an earlier file" in text


def test_names_without_numbers_are_counted(watched):
    folder, series, later = watched
    for name in ("b.png", "a.png"):
        (folder / name).write_bytes(picture(1))
    later()
    later()
    assert series.names == ("a.png", "b.png")
    assert series.indices == (0, 1)


def test_a_run_follows_frames_and_ends_when_none_come(host, with_readers, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()

    def write():
        for k in range(6):
            temporary = folder / f".{k}"
            temporary.write_bytes(picture(k))
            temporary.rename(folder / f"f{k:02d}.png")
            time.sleep(0.05)

    readers = default_host()
    pipeline = ds.Pipeline("find", ["axes"], "by-rank", analyses=[], host=host)
    pipeline.host = with_readers
    writer = threading.Thread(target=write)
    writer.start()
    result = pipeline.watch(
        folder, tmp_path / "run", Calibration(pixel_size_nm=0.5), idle_s=0.8, overlay=False
    )
    writer.join()
    assert result.info["status"] == "complete"
    assert result.frames["frame"].tolist() == list(range(6))
    assert result.frames["count"].tolist() == [3] * 6
    assert result.info["lag_s"]["largest"] < 10
    assert len(result.info["plan"]["inputs"]) == 6
    assert len(result.particles) == 3
    # The same as a run on the finished folder, but for what it says about itself.
    plain = ds.Pipeline("find", ["axes"], "by-rank", analyses=[], host=host).run(
        ds.open(folder, pixel_size_nm=0.5, host=readers), tmp_path / "plain", overlay=False
    )
    assert plain.detections.equals(result.detections)
    assert plain.tracks.equals(result.tracks)


def test_a_clock_that_is_set_changes_no_lag(host, with_readers, tmp_path, monkeypatch):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "f0.png").write_bytes(picture(0))
    pipeline = ds.Pipeline("find", analyses=[], host=host)
    pipeline.host = with_readers
    jumps = itertools.count(time.time(), 3600)
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    result = pipeline.watch(folder, tmp_path / "run", idle_s=0.3, overlay=False)
    assert 0 < result.info["lag_s"]["largest"] < 60


def test_nothing_that_comes_is_said(host, with_readers, tmp_path):
    pipeline = ds.Pipeline("find", analyses=[], host=host)
    pipeline.host = with_readers
    with pytest.raises(InputError, match="no frame came into"):
        pipeline.watch(tmp_path, tmp_path / "run", idle_s=0.1)
    with pytest.raises(UsageError, match="takes a folder"):
        pipeline.watch(tmp_path / "nowhere", tmp_path / "other", idle_s=0.1)


def test_damaged_files_are_rows_and_stop_a_strict_watch(host, with_readers, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(4):
        data = picture(k)
        (folder / f"f{k}.png").write_bytes(data[:100] if k in (0, 2) else data)
    pipeline = ds.Pipeline("find", analyses=[], host=host)
    pipeline.host = with_readers
    given = {"idle_s": 0.4, "overlay": False}
    result = pipeline.watch(folder, tmp_path / "run", **given)
    assert sorted(result.frames["frame"]) == [0, 1, 2, 3]
    bad = result.frames.loc[result.frames["status"] == "damaged", "frame"]
    assert sorted(bad) == [0, 2]
    assert len(result.info["damaged_frames"]) == 2
    again = pipeline.watch(folder, tmp_path / "run", resume=True, **given)
    assert again.frames.equals(result.frames)
    assert again.info["damaged_frames"] == result.info["damaged_frames"]
    with pytest.raises(DamagedFrameError, match="because of --strict"):
        pipeline.watch(folder, tmp_path / "strict", strict=True, **given)


def test_a_watch_of_damaged_files_alone_is_an_error(host, with_readers, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "f0.png").write_bytes(picture(0)[:100])
    pipeline = ds.Pipeline("find", analyses=[], host=host)
    pipeline.host = with_readers
    with pytest.raises(InputError, match=r"none of 1 frames can be used; the first: .*f0\.png"):
        pipeline.watch(folder, tmp_path / "run", idle_s=0.2, overlay=False)


def test_the_scale_of_the_files_is_that_of_the_run_and_of_a_resume(host, with_readers, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()

    def write(number):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64), dtype=np.uint8)
        tifffile.imwrite(
            folder / f"f{number}.tif", pixels, imagej=True, resolution=(2.5, 2.5),
            metadata={"unit": "nm"},
        )  # fmt: skip

    write(1)
    pipeline = ds.Pipeline("find", ["axes"], analyses=[], host=host)
    pipeline.host = with_readers
    given = {"idle_s": 0.3, "overlay": False, "vote": "2/3"}
    pipeline.watch(folder, tmp_path / "run", Calibration(frame_interval_s=2), **given)
    write(2)
    fields = {"frame_interval_s": 1}  # which a single value overrules
    result = pipeline.watch(
        folder, tmp_path / "run", fields, frame_interval_s=2, resume=True, **given
    )
    assert result.info["plan"]["calibration"]["pixel_size_nm"] == pytest.approx(0.4)
    assert result.frames["time_s"].tolist() == [2, 4]
    assert "diameter_nm" in result.detections
    with pytest.raises(UsageError, match=r"its calibration was .*frame_interval_s=2"):
        pipeline.watch(
            folder, tmp_path / "run", Calibration(frame_interval_s=3), resume=True, **given
        )
