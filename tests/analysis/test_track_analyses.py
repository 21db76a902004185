"""Quantities of tracks against series whose truth is known, and tables that hold little."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Runtime, Tables
from defectscope.analysis.counting import detection_factor, mean_limits, poisson_limits
from defectscope.analysis.defect_classes import DefectClasses, class_table
from defectscope.analysis.density import NumberDensity, density_table
from defectscope.analysis.diffusion import (
    Diffusion,
    _shared,
    by_size,
    effective_diffusion,
    ensemble_msd,
)
from defectscope.analysis.growth import Growth
from defectscope.analysis.growth_fits import fit_growth, growth_rates, mean_rate
from defectscope.analysis.hardening import (
    Hardening,
    HardeningOptions,
    barrier_hardening,
    hardening_table,
)
from defectscope.analysis.scales import Scale, scale_of
from defectscope.analysis.sizes import SizeDistribution, size_table
from defectscope.analysis.survival import Survival
from defectscope.analysis.swelling import Swelling, sphere_volumes, swelling_of, swelling_table
from defectscope.analysis.track_report import TrackReport
from defectscope.analysis.trajectories import Trajectories, lifetime_table, speeds
from defectscope.core.errors import OptionError
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance

LOOP = ("dislocation-loop", 10.0)
PX = Scale(1.0, "px", 1.0, "frame")


class TestDiffusion(AnalysisConformance):
    component = Diffusion


class TestGrowth(AnalysisConformance):
    component = Growth


class TestDefectClasses(AnalysisConformance):
    component = DefectClasses


class TestTrackReport(AnalysisConformance):
    component = TrackReport


class TestHardening(AnalysisConformance):
    component = Hardening


class TestSwelling(AnalysisConformance):
    component = Swelling


def wandering(seed=0, count=80, frames=60, d=0.2, sigma=0.5, rate=0.05):
    """Particles that walk at random and grow in a straight line, seen with errors."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, np.sqrt(2 * d), (frames, count, 2)), axis=0)
    at = rng.uniform(0, 500, (count, 2)) + walk + rng.normal(0, sigma, walk.shape)
    frame, particle = (part.ravel() for part in np.indices((frames, count)))
    size = rng.uniform(10, 20, count) + rate * np.arange(frames)[:, None]
    size = size + rng.normal(0, 0.3, size.shape)
    table = pd.DataFrame({"frame": frame, "particle": particle, "x": at[..., 0].ravel(),
                          "y": at[..., 1].ravel(), "diameter_px": size.ravel(),
                          "defect_type": "dislocation-loop", "origin": "detector"})  # fmt: skip
    return table[rng.random(len(table)) > 0.1].reset_index(drop=True)


def test_d_comes_out_without_the_error_of_localisation():
    tracks = wandering()
    fit = ensemble_msd(tracks, 20, PX)
    assert fit.d_low < 0.2 < fit.d_high
    assert fit.d == pytest.approx(0.2, rel=0.1)
    assert fit.localisation == pytest.approx(0.5, rel=0.15)
    # P2's formula holds it: D + σ²/τ.
    table = effective_diffusion(tracks, 1, PX)
    assert table["d_eff"].mean() == pytest.approx(0.2 + 0.25, rel=0.05)
    assert effective_diffusion(tracks, 5, PX)["d_eff"].mean() == pytest.approx(0.25, rel=0.1)


def test_d_and_speed_under_a_step_are_those_of_all_frames(make_tables):
    every = wandering(frames=200, sigma=0.0)
    fifth = every[every["frame"] % 5 == 0]
    for tracks, frames in ((every, range(200)), (fifth, range(0, 200, 5))):
        tables = make_tables({}, indices=frames, tracks=tracks)
        nm = scale_of(tables.calibration)
        _, of_tracks, msd = Diffusion().analyse(tables)
        expected = 0.2 * nm.length**2 / nm.time
        assert of_tracks.table["d_eff_nm2_per_s"].mean() == pytest.approx(expected, rel=0.1)
        assert msd.numbers[0].value == pytest.approx(expected, rel=0.1)
        assert msd.table["lag_frames"].iloc[1] == 2 * frames.step
        rates = growth_rates(tracks.sort_values(["particle", "frame"]), "frame", "diameter_px")
        assert mean_rate(rates).rate == pytest.approx(0.05, rel=0.05)
    steady = pd.DataFrame({"frame": np.arange(0, 50, 5), "particle": 0, "x": np.arange(10.0) * 15})
    assert speeds(steady.assign(y=0.0))["speed_px_per_frame"].tolist() == [3]


