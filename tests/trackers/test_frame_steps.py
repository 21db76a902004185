"""Trackers on series of which only some frames were looked at."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest

from defectscope import Runtime
from defectscope.plugins.host import default_host

NAMES = [
    "trackpy", "loops", "lines",
    pytest.param("laptrack", marks=pytest.mark.skipif(
        importlib.util.find_spec("laptrack") is None, reason="laptrack is not installed")),
]  # fmt: skip


def walking(frames, count=12, seed=0):
    """Particles far from each other that move a little from frame to frame."""
    rng = np.random.default_rng(seed)
    home = 60.0 * np.stack(np.divmod(np.arange(count), 4), axis=1)
    at = home + np.cumsum(rng.normal(0, 0.5, (len(frames), count, 2)), axis=0)
    rank, who = np.divmod(np.arange(len(frames) * count), count)
    return pd.DataFrame({"frame": np.asarray(frames)[rank], "who": who, "x": at[rank, who, 0],
                         "y": at[rank, who, 1], "diameter_px": 10.0})  # fmt: skip


def link(name, rows, step, **options):
    tracker = default_host().build("trackers", name, options, Runtime())
    tracker.frame_step = step
    return tracker.link(rows)


def memory_of(name, frames):
    option = {"laptrack": "max_gap"}.get(name, "memory")
    return {option: frames} | ({"max_gap": 0, "min_length": 1} if name == "loops" else {})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [5, 7])
def test_frames_that_were_looked_at_are_neighbours(name, step):
    rows = walking(np.arange(8) * step)
    linked = link(name, rows, step, **memory_of(name, 0))
    assert linked["particle"].nunique() == 12
    plain = link(name, rows.assign(frame=rows["frame"] // step), 1, **memory_of(name, 0))
    assert linked["particle"].tolist() == plain["particle"].tolist()
    assert linked["frame"].tolist() == rows["frame"].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_that_is_missing_of_a_stepped_series_is_a_gap(name):
    rows = walking(np.array([0, 5, 10, 20, 25, 30]))
    plain = rows.assign(frame=rows["frame"] // 5)
    for frames in (0, 1):
        stepped, dense = (link(name, table, step, **memory_of(name, frames))["particle"]
                          for table, step in ((rows, 5), (plain, 1)))  # fmt: skip
        assert stepped.tolist() == dense.tolist()
    assert stepped.nunique() < 24 == link(name, rows, 5, **memory_of(name, 0))["particle"].nunique()


@pytest.mark.parametrize("name", NAMES)
def test_uneven_indices_are_neighbours_too(name):
    rows = walking(np.array([0, 7, 13, 22, 28, 36]))
    assert link(name, rows, 7, **memory_of(name, 0))["particle"].nunique() == 12


def test_gaps_of_loops_are_closed_and_filled_in_frames_that_were_looked_at():
    rows = walking(np.arange(12) * 100).assign(time_s=lambda t: 2.0 * t["frame"])
    rows = rows[(rows["who"] != 3) | ~rows["frame"].between(300, 700)]
    linked = link("loops", rows, 100, memory=0, max_gap=5, sighted_share=0)
    assert linked["particle"].nunique() == 12
    filled = linked[linked["origin"] == "interpolated"]
    assert filled["frame"].tolist() == [300, 400, 500, 600, 700]
    assert filled["time_s"].tolist() == [600, 800, 1000, 1200, 1400]
    short = link("loops", rows, 100, memory=0, max_gap=4, sighted_share=0)
    assert short["particle"].nunique() == 13
