"""Growth of particles where the axis, or what was seen, tells little."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration
from defectscope.analysis.defect_classes import class_table
from defectscope.analysis.diffusion import (
    Diffusion,
    DiffusionOptions,
)
from defectscope.analysis.growth import Growth
from defectscope.analysis.growth_fits import fit_growth, growth_rates, mean_rate
from defectscope.analysis.scales import growth_axis
from defectscope.core.errors import OptionError
from defectscope.core.options import validate_options
from defectscope.plugins.testing import AnalysisConformance


def growing(frames=10, rate=0.5):
    frame = np.arange(frames)
    return pd.DataFrame(
        {"frame": frame, "particle": 0, "x": 5.0 + 0.1 * (frame % 2), "y": 5.0,
         "diameter_nm": 20 + rate * frame, "time_s": 1.0 * frame, "defect_type": "dislocation-loop",
         "origin": "detector"}
    )  # fmt: skip


@pytest.mark.parametrize("dose", [0.1, 5.0])
def test_under_a_constant_dose_growth_is_against_time(make_tables, dose):
    calibration = Calibration(
        pixel_size_nm=1, frame_interval_s=1, dose_start_dpa=dose, dose_per_frame_dpa=0
    )
    tracks = growing().assign(dose_dpa=dose)
    tables = make_tables({k: [] for k in range(10)}, calibration=calibration, tracks=tracks)
    rates = next(f for f in Growth().analyse(tables) if "rate_nm_per_s" in f.table).table
    assert rates["rate_nm_per_s"].tolist() == [pytest.approx(0.5)]


def test_growth_is_not_against_a_dose_that_some_frames_lack(make_tables):
    tables = make_tables({k: [] for k in range(10)}, tracks=growing().assign(dose_dpa=0.1))
    tables.frames.loc[3:, "dose_dpa"] = np.nan
    assert growth_axis(tables) == ("time_s", "s")
    tables.frames.loc[3, "time_s"] = np.nan
    assert growth_axis(tables) == ("frame", "frame")


@pytest.mark.parametrize(
    ("known", "start"),
    [({}, ("start_frame", 7)), ({"frame_interval_s": 2.0}, ("start_time_s", 14.0)),
     ({"dose_start_dpa": 1.0, "dose_per_frame_dpa": 0.1}, ("start_dose_dpa", 1.7))],
)  # fmt: skip
def test_growth_laws_say_from_where_they_count(make_tables, known, start):
    calibration = Calibration(pixel_size_nm=1, **known)
    tracks = growing(30).assign(dose_dpa=1 + 0.1 * np.arange(30), time_s=2.0 * np.arange(30))
    # The particle comes in later, and its first size is not known.
    tracks = tracks.iloc[5:].assign(particle=3)
    tracks.loc[tracks["frame"] < 7, "diameter_nm"] = np.nan
    tables = make_tables({k: [] for k in range(30)}, calibration=calibration, tracks=tracks)
    laws = next(f for f in Growth().analyse(tables) if f.name == "growth-laws").table
    linear = laws.set_index("law").loc["linear"]
    name, value = start
    assert linear[name] == pytest.approx(value)
    # With which the law tells the sizes.
    assert linear["d0_nm"] == pytest.approx(20 + 0.5 * 7, abs=1e-6)


def test_a_particle_at_one_place_of_the_axis_has_no_rate():
    rows = growing().assign(dose_dpa=0.1)
    assert growth_rates(rows, "dose_dpa", "diameter_nm").empty


def held(rho, count=400, frames=60, rate=0.05):
    """Return how often the limits of single rates hold the truth; scatter goes on by `rho`."""
    rng = np.random.default_rng(0)
    scatter = rng.normal(size=(frames, count))
    for k in range(1, frames):
        scatter[k] = rho * scatter[k - 1] + np.sqrt(1 - rho**2) * scatter[k]
    frame, particle = (part.T.ravel() for part in np.indices((frames, count)))
    sizes = 20 + rate * np.arange(frames)[:, None] + scatter
    rows = pd.DataFrame({"particle": particle, "frame": frame, "diameter_nm": sizes.T.ravel()})
    found = growth_rates(rows, "frame", "diameter_nm")
    return ((found["rate_low"] <= rate) & (rate <= found["rate_high"])).mean()


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_limits_of_single_rates_allow_for_scatter_that_goes_on(rho):
    # Taken as independent, 74 and 47 % were held at 0.5 and 0.8.
    assert 0.9 <= held(rho) <= 0.99


def test_successive_sizes_count_as_no_more_than_there_are(make_tables):
    wobble = np.array([0.1, -0.1] * 5)
    rows = growing(rate=0.5).assign(diameter_nm=lambda table: table["diameter_nm"] + wobble)
    (row,) = growth_rates(rows, "frame", "diameter_nm").to_dict("records")
    t = np.arange(10) - 4.5
    left = wobble - t * (t @ wobble) / (t @ t)
    assert row["rate_error"] == pytest.approx(np.sqrt(left @ left / 8 / (t @ t)))
    # Student's quantile for eight.
    assert row["rate_high"] - row["rate"] == pytest.approx(2.306 * row["rate_error"], rel=1e-3)
    tables = make_tables({}, indices=range(10), tracks=rows, calibration=Calibration())
    assert all("scatter of sizes about their line" in f.note for f in Growth().analyse(tables))


def rates_of(*pairs):
    return pd.DataFrame(pairs, columns=["rate", "rate_error"])


def test_particles_that_do_not_change_count_in_the_mean_rate():
    rows = [growing(rate=0).assign(particle=k) for k in range(3)]
    wobble = np.array([0.1, -0.1] * 5)
    rows += [
        growing(rate=0.5).assign(particle=k, diameter_nm=lambda t: t["diameter_nm"] + wobble)
        for k in (3, 4, 5)
    ]
    found = mean_rate(growth_rates(pd.concat(rows), "frame", "diameter_nm"))
    assert found.particles == 6
    assert found.rate == pytest.approx(0.25, abs=0.02)
    assert found.low < 0.25 < found.high


@pytest.mark.parametrize("zero", [0.0, 1e-16])
def test_an_error_of_nothing_weighs_as_much_as_the_least_other_one(zero):
    others = [(0.4, 0.1), (0.6, 0.3), (0.1, 0.2)]
    exact, least = (mean_rate(rates_of((0.2, error), *others)) for error in (zero, 0.1))
    assert exact == pytest.approx(least)


def test_without_any_error_the_mean_rate_is_the_plain_mean():
    found = mean_rate(rates_of((0.0, 0.0), (0.0, 0.0), (0.6, 0.0)))
    assert (found.rate, found.error, found.particles) == pytest.approx((0.2, 0.2, 3))
    assert found.high == pytest.approx(0.2 + 4.303 * 0.2, rel=1e-3)
    alike = mean_rate(rates_of((0.5, 0.0), (0.5, 0.0)))
    assert alike.rate == 0.5
    assert np.isnan([alike.error, alike.low, alike.high]).all()


def test_one_particle_has_a_diffusion_coefficient_without_limits(make_tables):
    tables = make_tables({k: [] for k in range(10)}, tracks=growing())
    for finding in Diffusion().analyse(tables):
        for number in finding.numbers:
            assert all(end is None or np.isfinite(end) for end in (number.low, number.high))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"smallest_size": 20.0}, "20 to 18 nm"),
        ({"smallest_size": 18.0}, "18 to 18 nm"),
        ({"largest_size": 1.5}, "2 to 1.5 nm"),
    ],
)
def test_bins_of_size_that_hold_nothing_are_refused(make_tables, given, found):
    tables = make_tables({k: [] for k in range(10)}, tracks=growing())
    with pytest.raises(OptionError, match=f"found {found}; set both smallest_size and largest"):
        Diffusion(DiffusionOptions(**given)).analyse(tables)
    both = {"smallest_size": 20.0, "largest_size": 25.0}
    found = Diffusion(DiffusionOptions(**both)).analyse(tables)
    assert found[0].table["particles"].tolist() == [1]
    with pytest.raises(OptionError, match="largest_size must be above smallest_size, found 4 and"):
        validate_options(DiffusionOptions, {"smallest_size": 5, "largest_size": 4}, "diffusion")


def test_tracks_outside_the_bins_of_size_are_said(make_tables):
    rows = pd.concat(
        growing().assign(particle=k, diameter_nm=size)
        for k, size in enumerate((1.5, 2.0, 9.0, 18.0, 40.0))
    )
    tables = make_tables({}, indices=range(10), tracks=rows)
    found = Diffusion().analyse(tables)[0]
    assert found.table["particles"].sum() == 3
    assert found.note == (
        "2 of 5 tracks lie outside 2–18 nm and are in no bin; see smallest_size, largest_size."
    )
    wider = DiffusionOptions(smallest_size=1, largest_size=50)
    assert Diffusion(wider).analyse(tables)[0].note == ""


def test_a_single_size_in_px_has_a_bin_whatever_is_its_end(make_tables):
    tracks = growing(rate=0).rename(columns={"diameter_nm": "diameter_px"})
    tables = make_tables({k: [] for k in range(10)}, tracks=tracks)
    for given in ({}, {"smallest_size": 20.0}, {"largest_size": 20.0}):
        (finding, *_) = Diffusion(DiffusionOptions(**given)).analyse(tables)
        assert finding.table["particles"].tolist() == [1]
    with pytest.raises(OptionError, match=r"found 20\.5 to 20 px"):
        Diffusion(DiffusionOptions(smallest_size=20.5)).analyse(tables)


def test_the_error_of_a_displacement_of_one_particle_is_not_known(make_tables, drawn):
    short = growing(6).assign(particle=1, x=lambda rows: 90 + 0.3 * rows["frame"] ** 2)
    tables = make_tables({k: [] for k in range(10)}, tracks=pd.concat([growing(), short]))
    finding = next(f for f in Diffusion().analyse(tables) if f.name == "mean-squared-displacement")
    alone = finding.table["particles"] == 1
    assert alone.tolist() == [lag > 5 for lag in range(1, 10)]
    errors = finding.table.filter(like="_error").iloc[:, 0]
    assert errors[alone].isna().all()
    assert (errors[~alone] > 0).all()
    drawn(finding)


def test_those_of_unknown_size_cover_as_much_as_the_others(make_tables):
    tables = make_tables({0: [("dislocation-loop", 10.0)] * 2 + [("dislocation", 1.0)]},
                         shape=(100, 200))  # fmt: skip
    known = [10.0, np.nan, np.nan]
    tables.detections["major_px"] = tables.detections["minor_px"] = known
    table = class_table(tables).set_index("defect_type")
    seen = 4 / 7
    expected = 2 * np.pi / 4 * 100 / (100 * 200) / seen
    assert table.loc["dislocation-loop", "area_fraction"] == pytest.approx(expected)
    assert np.isnan(table.loc["dislocation", "area_fraction"])


class TestGrowth(AnalysisConformance):
    component = Growth


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


def test_particles_of_growth_are_drawn_or_said_to_be_absent(make_tables, wandering):
    tables = make_tables(
        {}, indices=range(60), tracks=wandering(count=6), calibration=Calibration()
    )
    laws = Growth(Growth.Options(particles=(4, 2))).analyse(tables)[0]
    assert laws.table["particle"].unique().tolist() == [4, 2]
    for particles in ((99,), (2, 99, 100)):
        with pytest.raises(OptionError, match=r"growth\.particles.* particle 99(, 100)?;"):
            Growth(Growth.Options(particles=particles)).analyse(tables)