@pytest.mark.parametrize("sigma", [0.0, 0.5])
@pytest.mark.parametrize("lag", [1, 4, 10])
def test_the_error_of_d_eff_is_what_it_varies_by(lag, sigma):
    # Steps over several frames overlap: taken as independent, the error at 10 was a third of this.
    tracks = wandering(count=600, sigma=sigma)
    table = effective_diffusion(tracks, lag, PX)
    said = np.sqrt((table["d_eff_error"] ** 2).mean())
    assert said == pytest.approx(table["d_eff"].std(), rel=0.2)


def test_the_error_of_d_eff_is_that_of_qian_for_a_track_without_gaps():
    # Their relative variance of a mean of K steps of n in two dimensions, n ≤ K.
    n, k = 10, 50
    (share,) = _shared(np.array([k]), n, 0.0)
    assert share == pytest.approx((4 * n**2 * k + 2 * k + n - n**3) / (6 * n * k**2))
    assert _shared(np.array([k]), 1, 0.0).tolist() == [1 / k]


def test_units_of_d_are_those_of_the_calibration():
    nm = scale_of(Calibration(pixel_size_nm=0.5, frame_interval_s=2.0))
    assert nm == Scale(0.5, "nm", 2.0, "s")
    plain, scaled = (ensemble_msd(wandering(), 10, scale).d for scale in (PX, nm))
    assert scaled == pytest.approx(plain * 0.25 / 2)


def test_the_limits_of_d_and_rate_hold_the_truth_as_often_as_they_say():
    held_d = held_rate = 0
    for seed in range(60):
        tracks = wandering(seed, count=25, frames=40)
        fit = ensemble_msd(tracks, 15, PX)
        held_d += fit.d_low <= 0.2 <= fit.d_high
        mean = mean_rate(growth_rates(tracks.sort_values(["particle", "frame"]), "frame",
                                      "diameter_px"))  # fmt: skip
        held_rate += mean.low <= 0.05 <= mean.high
    # 95 % of 60 are 57; fewer than 51 come by chance once in a thousand.
    assert held_d >= 51
    assert held_rate >= 51


def test_p2s_formula_by_hand():
    tracks = pd.DataFrame({"frame": [0, 1, 2, 4], "particle": 7, "x": [0.0, 3, 3, 9],
                           "y": [0.0, 4, 4, 9], "diameter_nm": [2.0, 2, 4, 8]})  # fmt: skip
    (row,) = effective_diffusion(tracks, 1, PX).to_dict("records")
    # Steps 0 to 1 and 1 to 2, none from 2 to 4: (25 + 0) / 4, halved.
    assert (row["particle"], row["steps"], row["d_eff"]) == (7, 2, 25 / 4 / 2)
    assert row["median_size"] == 3
    assert effective_diffusion(tracks, 2, PX)["d_eff"].tolist() == [(25 + 61) / 2 / 8]


def test_bins_of_size_hold_their_ends_and_leave_out_the_rest():
    table = pd.DataFrame({"median_size": [1.9, 2.0, 2.1, 18.0, 18.1], "d_eff": [9.0, 1, 3, 5, 9]})
    bins = by_size(table, 50, 2, 18)
    assert bins["particles"].tolist() == [2, 1]
    assert bins["d_eff"].tolist() == [2, 5]
    assert bins["size_low"].tolist() == pytest.approx([2, 17.68])
    assert np.isnan(bins["d_eff_error"].iloc[1])


@pytest.mark.parametrize(
    ("law", "size"),
    [
        ("linear", lambda t: 5 + 0.3 * t),
        ("parabolic", lambda t: np.sqrt(25 + 9 * t)),
        ("saturating", lambda t: 30 - 22 * np.exp(-t / 15)),
    ],
)
def test_the_law_that_made_the_sizes_is_found(law, size):
    t = np.arange(60.0)
    noisy = size(t) + np.random.default_rng(0).normal(0, 0.15, 60)
    fits = fit_growth(t, noisy)
    assert fits[0].law == law
    np.testing.assert_allclose(fits[0].size(t), size(t), atol=0.3)
    assert fits[0].residual == pytest.approx(0.15, rel=0.3)
    assert fit_growth(t[:5], noisy[:5]) == []
    assert fit_growth(t, np.full(60, np.nan)) == []


