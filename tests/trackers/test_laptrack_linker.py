from __future__ import annotations

import sys

import pandas as pd
import pytest

from defectscope.core.errors import MissingPackageError
from defectscope.plugins.testing import TrackerConformance
from defectscope.trackers.laptrack_linker import LapTracker

pytest.importorskip("laptrack")


class TestLapTracker(TrackerConformance):
    component = LapTracker


def particle(frames, x):
    return pd.DataFrame({"frame": list(frames), "x": float(x), "y": 0.0})


def test_gaps_are_closed_up_to_their_length():
    table = pd.concat([particle([*range(5), *range(8, 12)], 0), particle(range(12), 50)])
    for longest, particles in ((3, 2), (2, 3)):
        linked = LapTracker(LapTracker.Options(max_gap=longest)).link(table)
        assert linked["particle"].nunique() == particles


def test_a_gap_in_the_numbering_is_a_gap():
    table = pd.concat([particle([0, 1, 10**9, 10**9 + 1], 0)])
    assert LapTracker().link(table)["particle"].tolist() == [0, 0, 1, 1]


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "laptrack", None)
    with pytest.raises(MissingPackageError, match=r"defectscope\[laptrack\]"):
        LapTracker().link(particle([0, 1], 0))
    # ... before the frames are looked at, too.
    with pytest.raises(MissingPackageError, match=r"defectscope\[laptrack\]"):
        LapTracker().open()
