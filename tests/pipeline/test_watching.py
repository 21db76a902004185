"""Frames that appear while a run goes on."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.core.calibration import Calibration
from defectscope.core.errors import InputError, UsageError
from defectscope.pipeline.watched import GIVEN_UP_S, SETTLED_S, WatchedFolder
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


def test_a_file_that_stays_half_is_given_up_with_a_word(watched):
    folder, series, later = watched
    (folder / "f_001.png").write_bytes(picture(1)[:100])
    assert [later(), later()] == [0, 0]
    assert series.warnings == []
    assert later(GIVEN_UP_S) == 0
    (text,) = series.warnings
    assert text.startswith("left out: ")
    assert "f_001.png" in text
    (folder / "f_002.png").write_bytes(picture(2))
    assert later() == 0
    assert later() == 1


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


def test_nothing_that_comes_is_said(host, with_readers, tmp_path):
    pipeline = ds.Pipeline("find", analyses=[], host=host)
    pipeline.host = with_readers
    with pytest.raises(InputError, match="no frame came into"):
        pipeline.watch(tmp_path, tmp_path / "run", idle_s=0.1)
    with pytest.raises(UsageError, match="takes a folder"):
        pipeline.watch(tmp_path / "nowhere", tmp_path / "other", idle_s=0.1)