def test_particles_of_growth_are_drawn_or_said_to_be_absent(make_tables):
    tables = make_tables(
        {}, indices=range(60), tracks=wandering(count=6), calibration=Calibration()
    )
    laws = Growth(Growth.Options(particles=(4, 2))).analyse(tables)[0]
    assert laws.table["particle"].unique().tolist() == [4, 2]
    for particles in ((99,), (2, 99, 100)):
        with pytest.raises(OptionError, match=r"growth\.particles.* particle 99(, 100)?;"):
            Growth(Growth.Options(particles=particles)).analyse(tables)


def test_lifetimes_and_speeds_by_hand():
    tracks = pd.DataFrame({"frame": [3, 4, 6, 5], "particle": [1, 1, 1, 2],
                           "x": [0.0, 3, 3, 9], "y": [0.0, 4, 14, 9]})  # fmt: skip
    table = lifetime_table(tracks, pd.DataFrame({"frame": range(3, 11)}))
    assert table["lifetime_frames"].tolist() == [4, 1]
    assert table["from_start"].tolist() == [True, False]
    assert not table["to_end"].any()
    found = speeds(tracks)
    assert found["speed_px_per_frame"].tolist()[0] == 15 / 3
    assert np.isnan(found["speed_px_per_frame"].iloc[1])


def test_hardening_by_hand_and_p3s_error():
    # M·α·μ·b·sqrt(ρ·d) = 3.06·0.4·82e3·0.248e-9·sqrt(1e22·20e-9) MPa.
    found = barrier_hardening(1e22, 20.0)
    assert found.mpa == pytest.approx(3.06 * 0.4 * 82e3 * 0.248e-9 * np.sqrt(1e22 * 20e-9))
    # P3: an error of 1.7 nm of 21.4 nm changes it by 4 %.
    options = HardeningOptions(diameter_error_nm=1.7)
    found = barrier_hardening(1e22, 21.4, options)
    assert found.error_mpa / found.mpa == pytest.approx(0.0397, rel=0.01)
    found = barrier_hardening(1e22, 20.0, None, 2e21, 0.0)
    assert found.error_mpa / found.mpa == pytest.approx(0.1)
    assert barrier_hardening(0.0, 20.0).mpa == 0


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


def test_hardening_of_nothing_is_as_uncertain_as_its_density(make_tables, drawn):
    tables = make_tables({0: [LOOP] * 9, 1: [], 2: []})
    (finding,) = Hardening().analyse(tables)
    last = finding.table.iloc[-1]
    density = density_table(tables).iloc[-1]
    assert last["number_density_per_m3_high"] == density["number_density_per_m3_high"] > 0
    assert (last["hardening_mpa"], last["hardening_mpa_low"]) == (0, 0)
    # None was found, so that the diameter is that of the series.
    highest = barrier_hardening(density["number_density_per_m3_high"], 10.0).mpa
    assert last["hardening_mpa_high"] == pytest.approx(highest)
    (number,) = finding.numbers
    assert (number.value, number.low, number.high) == (0, 0, pytest.approx(highest))
    drawn(finding)


def test_limits_of_hardening_are_those_of_density_and_size(make_tables):
    sizes = np.random.default_rng(0).uniform(8, 12, 60)
    tables = make_tables({0: [("dislocation-loop", size) for size in sizes]})
    table = hardening_table(tables, HardeningOptions(diameter_error_nm=1.0))
    row, density = table.iloc[0], density_table(tables).iloc[0]
    # Student's quantile for 60.
    sampled = 2.001 * sizes.std(ddof=1) / np.sqrt(60)
    relative = np.hypot(sampled, 1.96 * 1.0) / sizes.mean()
    for side, sign in (("low", -1), ("high", 1)):
        ratio = density[f"number_density_per_m3_{side}"] / density["number_density_per_m3"]
        expected = np.exp(sign * np.hypot(np.log(ratio), relative) / 2)
        assert row[f"hardening_mpa_{side}"] / row["hardening_mpa"] == pytest.approx(expected, 1e-4)
    # About as wide as the standard error says.
    assert row["hardening_mpa_high"] / row["hardening_mpa"] == pytest.approx(
        1 + 1.96 * row["hardening_mpa_error"] / row["hardening_mpa"], rel=0.05
    )


