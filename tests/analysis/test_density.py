"""Densities against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope import Calibration, Runtime, Tables
from defectscope.analysis.density import DensityOptions, NumberDensity, density_table
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance, PluginConformance

LOOP = ("dislocation-loop", 10.0)
DOT = ("black dot", 3.0)


class TestNumberDensity(AnalysisConformance):
    component = NumberDensity


class TestShippedAnalyses(PluginConformance):
    plugin = "defectscope.analysis.plugin"


def test_the_density_of_a_hundred_loops_in_the_frames_of_p2(make_tables):
    # 1120 x 710 px of 0.37197 nm are 416.6 nm x 264.1 nm = 1.10026e-13 m²; times 75 nm
    # 8.2519e-21 m³. 100 loops seen are 175 loops: 1.5905e15 m⁻² and 2.1207e22 m⁻³.
    table = density_table(make_tables({461: [LOOP] * 100}))
    (row,) = table.to_dict("records")
    assert row["count"] == 100
    assert row["area_px"] == 795200
    assert row["areal_density_per_m2"] == pytest.approx(1.59053e15, rel=1e-4)
    assert row["number_density_per_m3"] == pytest.approx(2.12071e22, rel=1e-4)
    # Counting 100 has an error of 10, a tenth.
    assert row["areal_density_per_m2_error"] == pytest.approx(1.59053e14, rel=1e-4)
    assert row["number_density_per_m3_error"] == pytest.approx(2.12071e21, rel=1e-4)
    assert row["dose_dpa"] == pytest.approx(0.8534 + 461 * 1.6466 / 1175)
    assert row["time_s"] == pytest.approx(461 * 1.75)


def test_frames_without_detections_count_zero_and_damaged_ones_do_not_count(make_tables):
    tables = make_tables({3: [LOOP] * 4, 7: [LOOP]}, indices=[3, 4, 5, 7], damaged=[5])
    table = density_table(tables)
    assert table["frame"].tolist() == [3, 4, 7]
    assert table["count"].tolist() == [4, 0, 1]
    assert table["number_density_per_m3"].tolist()[1] == 0
    assert table["number_density_per_m3_error"].tolist()[1] == 0


def test_every_type_has_its_own_count_and_visible_fraction(make_tables):
    calibration = Calibration(
        pixel_size_nm=1.0, thickness_nm=100, visible_fraction={"black dot": 0.5, "*": 0.8}
    )
    found = {0: [LOOP, DOT, LOOP], 1: [DOT]}
    tables = make_tables(found, calibration=calibration, shape=(100, 200))
    table = density_table(tables).set_index(["defect_type", "frame"])
    assert table["count"].to_dict() == {
        ("black dot", 0): 1, ("black dot", 1): 1,
        ("dislocation-loop", 0): 2, ("dislocation-loop", 1): 0,
    }  # fmt: skip
    # 20000 nm² are 2e-14 m².
    areal = table["areal_density_per_m2"]
    assert areal["black dot", 0] == pytest.approx(1 / 2e-14 / 0.5)
    assert areal["dislocation-loop", 0] == pytest.approx(2 / 2e-14 / 0.8)
    volume = table["number_density_per_m3"]
    np.testing.assert_allclose(volume, areal / 100e-9)


@pytest.mark.parametrize(
    ("fractions", "seen"),
    [
        ({}, 1.0),
        ({"*": 0.5}, 0.5),
        ({"dislocation-loop": 0.5}, 0.5),
        ({"dislocation-loop": 0.5, "black dot": 0.8}, 0.5),
        ({"dislocation-loop": 0.5, "*": 0.4}, 0.4),
    ],
)
def test_where_nothing_was_found_the_upper_limit_holds_for_every_type(make_tables, fractions, seen):
    calibration = Calibration(pixel_size_nm=1.0, thickness_nm=100, visible_fraction=fractions)
    (row,) = density_table(make_tables({0: []}, calibration=calibration, shape=(100, 200))).to_dict(
        "records"
    )
    assert (row["defect_type"], row["areal_density_per_m2"]) == ("all", 0)
    # 3.689 is the upper limit of none; 20000 nm² are 2e-14 m².
    assert row["areal_density_per_m2_high"] == pytest.approx(3.689 / 2e-14 / seen, rel=1e-3)


def test_the_field_of_view_is_the_roi(make_tables):
    found = {0: [LOOP] * 5}
    whole = density_table(make_tables(found, shape=(100, 200)))
    part = density_table(make_tables(found, shape=(100, 200), roi=(0, 0, 100, 50)))
    assert whole["area_px"].tolist() == [20000]
    assert part["area_px"].tolist() == [5000]
    ratio = part["number_density_per_m3"] / whole["number_density_per_m3"]
    assert ratio.tolist() == pytest.approx([4])


def test_frames_of_different_sizes_have_each_their_area(make_tables):
    tables = make_tables({0: [LOOP], 1: [LOOP]}, shape=(100, 100))
    tables.frames.loc[1, ["width_px", "height_px"]] = [50, 40]
    assert density_table(tables)["area_px"].tolist() == [10000, 2000]


@pytest.mark.parametrize(
    ("known", "columns"),
    [
        ({}, set()),
        ({"thickness_nm": 75}, set()),
        ({"pixel_size_nm": 0.5}, {"areal_density_per_m2"}),
        (
            {"pixel_size_nm": 0.5, "thickness_nm": 75},
            {"areal_density_per_m2", "number_density_per_m3"},
        ),
    ],
)
def test_what_is_unknown_is_left_out(make_tables, drawn, known, columns):
    tables = make_tables({0: [LOOP] * 2, 1: [LOOP]}, calibration=Calibration(**known))
    (finding,) = NumberDensity().analyse(tables)
    own = {"frame", "time_s", "dose_dpa", "defect_type", "count", "area_px"}
    quantities = {"true_count", *columns}
    sides = {f"{name}_{side}" for name in quantities for side in ("error", "low", "high")}
    assert set(finding.table) == own | quantities | sides
    (panel,) = drawn(finding)
    label = panel.get_ylabel()
    assert label == {
        0: "Number a frame", 1: "Areal density (m$^{-2}$)", 2: "Number density (m$^{-3}$)"
    }[len(columns)]  # fmt: skip
    assert panel.get_xlabel() == "Frame"


def test_the_figure_shows_the_table(make_tables, drawn):
    tables = make_tables({461: [LOOP] * 9, 462: [LOOP] * 4 + [DOT], 463: []})
    types = {kind.name: kind for kind in SHIPPED}
    (finding,) = NumberDensity(None, Runtime(defect_types=types)).analyse(tables)
    assert finding.name == "number-density"
    (panel,) = drawn(finding)
    assert panel.get_xlabel() == "Dose (dpa)"
    lines = {line.get_label(): line for line in panel.lines}
    assert set(lines) == {"Dislocation loop", "Black dot"}
    for name, title in (("dislocation-loop", "Dislocation loop"), ("black dot", "Black dot")):
        rows = finding.table[finding.table["defect_type"] == name]
        np.testing.assert_allclose(lines[title].get_xdata(), rows["dose_dpa"])
        np.testing.assert_allclose(lines[title].get_ydata(), rows["number_density_per_m3"])
        assert lines[title].get_color() == types[name].colour
    assert panel.get_ylim()[0] == 0


def test_the_band_of_plain_numbers_is_the_exact_poisson_interval(make_tables):
    tables = make_tables({0: [LOOP] * 9, 1: []}, calibration=Calibration())
    (finding,) = NumberDensity().analyse(tables)
    # Tables of the Poisson distribution: 9 seen, mean 4.115 to 17.085; none seen, at most 3.689.
    # Corners beyond a tenth of a unit are those of the band.
    assert finding.table["true_count_low"].round(3).tolist() == [4.115, 0]
    assert finding.table["true_count_high"].round(3).tolist() == [17.085, 3.689]
    (band,) = finding.figure.axes[0].collections
    corners = band.get_paths()[0].vertices.round(3).tolist()
    assert [0, 17.085] in corners
    assert [1, 3.689] in corners


def test_precision_and_recall_are_carried_into_density_and_its_limits(make_tables):
    tables = make_tables({0: [LOOP] * 90})
    plain = density_table(tables).iloc[0]
    scores = {"precision": 0.9, "recall": 0.6, "recall_error": 0.06}
    known = density_table(tables, scores=scores).iloc[0]
    assert known["count"] == 90
    assert known["true_count"] == pytest.approx(135)
    assert known["true_count_error"] == pytest.approx(135 * np.hypot(1 / np.sqrt(90), 0.1))
    ratio = known["areal_density_per_m2"] / plain["areal_density_per_m2"]
    assert ratio == pytest.approx(1.5)
    plain_width = np.log(plain["true_count_high"] / plain["true_count_low"])
    width = np.log(known["true_count_high"] / known["true_count_low"])
    assert width > plain_width
    with_card = Tables(**{**vars(tables), "detector_scores": scores})
    (finding,) = NumberDensity().analyse(with_card)
    assert finding.table["true_count"].tolist() == pytest.approx([135])


def test_precision_and_recall_of_a_card_do_not_correct_tracks_once_more(make_tables):
    tables = make_tables({0: [LOOP] * 2})
    tracks = tables.detections.assign(particle=[0, 1])
    scores = {"precision": 0.8, "recall": 0.4}
    known = {"tracks": tracks, "detector_scores": scores, "detector_source": "by its card"}
    tables = Tables(**{**vars(tables), **known})
    (finding,) = NumberDensity(DensityOptions(rows="tracks")).analyse(tables)
    assert finding.table["true_count"].tolist() == finding.table["count"].tolist() == [2]
    assert "left out" in finding.note
    assert "multiplied" not in finding.note
    assert "corrected for" not in finding.numbers[0].label
    (finding,) = NumberDensity(DensityOptions(rows="tracks", **scores)).analyse(tables)
    assert finding.table["true_count"].tolist() == pytest.approx([4])
    assert "(as given)" in finding.note
    assert "left out" not in finding.note
    # Where nothing was tracked, it is the detections that are counted.
    (finding,) = NumberDensity(DensityOptions(rows="tracks")).analyse(
        Tables(**{**vars(tables), "tracks": None})
    )
    assert finding.table["true_count"].tolist() == pytest.approx([4])


def cut_loops(rng, number, side, radius):
    """Discs at random in a field that reaches beyond a frame, as far as the frame shows them."""
    margin = 2 * radius
    centres = rng.uniform(-margin, side + margin, (number, 2))
    low, high = np.clip(centres - radius, 0, side), np.clip(centres + radius, 0, side)
    seen = (high > low).all(axis=1)
    rows = pd.DataFrame(np.hstack([low, high])[seen], columns=["x_min", "y_min", "x_max", "y_max"])
    rows["x"], rows["y"] = (low[seen] + high[seen]).T / 2  # as a detector sees the visible part
    return rows.assign(frame=0, defect_type="dislocation-loop"), number / (side + 2 * margin) ** 2


def test_loops_cut_by_the_rim_do_not_bias_the_count_of_those_that_are_not(make_tables):
    rng = np.random.default_rng(1)
    found, expected = cut_loops(rng, 40_000, 400, 20)
    tables = make_tables({0: []}, shape=(400, 400), calibration=Calibration())
    tables = Tables(**{**vars(tables), "detections": found})
    naive, fair = (
        density_table(tables, edges).iloc[0]["true_count"] / 400**2 / expected
        for edges in ("centres", "uncut")
    )
    assert naive > 1.15  # the visible part of a cut loop has its centre inside, always
    assert fair == pytest.approx(1, abs=0.02)


def test_a_jump_of_the_stage_is_no_drop_in_density(make_tables):
    rng = np.random.default_rng(4)
    homes = rng.uniform((-100, 0), (600, 300), (700, 2))
    found = []
    for frame in range(10):
        shift = np.array([100.0 if 4 <= frame < 7 else 0.0, 0.0])
        at = homes + shift
        inside = ((at >= 0) & (at < (500, 300))).all(axis=1)
        rows = pd.DataFrame(at[inside], columns=["x", "y"])
        found.append(rows.assign(frame=frame, defect_type="dislocation-loop"))
    tables = make_tables({k: [] for k in range(10)}, shape=(300, 500))
    drift = np.where((np.arange(10) >= 4) & (np.arange(10) < 7), 100.0, 0.0)
    frames = tables.frames.assign(drift_x_px=drift, drift_y_px=0.0, jump=0, correlation=1.0)
    tables = Tables(**{**vars(tables), "frames": frames, "detections": pd.concat(found)})
    table = density_table(tables)
    assert table["area_px"].unique().tolist() == [400 * 300]
    assert len(set(table["count"])) == 1  # the same loops in every frame


def test_rows_outside_of_their_frame_do_not_count(make_tables):
    tables = make_tables({0: [LOOP] * 5, 1: [LOOP]}, shape=(100, 200), calibration=Calibration())
    found = tables.detections.assign(
        x=[-20.0, 199.5, 200.5, 5.0, np.nan, 60.0], y=[5.0, 5.0, 5.0, 100.5, 5.0, 5.0]
    )
    tables.frames.loc[1, ["width_px", "height_px"]] = [50, 40]
    for rows in ({"detections": found}, {"tracks": found.assign(particle=range(6))}):
        options = DensityOptions(rows="tracks" if "tracks" in rows else "detections")
        (finding,) = NumberDensity(options).analyse(Tables(**{**vars(tables), **rows}))
        # One whose place is not known is in its frame.
        assert finding.table["count"].tolist() == [2, 0]


def test_frames_that_share_nothing_are_counted_whole(make_tables):
    tables = make_tables({0: [LOOP] * 3, 1: [LOOP] * 2}, shape=(100, 100))
    frames = tables.frames.assign(drift_x_px=[0.0, 300.0], drift_y_px=0.0)
    table = density_table(Tables(**{**vars(tables), "frames": frames}))
    assert table["area_px"].tolist() == [10_000, 10_000]
    assert table["count"].tolist() == [3, 2]


@pytest.mark.parametrize(
    ("moved", "roi", "said"),
    [
        (0.0, None, ""),
        (None, None, ""),
        (20.0, None, "part of the specimen that every frame shows, 80.0 % of the frame."),
        (20.0, (0, 0, 40, 50), "part of the specimen that every frame shows, 50.0 % of the region"),
        (90.0, None, "the same 10.0 % of the frame only, too little to count in: whole frames are"),
        (300.0, None, "the same 0.0 % of the frame only"),
    ],
)
def test_the_part_of_registered_frames_that_counts_is_said(make_tables, moved, roi, said):
    tables = make_tables({0: [LOOP], 1: [LOOP]}, shape=(100, 100), roi=roi)
    if moved is not None:
        frames = tables.frames.assign(drift_x_px=[0.0, moved], drift_y_px=0.0)
        tables = Tables(**{**vars(tables), "frames": frames})
    (finding,) = NumberDensity().analyse(tables)
    assert said in finding.note
    assert bool(said) == bool(finding.note)


def test_a_run_that_found_nothing(make_tables, drawn):
    tables = make_tables({0: [], 1: []})
    (finding,) = NumberDensity().analyse(tables)
    assert finding.table["count"].tolist() == [0, 0]
    assert finding.table["defect_type"].tolist() == ["all", "all"]
    drawn(finding)


def test_a_run_without_frames_says_nothing(make_tables):
    assert NumberDensity().analyse(make_tables({})) == []
    assert NumberDensity().analyse(make_tables({4: []}, damaged=[4])) == []


def test_a_single_frame_and_many(make_tables, drawn):
    for count in (1, 60):
        (finding,) = NumberDensity().analyse(make_tables({k: [LOOP] for k in range(count)}))
        (panel,) = drawn(finding)
        # Markers show single points; of many only the line is drawn.
        assert panel.lines[0].get_marker() == ("o" if count == 1 else "")


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    pixel_size_nm=st.floats(0.01, 10),
    thickness_nm=st.floats(1, 500),
    visible=st.floats(0.01, 1),
)
def test_densities_give_back_the_counts(counts, pixel_size_nm, thickness_nm, visible):
    calibration = Calibration(
        pixel_size_nm=pixel_size_nm, thickness_nm=thickness_nm, visible_fraction=visible
    )
    frames = pd.DataFrame(
        {"frame": range(len(counts)), "time_s": np.nan, "dose_dpa": np.nan, "width_px": 64,
         "height_px": 32, "status": "ok"}
    )  # fmt: skip
    detections = pd.DataFrame(
        {"frame": np.repeat(np.arange(len(counts)), counts), "defect_type": "x"}
    )
    table = density_table(Tables(frames, detections, None, None, calibration))
    assert table["count"].tolist() == counts
    volume_m3 = 64 * 32 * (pixel_size_nm * 1e-9) ** 2 * thickness_nm * 1e-9
    seen = calibration.visible(str(table["defect_type"].iloc[0])) * volume_m3
    np.testing.assert_allclose(table["number_density_per_m3"] * seen, counts, rtol=1e-9)
    np.testing.assert_allclose(
        table["number_density_per_m3_error"] * seen, np.sqrt(counts), rtol=1e-9
    )


def masked(shape, *parts):
    pixels = np.zeros(shape, bool)
    for x0, y0, x1, y1 in parts:
        pixels[y0:y1, x0:x1] = True
    return pixels


def scattered(rng, number, frames, shape, side=0.0):
    """Defects at random, with boxes of `side`."""
    at = [rng.uniform(0, shape[::-1], (number, 2)) for _ in range(frames)]
    x, y = np.concatenate(at).T
    rows = pd.DataFrame({"frame": np.repeat(np.arange(frames), number), "x": x, "y": y})
    for name, centre in (("x", x), ("y", y)):
        rows[f"{name}_min"], rows[f"{name}_max"] = centre - side / 2, centre + side / 2
    return rows.assign(defect_type="dislocation-loop")


@pytest.mark.parametrize("edges", ["centres", "uncut"])
def test_a_masked_part_is_no_part_of_the_area(make_tables, edges):
    shape, parts = (200, 300), ((0, 150, 120, 200), (280, 0, 300, 10))
    pixels = masked(shape, *parts)
    found = scattered(np.random.default_rng(3), 20_000, 2, shape, side=12.0)
    tables = make_tables({0: [], 1: []}, shape=shape, calibration=Calibration())
    tables = Tables(**{**vars(tables), "detections": found, "masked": pixels})
    table = density_table(tables, edges)
    area = 200 * 300 - 120 * 50 - 20 * 10
    assert table["area_px"].tolist() == [area] * 2
    density = table["true_count"] / area
    np.testing.assert_allclose(density, 20_000 / (200 * 300), rtol=0.02)
    # Without that, the hole in the frame looks like fewer defects.
    blind = Tables(**{**vars(tables), "masked": None})
    whole = density_table(blind, "centres")
    assert whole["area_px"].tolist() == [200 * 300] * 2
    assert table["count"].lt(whole["count"]).all()


def test_a_mask_stays_in_the_frame_while_the_common_field_moves(make_tables):
    shape, pixels = (100, 200), masked((100, 200), (0, 80, 60, 100))
    tables = make_tables({0: [], 1: []}, shape=shape, calibration=Calibration())
    drift = {"drift_x_px": [0.0, 30.5], "drift_y_px": 0.0, "jump": 0, "correlation": 1.0}
    points = {"x": [10.0, 165.0, 40.0, 70.0], "y": [90.0, 90.0, 90.0, 90.0]}
    rows = pd.DataFrame({"frame": [0, 0, 1, 1], **points, "defect_type": "dislocation-loop"})
    tables = Tables(**{**vars(tables), "frames": tables.frames.assign(**drift),
                       "detections": rows, "masked": pixels})  # fmt: skip
    table = density_table(tables)
    # The field is 0 to 169.5 in the first frame, 30.5 to 200 in the second.
    assert table["area_px"].tolist() == [169.5 * 100 - 60 * 20, 169.5 * 100 - 29.5 * 20]
    assert table["count"].tolist() == [1, 1]


def test_a_region_that_is_all_masked_has_no_density(make_tables, drawn):
    tables = make_tables({0: [LOOP]}, shape=(50, 60))
    tables = Tables(**{**vars(tables), "masked": np.ones((50, 60), bool)})
    (finding,) = NumberDensity().analyse(tables)
    (row,) = finding.table.to_dict("records")
    assert (row["count"], row["area_px"]) == (0, 0)
    assert np.isnan(row["areal_density_per_m2"])
    drawn(finding)


def test_a_number_of_lines_is_not_called_their_density(make_tables):
    runtime = Runtime(defect_types={known.name: known for known in SHIPPED})
    tables = make_tables({0: [LOOP, ("dislocation", 50.0)]})
    (finding,) = NumberDensity(runtime=runtime).analyse(tables)
    assert {number.label for number in finding.numbers} == {
        "Density in frame 0, Dislocation loop (1 found)",
        "Number density of lines in frame 0, Dislocation line (1 found)",
    }  # fmt: skip
