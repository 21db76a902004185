"""What an analysis says to those who asked for it where it finds nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from defectscope import Calibration
from defectscope.analysis.diffusion import Diffusion
from defectscope.analysis.growth import Growth
from defectscope.analysis.hardening import Hardening
from defectscope.analysis.line_motion import LineMotion
from defectscope.analysis.line_spacing import LineSpacing
from defectscope.analysis.sizes import SizeDistribution
from defectscope.analysis.survival import Survival
from defectscope.analysis.swelling import Swelling
from defectscope.analysis.track_report import TrackReport
from defectscope.analysis.trajectories import Trajectories

LOOP = ("dislocation-loop", 10.0)
FLAT = Calibration(pixel_size_nm=0.5)


def said(analysis, tables):
    assert analysis.analyse(tables) == []
    return analysis.why_nothing(tables)


@pytest.mark.parametrize(
    "analysis", [Growth, Diffusion, Trajectories, TrackReport, Survival, LineMotion]
)
def test_without_a_tracker(make_tables, analysis):
    tables = make_tables({0: [LOOP]})
    assert said(analysis(), tables) == "nothing was tracked; choose a tracker for the run"


def test_too_few_sightings(make_tables):
    rows = [{"frame": k, "particle": p, "x": 5.0, "y": 5.0, "diameter_nm": 9.0}
            for p in (1, 2) for k in range(3 + p)]  # fmt: skip
    tables = make_tables({k: [LOOP] for k in range(5)}, tracks=pd.DataFrame(rows),
                         calibration=FLAT)  # fmt: skip
    text = said(Growth(), tables)
    assert text == "no particle has 8 sightings with a size; the most is 5"
    bare = pd.DataFrame(rows[:3]).drop(columns="diameter_nm")
    tables = make_tables({k: [LOOP] for k in range(5)}, tracks=bare, calibration=FLAT)
    assert said(Growth(), tables).startswith("no sizes were measured")
    assert said(Diffusion(), tables) == "no particle has 5 sightings"


def test_unknown_calibration(make_tables):
    assert "thickness" in said(Hardening(), make_tables({0: [LOOP]}, calibration=FLAT))
    cavity = {0: [("cavity", 3.0)]}
    assert "thickness" in said(Swelling(), make_tables(cavity, calibration=FLAT))
    assert "pixel size" in said(Swelling(), make_tables(cavity, calibration=Calibration()))
    assert "cavity, void, bubble" in said(Swelling(), make_tables({0: [LOOP]}))


def test_hardening_without_a_diameter(make_tables):
    assert said(Hardening(), make_tables({0: [], 1: []})) == "nothing was found"
    unmeasured = make_tables({0: [("dislocation-loop", float("nan"))], 1: []})
    assert "sizes" in said(Hardening(), unmeasured)


def test_hardening_is_only_of_types_with_a_diameter(make_tables):
    tables = make_tables({0: [LOOP, ("dislocation", float("nan"))], 1: []})
    (finding,) = Hardening().analyse(tables)
    assert [number.label for number in finding.numbers] == [
        "Hardening by dislocation-loops in the last frame"
    ]
    lines = finding.table[finding.table["defect_type"] == "dislocation"]
    assert lines.filter(like="hardening_mpa").isna().all(axis=None)


def test_nothing_measured_and_no_lines(make_tables):
    assert "sizes" in said(SizeDistribution(), make_tables({0: []}))
    bare = make_tables({0: [LOOP]}, tracks=pd.DataFrame({"frame": [0], "particle": [0]}))
    for analysis in (LineSpacing, LineMotion):
        assert "skeleton-spline" in said(analysis(), bare)