def test_limits_of_hardening_by_few_defects_are_students(make_tables):
    sizes = [("dislocation-loop", size) for size in (9.0, 10.0, 11.0)]
    tables = make_tables({0: sizes, 1: sizes[:1]})
    scores = {"precision": 0.8}
    table = hardening_table(tables, scores=scores)
    density = density_table(tables, scores=scores)
    # Quantiles for three; of a single one, those of the four of the series stand in.
    spread = np.std([9, 9, 10, 11], ddof=1)
    wide = [np.hypot(4.3027 / np.sqrt(3), 1.95996 * 0.2) / 10, 3.1824 * spread / 9]
    number, high = (density[f"number_density_per_m3{end}"] for end in ("", "_high"))
    expected = np.exp(np.hypot(np.log(high / number), wide) / 2)
    found = table["hardening_mpa_high"] / table["hardening_mpa"]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_hardening_counts_and_measures_what_number_density_counts(make_tables):
    tables = make_tables({0: [LOOP] * 4 + [("dislocation-loop", 50.0)] * 2}, shape=(100, 100))
    rows = tables.detections.assign(x=[5.0, 6, 7, 8, 95, 96])
    masked = np.zeros((100, 100), bool)
    masked[:, 90:] = True
    scores = {"precision": 0.8, "recall": 0.5}
    tables = Tables(**{**vars(tables), "detections": rows, "masked": masked,
                       "detector_scores": scores, "detector_source": "by its card"})  # fmt: skip
    (finding,) = Hardening().analyse(tables)
    row = finding.table.iloc[0]
    assert row["mean_nm"] == 10
    density = density_table(tables, scores=scores)
    assert row["number_density_per_m3"] == density["number_density_per_m3"].iloc[0]
    assert "multiplied by 1.600" in finding.note
    assert "by its card" in finding.note
    assert "mean sizes hold 0.539 times the spread" in finding.note
    assert "Masked parts (10.0 %)" in finding.note
    plain = Hardening(HardeningOptions(precision=1, recall=1)).analyse(tables)[0]
    ratio = row["hardening_mpa"] / plain.table["hardening_mpa"].iloc[0]
    assert ratio == pytest.approx(np.sqrt(1.6))


def test_hardening_corrects_its_density_for_what_the_rim_cuts(make_tables):
    tables = make_tables({0: [LOOP] * 4}, shape=(100, 100))
    at = np.array([2.0, 30, 50, 70])
    rows = tables.detections.assign(
        x=at, y=50.0, x_min=np.maximum(at - 10, 0), x_max=at + 10, y_min=40.0, y_max=60.0
    )
    tables = Tables(**{**vars(tables), "detections": rows})
    (plain,) = Hardening().analyse(tables)
    (fair,) = Hardening(HardeningOptions(edges="uncut")).analyse(tables)
    # Three whole ones, whose centres lie in 80 px of 100 either way, instead of four.
    ratio = fair.table["hardening_mpa"] / plain.table["hardening_mpa"]
    assert ratio.tolist() == pytest.approx([np.sqrt(3 / 0.8**2 / 4)])
    assert fair.note == "Densities are corrected for what the rim cuts."
    assert plain.note == ""


def test_swelling_by_hand():
    # A sphere of 10 nm is 523.6 nm³ of 100 · 100 · 50 nm³.
    assert sphere_volumes(10.0) == pytest.approx(523.6, rel=1e-4)
    assert swelling_of(523.6, 5e5) == pytest.approx(523.6 / (5e5 - 523.6))
    assert swelling_of(0, 5e5) == 0
    assert np.isnan(swelling_of(6e5, 5e5))


