"""What a report says of tracks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from defectscope.analysis.track_report import TrackReport
from defectscope.plugins.testing import AnalysisConformance


class TestTrackReport(AnalysisConformance):
    component = TrackReport


def test_the_report_counts_merges_and_qualities_under_a_step(make_tables):
    frame = 5 * np.arange(20)
    grown = np.where(np.arange(20) < 10, 10.0, np.hypot(10, 8))
    went_on = pd.DataFrame({"frame": frame, "particle": 0, "x": 0.0, "diameter_px": grown})
    ended = pd.DataFrame({"frame": frame[:10], "particle": 1, "x": 9.0, "diameter_px": 8.0})
    tracks = pd.concat([went_on, ended], ignore_index=True).assign(y=0.0)
    # One more frame could not be read: what was seen before and after it follows each other.
    indices = sorted([*frame.tolist(), 47])
    quality, events = TrackReport().analyse(
        make_tables({}, indices=indices, damaged=[47], tracks=tracks)
    )
    assert quality.table["quality"].tolist() == ["good", "good"]
    assert quality.table["gaps"].tolist() == [0, 0]
    assert quality.table["found_share"].tolist() == [1, 1]
    assert {n.label: n.value for n in quality.numbers}["Merges of particles"] == 1
    assert events.table["frame"].tolist() == [50]


def test_gaps_are_drawn_where_there_are_some(make_tables, drawn):
    rows = pd.DataFrame({"frame": range(8), "particle": 0, "x": 5.0, "y": 5.0})
    for tracks, panels, note in ((rows, 1, "No track has a gap"), (rows.drop(index=3), 2, "")):
        finding = TrackReport().analyse(make_tables({}, indices=range(8), tracks=tracks))[0]
        drawn_panels = drawn(finding)
        assert (len(drawn_panels), drawn_panels[0].get_title("left")) == (panels, note)
