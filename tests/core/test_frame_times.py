"""Times and doses of single frames."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from defectscope.core.calibration import Calibration
from defectscope.core.errors import FormatError
from defectscope.core.frame_times import FrameTimes

PAUSE = FrameTimes(frame=(0, 400, 401, 900), time_s=(0, 700, 1900, 2773.25),
                   dose_dpa=(0.85, 1.41, 1.41, 2.11))  # fmt: skip


def test_between_the_frames_of_a_table_it_is_linear():
    assert PAUSE.at("time_s", 200) == 350
    assert PAUSE.at("dose_dpa", 100) == pytest.approx(0.99)
    assert [PAUSE.at("time_s", k) for k in (0, 400, 401, 900)] == [0, 700, 1900, 2773.25]


def test_beside_a_table_nothing_is_known():
    table = FrameTimes(frame=(5, 9), time_s=(1, 2))
    assert table.at("time_s", 4) is table.at("time_s", 10) is table.at("dose_dpa", 7) is None


@given(st.integers(0, 900))
def test_times_ascend_and_doses_never_fall(index):
    assert PAUSE.at("time_s", index + 1 if index < 900 else 900) >= PAUSE.at("time_s", index)
    assert PAUSE.at("dose_dpa", min(index + 1, 900)) >= PAUSE.at("dose_dpa", index)


def test_even_times_have_a_step():
    assert FrameTimes(frame=(0, 2, 3), time_s=(1, 4, 5.5)).step("time_s") == 1.5
    assert PAUSE.step("time_s") is PAUSE.step("dose_dpa") is None
    assert FrameTimes(frame=(4,), time_s=(1,)).step("time_s") is None
    doses = FrameTimes(frame=(0, 2), dose_dpa=(1, 2))
    assert (doses.step("dose_dpa"), doses.step("time_s")) == (0.5, None)
    assert FrameTimes(frame=(0, 2), dose_dpa=(1, 1)).step("dose_dpa") is None


@pytest.mark.parametrize("frames", [10, 40, 4000])
def test_times_that_a_file_rounds_are_even_and_a_dropped_frame_is_not(frames):
    times = [round(k / 30, 3) for k in range(frames)]
    rounded = FrameTimes(frame=tuple(range(frames)), time_s=tuple(times))
    assert rounded.step("time_s") == pytest.approx(1 / 30, rel=0.01)
    for gone in (1, frames // 2, frames - 2):
        late = [time + (k >= gone) / 30 for k, time in enumerate(times)]
        dropped = FrameTimes(frame=tuple(range(frames)), time_s=tuple(late))
        assert dropped.step("time_s") is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame": (0, 1)}, "needs a column time_s, dose_dpa or both"),
        ({"frame": (0, 0), "time_s": (0, 1)}, "frame must ascend, and 0 follows 0"),
        ({"frame": (0, 3), "time_s": (2, 1)}, "time_s must ascend, and 1 follows 2 after frame 0"),
        ({"frame": (0, 3), "dose_dpa": (2, 1)}, "dose_dpa must not fall, and 1 follows 2"),
        ({"frame": (0, 3), "dose_dpa": (2,)}, "dose_dpa must have a value for each frame"),
        ({"frame": (-1, 3), "dose_dpa": (2, 3)}, "greater than or equal to 0"),
    ],
)
def test_impossible_tables_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        FrameTimes(**values)


@pytest.mark.parametrize(
    "text",
    ["frame,time_s,dose_dpa\n0,0,1\n10,5,1.5\n", "﻿frame; time_s; dose_dpa\n0;0;1\n10;5;1.5\n",
     "name\tframe\ttime_s\tdose_dpa\na\t0\t0\t1\nb\t10\t5\t1.5\n"],
)  # fmt: skip
def test_tables_of_any_spreadsheet(tmp_path: Path, text: str):
    path = tmp_path / "times.csv"
    path.write_text(text, encoding="utf-8")
    read = FrameTimes.from_csv(path)
    assert (read.frame, read.time_s, read.dose_dpa) == ((0, 10), (0, 5), (1, 1.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("", "cannot be read"),
        ("frame,seconds\n0,1\n", "needs the columns frame and time_s, dose_dpa or both, found "
         "frame, seconds"),
        ("frame,time_s\n0,0\n1,soon\n", "has 'soon' as time_s in row 2; expected a number"),
        ("frame,time_s\n0,0\n1,\n", "has an empty cell as time_s in row 2; expected a number"),
        ("frame,time_s\n0,0\n1,0\n", "is not possible: time_s must ascend, and 0 follows 0"),
        ("frame,time_s\n-1,0\n1,0\n", "is not possible: frame Input should be greater"),
        ("frame,time_s\n0,0\n1.5,1\n", "has '1.5' as frame in row 2; expected a whole number"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read_are_named(tmp_path: Path, text: str | None, message: str):
    path = tmp_path / "times.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FormatError, match=message) as raised:
        FrameTimes.from_csv(path)
    assert str(path) in str(raised.value)


def test_a_table_goes_before_the_laws():
    known = Calibration(frame_interval_s=1.75, dose_start_dpa=0.85, dose_per_frame_dpa=0.0014,
                        frame_times=FrameTimes(frame=(0, 9), dose_dpa=(1, 2)))  # fmt: skip
    assert (known.time_s(9), known.dose_dpa(9), known.dose_dpa(10)) == (15.75, 2, None)
    assert known.knows_times
    assert known.knows_doses
    assert not Calibration(frame_times=FrameTimes(frame=(0,), time_s=(0,))).knows_doses
    assert pickle.loads(pickle.dumps(known)) == known
    assert Calibration.model_validate(known.model_dump(mode="json")) == known


def test_a_table_may_be_a_data_frame():
    table = pd.DataFrame({"frame": [0, 2], "time_s": [0.0, 3.0], "note": ["a", "b"]})
    assert Calibration(frame_times=table).time_s(1) == 1.5
    assert Calibration().updated(frame_times=table).time_s(2) == 3
    with pytest.raises(FormatError, match=r"^the table of frame times has 'b' as time_s in row 2"):
        Calibration(frame_times=table.assign(time_s=table["note"].where(table["frame"] > 0, 1)))
    with pytest.raises(FormatError, match="needs the columns frame and time_s, dose_dpa or both"):
        Calibration(frame_times=table[["frame"]])


def test_a_calibration_shows_its_table_in_short():
    shown = repr(Calibration(frame_times=PAUSE))
    assert "FrameTimes(4 frames from 0 to 900, time_s and dose_dpa)" in shown.replace("'", "")


def test_a_calibration_file_names_a_table_beside_it(tmp_path: Path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "times.csv").write_text("frame,time_s\n0,0\n2,3\n")
    (tmp_path / "a" / "scope.toml").write_text('frame_times = "times.csv"\npixel_size_nm = 1\n')
    monkeypatch.chdir(tmp_path)
    assert Calibration.from_toml(Path("a/scope.toml")).time_s(1) == 1.5
    assert Calibration().updated(frame_times="a/times.csv").time_s(2) == 3
    (tmp_path / "a" / "times.csv").write_text("frame,time_s\n0,3\n2,0\n")
    with pytest.raises(FormatError, match=r"times.csv is not possible: time_s must ascend, and 0"):
        Calibration.from_toml(Path("a/scope.toml"))