def test_limits_of_swelling_hold_where_no_cavity_is_seen(make_tables, drawn):
    tables = make_tables({0: [("void", 10.0)] * 5, 1: []}, shape=(400, 400))
    (finding,) = Swelling().analyse(tables)
    seen, nothing = finding.table.to_dict("records")
    volume, foil = 523.599 * 7 / 4, 400**2 * 0.37197**2 * 75
    (few, many), (none, most) = (poisson_limits([n]) for n in (5, 0))
    assert seen["swelling_low"] == pytest.approx(float(swelling_of(few[0] * volume, foil)))
    assert seen["swelling_high"] == pytest.approx(float(swelling_of(many[0] * volume, foil)))
    assert (nothing["swelling"], nothing["swelling_low"], none[0]) == (0, 0, 0)
    assert nothing["swelling_high"] == pytest.approx(float(swelling_of(most[0] * volume, foil)))
    (number,) = finding.numbers
    assert (number.low, number.high) == (0, 100 * nothing["swelling_high"])
    drawn(finding)


def test_the_error_of_a_large_swelling_is_that_of_its_volume(make_tables):
    tables = make_tables({0: [("void", 20.0)] * 40}, shape=(200, 200))
    row = swelling_table(tables, ("void",)).iloc[0]
    volume, foil = sphere_volumes(20.0) * 7 / 4, 200**2 * 0.37197**2 * 75
    more = swelling_of((40 + 1e-3 * np.sqrt(40)) * volume, foil) - row["swelling"]
    assert row["swelling"] > 0.5
    assert row["swelling_error"] == pytest.approx(1e3 * float(more), rel=2e-3)


@pytest.mark.parametrize("analysis", [DefectClasses, Swelling])
def test_masked_parts_that_are_left_out_are_said(make_tables, analysis):
    tables = make_tables({0: [("void", 10.0)]}, shape=(100, 200))
    masked = np.zeros((100, 200), bool)
    masked[90:] = True
    (plain,) = analysis().analyse(tables)
    (part,) = analysis().analyse(Tables(**{**vars(tables), "masked": masked}))
    assert "Masked" not in plain.note
    assert part.note.endswith("Masked parts (10.0 %) are left out of the area.")


def test_cavities_without_a_diameter_are_as_large_as_the_others(make_tables):
    gone = ("void", np.nan)
    sizes = {0: [("void", 8.0), ("void", 12.0), gone, gone], 1: [gone], 2: [("void", 10.0)]}
    sizes[0] += [("bubble", 2.0), ("bubble", np.nan)]
    tables = make_tables(sizes, shape=(1000, 1000), calibration=Calibration(
        pixel_size_nm=1, thickness_nm=50, visible_fraction={"void": 0.5}))  # fmt: skip
    scores = {"precision": 0.8, "recall": 0.8}
    table = swelling_table(tables, ("void", "bubble"), scores)
    assert table["count"].tolist() == [6, 1, 1]
    first = sphere_volumes([8.0, 12.0])
    # In the second frame none is known: as those of all frames.
    usual = np.mean([*first, first.mean(), first.mean(), sphere_volumes(10.0)])
    volumes = np.array([8 * first.mean() + 2 * sphere_volumes(2.0), 2 * usual,
                        2 * sphere_volumes(10.0)])  # fmt: skip
    assert table["swelling"].tolist() == pytest.approx(swelling_of(volumes, 5e7).tolist())
    assert (table["swelling_error"] > 0).all()
    assert (table["swelling_high"] > table["swelling"]).all()
    (whole,) = Swelling().analyse(make_tables({0: [("void", 10.0)] * 4}))
    (part,) = Swelling().analyse(make_tables({0: [("void", 10.0)] * 3 + [gone]}))
    pd.testing.assert_frame_equal(part.table, whole.table)
    nothing = make_tables({0: [gone, LOOP]})
    assert Swelling().analyse(nothing) == []
    assert Swelling().why_nothing(nothing).startswith("no sizes were measured")


def test_cavities_that_the_rim_cuts_have_no_volume_of_their_own(make_tables):
    sizes = [("void", 10.0)] * 3 + [("void", 2.0), ("black dot", 2.0)]
    tables = make_tables({0: sizes})
    cut = tables.detections["diameter_nm"] == 2
    detections = tables.detections.assign(at_rim=cut.astype(int), fit=1 - cut.astype(int))
    (part,) = Swelling().analyse(Tables(**{**vars(tables), "detections": detections}))
    (whole,) = Swelling().analyse(make_tables({0: [("void", 10.0)] * 4}))
    pd.testing.assert_frame_equal(part.table, whole.table)
    assert part.note.startswith("Sizes leave out 1 defect of which the rim")


