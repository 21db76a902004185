"""What is said of a run is said of it alone, whatever else runs on the same frames."""

from __future__ import annotations

import numpy as np

import defectscope as ds
from defectscope.pipeline.input_notes import NO_INTERVAL, ONE_SERIES

PLAIN = {"overlay": False, "figures": False}


def test_a_run_says_nothing_of_former_ones_on_the_same_frames(host, series, tmp_path):
    frames = series(3)
    frames.warnings.append("blurred")
    mask = np.ones((48, 64), np.uint8)
    mask[:2, :2] = 0
    on_gpu = ds.Pipeline("find", host=host, device="cuda")
    first = on_gpu.run(frames, tmp_path / "first", masks=[mask], **PLAIN)
    assert any("the mask array 1 masks 99 %" in text for text in first.warnings)
    assert any("can work on cuda" in text for text in first.warnings)
    assert "blurred" in first.warnings
    again = ds.Pipeline("find", host=host).run(frames[:2], tmp_path / "again", **PLAIN)
    assert again.warnings == ["blurred"]
    assert frames.warnings == ["blurred"]


def test_a_run_on_unrelated_images_leaves_the_warnings_of_the_frames(host, series, tmp_path):
    frames, pipeline = series(2), ds.Pipeline("find", host=host)
    frames.warnings += [ONE_SERIES, NO_INTERVAL]
    mixed = pipeline.run(frames, tmp_path / "mixed", mixed_sizes=True, **PLAIN)
    (said,) = mixed.warnings
    assert "unrelated images (--mixed-sizes) have no dose" in said
    assert pipeline.run(frames, tmp_path / "run", **PLAIN).warnings == [ONE_SERIES, NO_INTERVAL]


def test_what_is_said_while_frames_are_read_stays_said(host, series, tmp_path):
    class Telling(series):
        def read(self, position):
            if position == 1 and not self.warnings:
                self.warnings.append("frame 1 is odd")
            return super().read(position)

    frames, pipeline = Telling(3), ds.Pipeline("find", host=host)
    for name in ("first", "second"):
        assert pipeline.run(frames, tmp_path / name, **PLAIN).warnings == ["frame 1 is odd"]
