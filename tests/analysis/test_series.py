"""Where values stand along a figure, and what shows their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Runtime
from defectscope.analysis.axes import SeriesStyle, new_figure
from defectscope.analysis.defect_classes import DefectClasses
from defectscope.analysis.density import NumberDensity, density_table
from defectscope.analysis.diffusion import Diffusion
from defectscope.analysis.growth import Growth
from defectscope.analysis.series import FrameAxis, SeriesPanel
from defectscope.analysis.sizes import SizeDistribution
from defectscope.analysis.survival import Survival
from defectscope.analysis.trajectories import Trajectories
from defectscope.plugins.conformance.tables import sample_tables
from defectscope.plugins.shipped_types import SHIPPED

LOOP, DOT = ("dislocation-loop", 10.0), ("black dot", 3.0)
UNKNOWN = Calibration()


def frames(number, **columns):
    empty = {
        "frame": range(number),
        "time_s": np.nan,
        "dose_dpa": np.nan,
        "width_px": 200,
        "height_px": 100,
        "status": "ok",
        "source": [f"{k}.png" for k in range(number)],
    }
    return pd.DataFrame({**empty, **columns}, index=range(number))  # fmt: skip


def drawn_panel(table, *, bars=False, types=1):
    _, (panel,) = new_figure()
    series = SeriesPanel(panel, table, "95 % limits", bars=bars, types=types)
    rows = table[table["status"] == "ok"]
    for k in range(types):
        y = 10.0 * (k + 1) + np.arange(len(rows))
        series.draw(rows, y, y - 2, y + 3, SeriesStyle(f"type {k}", "#000000"))
    series.legend()
    return panel


def names(panel):
    return [text.get_text() for text in panel.get_xticklabels()]


def ends(panel):
    """Return the ends of error bars."""
    bars = [bar for group in panel.collections for bar in group.get_segments()]
    return [bar[:, 1].tolist() for bar in bars if len(bar)]


def test_a_single_image_has_error_bars_and_no_axis_of_frames(make_tables, drawn):
    tables = make_tables({7: [LOOP] * 9 + [DOT]}, calibration=UNKNOWN)
    (finding,) = NumberDensity().analyse(tables)
    (panel,) = drawn(finding)
    assert names(panel) == ["black dot", "dislocation-loop"]
    assert panel.get_xlabel() == ""
    assert panel.get_title("left") == "Bars: 95 % limits"
    limits = finding.table[["true_count_low", "true_count_high"]].to_numpy()
    np.testing.assert_allclose(ends(panel), limits)
    assert panel.get_legend() is None


def test_one_readable_frame_of_several_is_a_single_image():
    panel = drawn_panel(frames(3, status=["damaged", "ok", "damaged"]), types=2)
    assert names(panel) == ["type 0", "type 1"]
    assert ends(panel) == [[8, 13], [18, 23]]


def test_images_of_several_sizes_are_not_joined():
    table = frames(3, width_px=[200, 300, 200], dose_dpa=[0.1, 0.2, 0.3])
    panel = drawn_panel(table, types=2)
    assert names(panel) == ["0.png", "1.png", "2.png"]
    assert panel.get_xlabel() == "Image"
    points = [line for line in panel.lines if line.get_marker() == "o"]
    assert {line.get_linestyle() for line in points} == {"None"}
    assert len(ends(panel)) == 6
    # One type does not hide the other.
    assert points[0].get_xdata()[0] != points[1].get_xdata()[0]
    assert panel.get_legend() is not None


def test_long_names_leave_room_for_the_figure(tmp_path):
    long = [
        f"20240311_FeCrAl_300kV_irradiated_area_{k}_{'after ' * k}tilt_BF.tif" for k in range(9)
    ]
    panel = drawn_panel(frames(9, width_px=[200, *[300] * 8], source=long))
    panel.figure.savefig(tmp_path / "long.png", dpi=40)  # a warning of the layout is an error
    assert max(map(len, names(panel))) <= 24
    assert len(set(names(panel))) == 9
    assert (
        FrameAxis(frames(2, width_px=[1, 2], source=long[:2])).where(1).startswith(f"in {long[1]}")
    )


def test_many_images_of_several_sizes_are_numbered():
    panel = drawn_panel(frames(30, width_px=[200, 300] * 15))
    ticks = panel.get_xticks()
    np.testing.assert_array_equal(ticks, ticks.round())
    assert len(ticks) < 15


def test_a_series_is_a_line_in_a_band_at_its_doses():
    table = frames(4, dose_dpa=[0.1, 0.2, 0.4, 0.8])
    panel = drawn_panel(table)
    assert panel.get_title("left") == "Band: 95 % limits"
    assert panel.get_xlabel() == "Dose (dpa)"
    (line,) = panel.lines
    assert line.get_xdata().tolist() == [0.1, 0.2, 0.4, 0.8]
    assert len(panel.collections) == 1
    bars = drawn_panel(table, bars=True)
    assert bars.get_title("left") == "Bars: 95 % limits"
    assert len(ends(bars)) == 4


@pytest.mark.parametrize("number", [4, 100])
def test_many_types_have_outlines_marks_and_a_legend_beside_the_panel(number):
    panel = drawn_panel(frames(number), types=6)
    assert len(panel.collections) == 0  # filled bands of six would mix their colours
    assert panel.get_title("left") == "Thin lines: 95 % limits"
    courses = [line for line in panel.lines if line.get_marker() != "None"]
    assert len({line.get_marker() for line in courses}) == len(courses) == 6
    assert panel.get_legend() is None
    (legend,) = panel.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"type {k}" for k in range(6)]


def test_what_a_series_has_in_one_frame_only_has_a_bar():
    _, (panel,) = new_figure()
    series = SeriesPanel(panel, frames(3), "95 % limits")
    series.draw(pd.DataFrame({"frame": [1]}), [5], [4], [7], SeriesStyle("rare", "#000000"))
    assert ends(panel) == [[4, 7]]


def test_frames_are_at_whole_ticks():
    panel = drawn_panel(frames(3))
    assert panel.get_xlabel() == "Frame"
    np.testing.assert_array_equal(panel.get_xticks(), np.round(panel.get_xticks()))


@pytest.mark.parametrize("limit", [np.nan, np.inf])
def test_limits_that_are_unknown_have_no_bar(limit):
    _, (panel,) = new_figure()
    table = frames(1)
    SeriesPanel(panel, table, "x").draw(table, [5], [-limit], [limit], SeriesStyle("t", "#000000"))
    assert ends(panel) == []


def test_a_dose_that_stays_the_same_is_no_axis():
    assert FrameAxis(frames(3, dose_dpa=0.5, time_s=[0.0, 1.0, 2.0])).column == "time_s"
    assert FrameAxis(frames(3, dose_dpa=0.5)).column == "frame"


SCORES = {"precision": 0.9, "recall": 0.6, "recall_error": 0.06}


def test_numbers_say_what_they_are_corrected_for(make_tables):
    tables = make_tables({7: [LOOP] * 9}, calibration=UNKNOWN)
    types = {kind.name: kind for kind in SHIPPED}
    runtime = Runtime(defect_types=types)
    (number,) = NumberDensity(None, runtime).analyse(tables)[0].numbers
    assert number.label == "Number in frame 7, Dislocation loop (9 found)"
    known = replace(tables, detector_scores=SCORES)
    (number,) = NumberDensity(None, runtime).analyse(known)[0].numbers
    assert number.value == pytest.approx(13.5)
    assert number.label.endswith("loop (9 found, corrected for precision and recall)")


def test_both_densities_of_one_frame_agree(make_tables):
    tables = replace(make_tables({461: [LOOP] * 9 + [DOT] * 3}), detector_scores=SCORES)
    tables.detections[["major_px", "minor_px"]] = 10.0
    densities = density_table(tables, scores=SCORES).set_index("defect_type")
    (finding,) = DefectClasses().analyse(tables)
    types = finding.table.set_index("defect_type")
    for column in ("areal_density_per_m2", "areal_density_per_m2_error"):
        np.testing.assert_allclose(types[column], densities[column].loc[types.index])
    # Nine discs of 10 px among 4 of 7 that are visible, found at 0.9 / 0.6.
    share = 9 * np.pi * 25 / (710 * 1120) * 1.75 * 1.5
    assert types.loc[LOOP[0], "area_fraction"] == pytest.approx(share)
    assert types.loc[LOOP[0], "count"] == 9
    assert "Densities and area fractions are multiplied by 1.500" in finding.note


def test_every_figure_with_bars_or_bands_says_what_they_are():
    tables = sample_tables()
    quiet = {"track-quality", "fast-and-slow", "line-motion"}
    analyses = (NumberDensity, SizeDistribution, DefectClasses, Growth, Diffusion, Trajectories,
                Survival)  # fmt: skip
    found = [f for a in analyses for f in a().analyse(tables) if f.figure is not None]
    assert len(found) > 5
    for finding in found:
        if finding.name not in quiet:
            notes = [panel.get_title("left") for panel in finding.figure.axes]
            assert any(notes), finding.name