def test_swelling_is_drawn_for_cavities_only(make_tables, drawn):
    tables = make_tables({0: [("void", 10.0), ("dislocation-loop", 50.0)], 1: []}, shape=(100, 100))
    (finding,) = Swelling().analyse(tables)
    volume = 1e4 * 0.37197**2 * 75
    expected = np.pi / 6 * 1000 * 7 / 4
    assert finding.table["swelling"].tolist() == pytest.approx([expected / (volume - expected), 0])
    drawn(finding)
    assert Swelling().analyse(make_tables({0: [("dislocation-loop", 10.0)]})) == []


def test_swelling_and_types_hold_what_is_known_of_the_detector(make_tables):
    sizes = [("void", 8.0), ("void", 12.0), ("void", 10.0), ("black dot", 4.0)]
    tables = make_tables({0: sizes}, shape=(1000, 1000))
    scores = {"precision": 0.8, "recall": 0.5, "recall_error": 0.05}
    known = Tables(**{**vars(tables), "detector_scores": scores, "detector_source": "as said"})
    (bare,), (finding,) = Swelling().analyse(tables), Swelling().analyse(known)
    swelling, error = finding.table[["swelling", "swelling_error"]].iloc[0]
    assert swelling == pytest.approx(1.6 * bare.table["swelling"].iloc[0], rel=1e-3)
    volumes = np.pi / 6 * np.array([8.0, 12, 10]) ** 3 * 7 / 4
    parts = (np.sqrt((volumes**2).sum()), volumes.sum() * 0.1,
             3 * volumes.std(ddof=1) * np.hypot(0.2, 0.5))  # fmt: skip
    foil = 1e6 * 0.37197**2 * 75
    left = foil - 1.6 * volumes.sum()
    assert error == pytest.approx(1.6 * np.linalg.norm(parts) * foil / left**2)
    assert "multiplied by 1.600" in finding.note
    assert "Errors of mean volumes hold 0.539 times the spread" in finding.note
    row = class_table(known, scores=scores).set_index("defect_type").loc["void"]
    plain = class_table(known).set_index("defect_type").loc["void"]
    assert row["mean_error_nm"] == pytest.approx(2 * np.sqrt(1 / 3 + 0.2**2 + 0.5**2))
    wide = 1.96 * np.sqrt(0.75 * 0.25) * np.hypot(0.2, 0.5)
    expected = np.hypot(0.75 - plain["fraction_low"], wide)
    assert row["fraction_low"] == pytest.approx(0.75 - expected, rel=1e-3)
    assert row["fraction_high"] == 1
    (types,) = DefectClasses().analyse(known)
    assert "Errors of fractions and mean sizes hold 0.539" in types.note
    assert types.table["mean_error_nm"].tolist()[1] == row["mean_error_nm"]
    assert DefectClasses().analyse(tables)[0].note == ""


def test_the_table_of_p3(make_tables, drawn):
    dots, loops = [("black dot", size) for size in (4.0, 6.0)], [("a<100> loop", 20.0)] * 6
    tables = make_tables({0: dots + loops, 1: []}, shape=(100, 200))
    table = class_table(tables).set_index("defect_type")
    assert table["count"].to_dict() == {"black dot": 2, "a<100> loop": 6}
    assert table["fraction"].to_dict() == {"black dot": 0.25, "a<100> loop": 0.75}
    # Wilson's limits of 2 in 8, from a table.
    assert table.loc["black dot", "fraction_low"] == pytest.approx(0.0715, abs=2e-4)
    assert table.loc["black dot", "fraction_high"] == pytest.approx(0.5907, abs=2e-4)
    assert table.loc["black dot", "mean_nm"] == 5
    assert table.loc["black dot", "standard_error_nm"] == pytest.approx(1)
    area = 2 * 100 * 200 * (0.37197e-9) ** 2 * 4 / 7
    assert table.loc["a<100> loop", "areal_density_per_m2"] == pytest.approx(6 / area)
    types = {kind.name: kind for kind in SHIPPED}
    (finding,) = DefectClasses(None, Runtime(defect_types=types)).analyse(tables)
    drawn(finding)


