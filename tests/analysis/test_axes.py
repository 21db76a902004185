"""What figures share: axes, colours, and no state outside of the figure."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from defectscope import DefectType
from defectscope.analysis.axes import (
    PALETTE,
    new_figure,
    series_axis,
    series_styles,
    short_names,
    type_colour,
    whole_ticks,
)
from defectscope.plugins.shipped_types import SHIPPED

TYPES = {kind.name: kind for kind in SHIPPED}


def frames(**columns):
    empty = {"frame": [461, 462], "time_s": [np.nan] * 2, "dose_dpa": [np.nan] * 2}
    return pd.DataFrame({**empty, **columns})


def test_dose_is_preferred_to_time_and_time_to_frames():
    times, doses = {"time_s": [0.0, 1.75]}, {"dose_dpa": [0.8, 0.9]}
    assert series_axis(frames(**times, **doses)) == ("dose_dpa", "Dose (dpa)")
    assert series_axis(frames(**times)) == ("time_s", "Time (s)")
    assert series_axis(frames()) == ("frame", "Frame")
    assert series_axis(frames()[["frame"]]) == ("frame", "Frame")


def test_frames_without_a_dose_do_not_vanish_from_an_axis_of_it():
    assert series_axis(frames(dose_dpa=[np.nan, 0.9])) == ("frame", "Frame")
    assert series_axis(frames(dose_dpa=[np.nan, 0.9], time_s=[0.0, 1.0])) == ("time_s", "Time (s)")
    part = frames(frame=[1, 2, 3], time_s=[np.nan] * 3, dose_dpa=[0.1, np.nan, 0.3])
    assert series_axis(part) == ("frame", "Frame")
    # One that could not be read is on no axis anyway.
    assert series_axis(part.assign(status=["ok", "damaged", "ok"]))[0] == "dose_dpa"
    assert series_axis(part.assign(status=["ok", "damaged", "damaged"]))[0] == "dose_dpa"
    assert series_axis(frames(dose_dpa=[0.9, 0.9]))[0] == "frame"
    assert series_axis(frames(dose_dpa=[0.1, 0.2])[:0])[0] == "frame"


def test_panels_side_by_side():
    figure, panels = new_figure(3, width=2, height=1.5)
    assert len(panels) == len(figure.axes) == 3
    assert tuple(figure.get_size_inches()) == (6, 1.5)
    assert [panel.get_subplotspec().colspan.start for panel in panels] == [0, 1, 2]


@pytest.mark.parametrize("most", [1, 3, 20, 700])
def test_what_is_counted_has_whole_ticks(most):
    _, (panel,) = new_figure()
    panel.set_xlim(0, most)
    whole_ticks(panel.xaxis)
    ticks = panel.get_xticks()
    assert len(ticks) > 1
    np.testing.assert_array_equal(ticks, ticks.round())


def test_series_look_as_their_types_are_registered():
    styles = series_styles([kind.name for kind in SHIPPED], TYPES)
    assert {name: style.colour for name, style in styles.items()} == {
        kind.name: kind.colour for kind in SHIPPED
    }
    assert styles["a<100> loop"].title == "a⟨100⟩ loop"


def test_series_without_a_type_or_with_a_borrowed_colour_get_another():
    types = {
        "one": DefectType("one", "One", "ellipse", colour="#56B4E9"),
        "two": DefectType("two", "Two", "ellipse", colour="#56b4e9"),
    }
    styles = series_styles(["new", "one", "two"], types)
    assert styles["one"] == ("One", "#56b4e9")
    assert styles["two"].title == "Two"
    assert styles["new"].title == "new"
    assert len({style.colour for style in styles.values()}) == 3
    assert {styles["new"].colour, styles["two"].colour} <= set(PALETTE)


def test_more_series_than_colours():
    names = [f"type {k}" for k in range(15)]
    styles = series_styles(names, {})
    assert list(styles) == names
    assert len({styles[name].colour for name in names[: len(PALETTE)]}) == len(PALETTE)
    assert {style.colour for style in styles.values()} <= set(PALETTE)
    assert type_colour(len(PALETTE)) == type_colour(0)


ALL_ANALYSES = """
import sys, warnings
warnings.simplefilter("error")
from defectscope.analysis.density import NumberDensity
from defectscope.analysis.sizes import SizeDistribution
from defectscope.analysis.trajectories import Trajectories
from defectscope.plugins.conformance.tables import sample_tables
import matplotlib

def settings():
    # Asking for the backend would load pyplot.
    return {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != "backend"}

before = settings()
for analysis in (NumberDensity, SizeDistribution, Trajectories):
    for finding in analysis().analyse(sample_tables()):
        if finding.figure is not None:
            finding.figure.savefig(sys.argv[1] + finding.name + ".png")
assert settings() == before
# Matplotlib's own box plots load pyplot, but nothing may be left in its hands.
pyplot = sys.modules.get("matplotlib.pyplot")
print(bool(pyplot and pyplot.get_fignums()))
"""


def test_figures_need_no_window_and_leave_no_state(tmp_path):
    # In a process of its own, for another test may have loaded pyplot in this one.
    answer = subprocess.run(
        [sys.executable, "-c", ALL_ANALYSES, f"{tmp_path}/"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "False"
    assert len(list(tmp_path.glob("*.png"))) >= 3


@pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.name)
def test_titles_of_shipped_types_can_be_drawn(kind, tmp_path):
    figure, (panel,) = new_figure()
    panel.plot([0, 1], label=kind.title)
    panel.legend()
    # A glyph that the font lacks is a warning, and so an error here.
    figure.savefig(tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a.png", "b.png"], ["a.png", "b.png"]),
        (
            [f"20240311_FeCrAl_300kV_area_{k:04}_BF.tif" for k in (12, 112)],
            ["0012", "0112"],
        ),
        (
            ["a-foil-that-was-thinned-for-long.tif", "b-foil-that-was-thinned-for-long.tif"],
            ["a", "b"],
        ),
        # One that is the beginning of the other would be left without a name.
        (["a-foil-thinned-for-long-", "a-foil-thinned-for-long-x"],
         ["a-foil-thinned-for-long-", "a-foil-thin…-for-long-x"]),
        (["x" * 20 + "é" * 20 + "y" * 20], ["x" * 11 + "…" + "y" * 11]),
        ([], []),
    ],
)  # fmt: skip
def test_long_names_are_short_where_they_differ(names, short):
    assert short_names(names) == short
