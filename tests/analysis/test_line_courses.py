"""What every analysis of lines does with their courses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from defectscope import Calibration, Runtime
from defectscope.analysis.line_density import LineDensity
from defectscope.analysis.line_motion import LineMotion
from defectscope.analysis.line_spacing import LineSpacing
from defectscope.plugins.shipped_types import SHIPPED

TYPES = Runtime(defect_types={known.name: known for known in SHIPPED})


@pytest.mark.parametrize("analysis", [LineSpacing, LineMotion])
def test_outlines_and_nothing_give_nothing(analysis, line_tables, upright):
    loops = line_tables(
        {f: [upright(0), upright(20)] for f in (0, 1)}, defect_type="dislocation-loop"
    )
    assert analysis(runtime=TYPES).analyse(loops) == []
    assert analysis(runtime=TYPES).analyse(line_tables({0: []})) == []


def test_unknown_scale_leaves_px(line_tables, upright):
    frames = {f: [upright(0), upright(20), upright(40)] for f in (0, 1)}
    given = line_tables(frames, Calibration())
    (spacing,) = LineSpacing(runtime=TYPES).analyse(given)
    assert spacing.table["mean_distance_nm"].isna().all()
    (motion,) = LineMotion(runtime=TYPES).analyse(given)
    assert motion.table["velocity_nm_per_s"].isna().all()


def test_outlines_of_an_unregistered_type_are_no_lines(line_tables, upright):
    # As watershed-ellipse gives them: a closed course, and no length.
    given = line_tables({0: [upright(20), upright(60), upright(100)]}, defect_type="cavity")
    for analysis in (LineDensity, LineMotion, LineSpacing):
        assert analysis(runtime=TYPES).analyse(given) == []
    # Lines of such a type have one.
    given = replace(given, detections=given.detections.assign(length_px=100.0))
    (finding,) = LineDensity(runtime=TYPES).analyse(given)
    assert finding.table["length_px"].tolist() == [pytest.approx(300)]


def test_lines_that_no_track_has_count_in_the_density_and_in_pileups(line_tables, upright):
    given = line_tables({f: [upright(20 + f), upright(60 + f), upright(100 + f)] for f in range(2)})
    given = replace(given, tracks=given.tracks[given.tracks["particle"] == 1])
    (density,) = LineDensity(runtime=TYPES).analyse(given)
    assert density.table["lines"].tolist() == [3, 3]
    (spacing,) = LineSpacing(runtime=TYPES).analyse(given)
    # The tracked one tells that it is the same pile-up.
    assert spacing.table[["lines", "pileup"]].to_numpy().tolist() == [[3, 0], [3, 0]]
    (motion,) = LineMotion(runtime=TYPES).analyse(given)
    assert motion.table["particle"].unique().tolist() == [1]