@pytest.mark.parametrize("analysis", [Hardening, Swelling, NumberDensity, SizeDistribution])
def test_numbers_of_unrelated_images_name_the_image(make_tables, analysis):
    tables = make_tables({0: [("void", 10.0)] * 3, 1: [("void", 8.0)] * 3}, shape=(400, 400))
    number = analysis().analyse(tables)[0].numbers[-1]
    assert "in the last frame" in number.label or "in frame 1" in number.label
    tables.frames.loc[1, "width_px"] = 500
    number = analysis().analyse(tables)[0].numbers[-1]
    assert "in Frame1.jpg, one of 2 unrelated images" in number.label
    assert "frame " not in number.label


def test_fractions_of_types_that_are_not_equally_visible(make_tables):
    sizes = {0: [("void", 10.0)] * 2 + [("black dot", 4.0)] * 6}
    (same,) = DefectClasses().analyse(make_tables(sizes))
    assert "true_fraction" not in same.table
    known = Calibration(visible_fraction={"void": 0.25, "*": 0.75})
    (finding,) = DefectClasses().analyse(make_tables(sizes, calibration=known))
    assert finding.table["fraction"].tolist() == [0.75, 0.25]
    assert finding.table["true_fraction"].tolist() == [0.5, 0.5]
    assert finding.note.startswith("Fractions are of those found")
    assert finding.figure.axes[0].get_ylabel() == "Fraction of those found"


def test_a_million_defects_of_one_type_are_all_of_them(drawn):
    from defectscope.analysis.defect_classes import _wilson

    for number in (1, 3, 999_983, 1_000_000):
        low, high = _wilson(number, number, 0.95)
        assert low < 1 == high
        assert _wilson(0, number, 0.95)[0] == 0


def test_limits_against_tables():
    low, high = poisson_limits([0, 1, 10])
    np.testing.assert_allclose(low, [0, 0.0253, 4.795], atol=1e-3)
    np.testing.assert_allclose(high, [3.689, 5.572, 18.39], atol=1e-2)
    assert detection_factor({}) == (1, 0)
    low, high = mean_limits(5.0, 1.0, 2)
    assert (high - 5) == pytest.approx(12.706, rel=1e-3)
    assert mean_limits(5.0, np.nan, 1)[1] == np.inf


def test_no_limit_of_a_mean_size_is_negative(make_tables):
    tables = make_tables({0: [("black dot", 2.0), ("black dot", 6.0), LOOP]})
    # Student's quantile for two, 12.706, times an error of 2.
    sizes = size_table(tables, "diameter_nm").set_index("defect_type").loc["black dot"]
    classes = class_table(tables).set_index("defect_type").loc["black dot"]
    for row in (sizes, classes):
        assert (row["mean_nm_low"], row["mean_nm_high"]) == (0, pytest.approx(4 + 25.41, abs=0.01))
    (finding,) = DefectClasses().analyse(tables)
    # One loop tells no limits, neither above nor below.
    assert [(n.low, n.high is None) for n in finding.numbers] == [(0, False), (None, True)]


ANALYSES = (
    Diffusion, Growth, DefectClasses, TrackReport, Trajectories, Survival, Hardening, Swelling,
)  # fmt: skip


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows.iloc[:0],
        lambda rows: rows[rows["frame"] == 0],
        lambda rows: rows[(rows["frame"] == 0) & (rows["particle"] == 0)],
        lambda rows: rows[rows["particle"] == 0],
        lambda rows: rows.assign(diameter_px=np.nan),
        lambda rows: rows.drop(columns=["diameter_px", "origin"]),
        lambda rows: rows.assign(frame=rows["frame"] * 1000),
        lambda rows: rows.sample(frac=1, random_state=0),
    ],
    ids=["nothing", "one-frame", "one-row", "one-particle", "nan", "bare", "gaps", "shuffled"],
)
def test_little_gives_little_and_no_error(analysis, spoil, drawn):
    rows = spoil(wandering(count=6, frames=25))
    frames = pd.DataFrame({"frame": sorted(set(rows["frame"])) or [0], "time_s": np.nan,
                           "dose_dpa": np.nan, "width_px": 500, "height_px": 500,
                           "status": "ok"})  # fmt: skip
    tables = Tables(frames, rows, None, rows, Calibration())
    for finding in analysis().analyse(tables):
        if finding.figure is not None:
            drawn(finding)
        assert all(np.isfinite(n.value) or np.isnan(n.value) for n in finding.numbers)
