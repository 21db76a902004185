"""The plugin conforms, reads what it should, and follows what grows."""

from __future__ import annotations

from pathlib import Path

import defectscope as ds
import numpy as np
import pandas as pd
import pytest
from defectscope.plugins.testing import (
    DefectTypeConformance,
    PluginConformance,
    ReaderConformance,
    TrackerConformance,
)

import defectscope_precipitates
from defectscope_precipitates.element_map import ElementMapReader
from defectscope_precipitates.overlap import OverlapOptions, OverlapTracker


def write_map(path: Path, text: str = "") -> Path:
    counts = np.random.default_rng(0).poisson(20, (12, 16))
    rows = "\n".join(",".join(map(str, row)) for row in counts)
    path.write_text(text or f"# Cr K\n# pixel_size_nm = 0.8\n{rows}\n", encoding="utf-8")
    return path


class TestPlugin(PluginConformance):
    plugin = "defectscope_precipitates"


class TestType(DefectTypeConformance):
    defect_type = defectscope_precipitates.PRECIPITATE


class TestReader(ReaderConformance):
    component = ElementMapReader
    spec = defectscope_precipitates.defectscope_readers()[0]

    def example_file(self, folder: Path) -> Path:
        return write_map(folder / "example.map.csv")


class TestTracker(TrackerConformance):
    component = OverlapTracker


def test_a_map_and_its_scale(tmp_path: Path) -> None:
    with ElementMapReader() as reader, reader.read(write_map(tmp_path / "a.map.csv")) as frames:
        assert frames[0].pixels.shape == (12, 16)
        assert frames[0].pixels.dtype == np.uint16
        assert frames.calibration.pixel_size_nm == 0.8


def test_a_byte_order_mark_is_no_number(tmp_path: Path) -> None:
    path = write_map(tmp_path / "a.map.csv")
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    with ElementMapReader() as reader, reader.read(path) as frames:
        assert frames[0].pixels.shape == (12, 16)
        assert frames.calibration.pixel_size_nm == 0.8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n1,2\n", "line 2: expected 3 values as in the first row, found 2"),
        ("1,2\n1,x\n", "line 2: could not convert string to float: 'x'"),
        ("# nothing\n", "it holds no numbers"),
        ("# pixel_size_nm = -1\n1 2\n", "must be a positive number, found '-1'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    with ElementMapReader() as reader, pytest.raises(ds.InputError, match=message):
        reader.read(write_map(tmp_path / "a.map.csv", text))[0]


def tracked(rows: list[tuple[float, ...]], **options: float) -> list[int]:
    table = pd.DataFrame(rows, columns=["frame", "x", "y", "x_min", "y_min", "x_max", "y_max"])
    with OverlapTracker(OverlapOptions.model_validate(options)) as tracker:
        particles: list[int] = tracker.link(table)["particle"].tolist()
    return particles


def box(frame: int, x: float, y: float, half: float) -> tuple[float, ...]:
    return frame, x, y, x - half, y - half, x + half, y + half


def test_a_particle_that_doubles_is_the_same() -> None:
    # Its neighbour's centre is nearer than its own old one, but does not overlap.
    rows = [box(0, 20, 20, 3), box(0, 40, 20, 8), box(1, 24, 20, 7), box(1, 41, 20, 8)]
    assert tracked(rows) == [0, 1, 0, 1]


def test_one_that_is_missing_comes_back() -> None:
    rows = [box(0, 20, 20, 5), box(2, 20, 20, 5), box(6, 20, 20, 5)]
    assert tracked(rows) == [0, 0, 1]
    assert tracked(rows, memory=0) == [0, 1, 2]


def test_of_two_that_become_one_the_larger_part_stays() -> None:
    rows = [box(0, 20, 20, 4), box(0, 30, 20, 6), box(1, 28, 20, 8)]
    assert tracked(rows, least_overlap=0.1)[2] == 1
