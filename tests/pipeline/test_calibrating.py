"""Calibrations put together, and tables under a calibration that comes later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

import defectscope as ds
from defectscope.core.errors import OptionError
from defectscope.core.recalibration import recalibrated
from defectscope.pipeline.calibrating import HALF_A_LAW, merged_calibration, unknown_fractions

KNOWN: dict[str, Any] = {
    "pixel_size_nm": 0.4,
    "frame_interval_s": 2.0,
    "dose_start_dpa": 0.5,
    "dose_per_frame_dpa": 0.01,
    "thickness_nm": 80.0,
}


def made(folder: Path, **known: Any) -> ds.Result:
    """Run on four frames with two squares, one of which grows."""
    frames = []
    for k in range(4):
        pixels = np.full((60, 80), 200, np.uint8)
        pixels[10 : 22 + 2 * k, 10 : 22 + 2 * k] = 20
        pixels[40:52, 50:62] = 20
        calibration = ds.Calibration(**known)
        frames.append(ds.Frame(pixels, 5 + k, calibration, f"f{k}.png"))
    pipeline = ds.Pipeline("dark-blobs", ["watershed-ellipse"], "trackpy", [])
    return pipeline.run(frames, folder, overlay=False, figures=False)


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> ds.Result:
    return made(tmp_path_factory.mktemp("runs") / "unknown")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> ds.Result:
    return made(tmp_path_factory.mktemp("runs") / "known", **KNOWN)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_tables_are_those_of_a_run_that_knew(
    unknown: ds.Result, known: ds.Result, factor: float, tmp_path: Path
) -> None:
    calibration = ds.Calibration(**KNOWN)
    wrong = {name: value * factor for name, value in KNOWN.items()}
    before = unknown if factor == 1 else made(tmp_path / "wrong", **wrong)
    tables = recalibrated(before.tables, calibration)
    for name in ("frames", "detections", "tracks"):
        found, expected = getattr(tables, name), getattr(known.tables, name)
        pd.testing.assert_frame_equal(found, expected, check_like=True)
        assert list(found.columns) == list(expected.columns)
    assert tables.calibration == calibration


def test_areas_and_curvatures_scale_as_they_must() -> None:
    rows = pd.DataFrame(
        {"frame": [1], "area_px": [10.0], "curvature_per_px": [0.5], "defect_type": ["loop"]}
    )
    tables = ds.Tables(rows[["frame"]], rows, None, None, ds.Calibration())
    found = recalibrated(tables, ds.Calibration(pixel_size_nm=2.0)).detections
    assert found.loc[0].to_dict() == {
        "frame": 1, "area_px": 10.0, "area_nm2": 40.0, "curvature_per_px": 0.5,
        "curvature_per_nm": 0.25, "defect_type": "loop",
    }  # fmt: skip


def test_a_run_is_analysed_under_a_calibration_that_comes_later(
    unknown: ds.Result, known: ds.Result, tmp_path: Path
) -> None:
    before = contents(unknown.folder)
    done = ds.analyze(unknown, out=tmp_path / "a", report=False, **KNOWN)
    assert contents(unknown.folder) == before
    assert not [text for text in done.warnings if "unknown" in text]
    expected = ds.analyze(known, out=tmp_path / "b", report=False)
    for name in expected.files:
        assert (tmp_path / "a/figures" / name).read_bytes() == (
            tmp_path / "b/figures" / name
        ).read_bytes(), name


def test_what_is_unknown_names_the_options(unknown: ds.Result, tmp_path: Path) -> None:
    done = ds.analyze(unknown, out=tmp_path, report=False, pixel_size_nm=0.4, thickness_nm=80.0)
    (said,) = [text for text in done.warnings if "unknown" in text]
    assert said == (
        "unknown, and so left out: frame interval (times are in frames), dose law; "
        "give --frame-interval, --dose-start and --dose-per-frame to analyze"
    )


def test_a_mapping_of_fields_is_overruled_by_single_values() -> None:
    fields = {"pixel_size_nm": 0.2, "thickness_nm": 80}
    merged = merged_calibration(ds.Calibration(), fields, {"pixel_size_nm": 0.4}, [])
    assert merged == ds.Calibration(pixel_size_nm=0.4, thickness_nm=80)
    with pytest.raises(OptionError, match="pixel_size_nm = -1 is not possible"):
        merged_calibration(ds.Calibration(), {"pixel_size_nm": -1}, {}, [])


def test_what_the_run_knows_is_overruled_with_a_word(known: ds.Result, tmp_path: Path) -> None:
    more = {"report": False, "analyses": ["number-density"]}
    done = ds.analyze(known, out=tmp_path, pixel_size_nm=0.2, thickness_nm=80.1, **more)
    said = "the run has 0.4 nm/px, but 0.2 nm/px was given and is used"
    assert [text for text in done.warnings if "the run has" in text] == [said]


def test_a_size_that_is_given_is_not_called_unsure(tmp_path: Path) -> None:
    pixels = np.full((60, 80), 200, np.uint8)
    pixels[10:22, 10:22] = 20
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"unit": "nm"})

    def unsure(warnings: list[str]) -> bool:
        return any("exactly 1 nm" in text for text in warnings)

    assert not unsure(ds.open(tmp_path, pixel_size_nm=1.0).warnings)
    assert not unsure(ds.open(tmp_path, calibration={"pixel_size_nm": 0.4}).warnings)
    frames = ds.open(tmp_path, frame_interval_s=1.0)
    assert unsure(frames.warnings)
    pipeline = ds.Pipeline("dark-blobs", ["watershed-ellipse"], analyses=[])
    done = pipeline.run(frames, tmp_path / "run", overlay=False, figures=False)
    more = {"report": False, "analyses": ["number-density"]}
    assert unsure(ds.analyze(done, out=tmp_path / "as-it-is", **more).warnings)
    assert not unsure(ds.analyze(done, out=tmp_path / "b", pixel_size_nm=0.4, **more).warnings)


def test_a_visible_fraction_of_the_run_is_overruled_with_a_word() -> None:
    def said(before: dict[str, float], after: Any, of_run: bool = True) -> list[str]:
        own, warnings = ds.Calibration(visible_fraction=before), []
        merged_calibration(own, None, {"visible_fraction": after}, warnings, of_run=of_run)
        return warnings

    one = "the run has a visible fraction of 0.5, but 0.8 was given and is used"
    assert said({"*": 0.5}, 0.8) == [one]
    assert said({"black dot": 0.5, "*": 0.6}, 0.8) == [
        "the run has a visible fraction of 0.5 of 'black dot', but 0.8 was given and is used",
        "the run has a visible fraction of 0.6 of other types, but 0.8 was given and is used",
    ]
    assert said({"black dot": 0.5}, {"black dot": 0.5, "void": 0.9}) == [
        "the run has a visible fraction of 1 of 'void', but 0.9 was given and is used"
    ]
    assert said({}, 0.8) == said({"*": 0.5}, 0.501) == said({"*": 0.5}, None) == []
    assert said({"*": 0.5}, 0.8, of_run=False) == []


def test_a_dose_that_does_not_follow_the_times_is_said(tmp_path: Path) -> None:
    own = ds.Calibration(**KNOWN)

    def said(given: ds.Calibration | Path | None = None, **values: float | None) -> list[str]:
        warnings: list[str] = []
        merged_calibration(own, given, values, warnings, of_run=True)
        return [text for text in warnings if "stays" in text]

    stays = (
        "the dose of a frame stays 0.01 dpa; give --dose-rate or --dose-per-frame where it "
        "changes with the time between frames"
    )
    assert said(frame_interval_s=4.0, dose_rate_dpa_per_s=None) == [stays]
    assert said(ds.Calibration(frame_interval_s=4.0)) == [stays]
    assert said(frame_interval_s=4.0, dose_rate_dpa_per_s=0.005) == []
    assert said(frame_interval_s=4.0, dose_per_frame_dpa=0.01) == []
    file = tmp_path / "scope.toml"
    file.write_text("frame_interval_s = 4.0\ndose_per_frame_dpa = 0.01")
    assert said(file) == said(frame_interval_s=2.001) == said(pixel_size_nm=0.1) == []
    own = ds.Calibration(**KNOWN | {"dose_per_frame_dpa": 0.0})
    assert said(frame_interval_s=4.0) == []


def test_a_visible_fraction_of_no_type_is_said(unknown: ds.Result, tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_text('[visible_fraction]\n"dislocation-lop" = 0.5\n"black dot" = 0.7\n"*" = 0.9\n')
    expected = [
        "visible_fraction names 'dislocation-lop', which is no known defect type (did you mean "
        "'dislocation-loop'?); it counts for detections of exactly that name only"
    ]
    cv2.imwrite(str(tmp_path / "a.png"), np.arange(400, dtype=np.uint8).reshape(20, 20))
    frames = ds.open(tmp_path / "a.png", calibration=file)
    assert [text for text in frames.warnings if "visible_fraction" in text] == expected
    known = {"dislocation-loop", "dislocation-line"}
    assert unknown_fractions(frames.calibration, {*known, "black dot"}) == expected
    assert unknown_fractions(frames.calibration, {*known, "dislocation-lop", "black dot"}) == []
    done = ds.analyze(unknown, out=tmp_path / "out", report=False, calibration=file)
    assert expected[0] in done.warnings


def test_half_a_dose_law_that_is_filled_up() -> None:
    own, warnings = ds.Calibration(dose_start_dpa=1.0), []
    merged_calibration(own, None, {"thickness_nm": 70.0}, warnings)
    assert warnings == [HALF_A_LAW]
    warnings.clear()
    merged_calibration(own, None, {"dose_per_frame_dpa": 0.1}, warnings)
    assert warnings == []


def test_names_that_are_none(unknown: ds.Result) -> None:
    with pytest.raises(ds.OptionError, match="'pixel_size' is no calibration value"):
        ds.analyze(unknown, pixel_size=0.4)


def test_a_dose_rate_needs_times_and_stands_for_a_dose_a_frame(tmp_path: Path) -> None:
    own, rate = ds.Calibration(frame_interval_s=2.0, dose_start_dpa=1.0), "dose_rate_dpa_per_s"
    found = merged_calibration(own, None, {rate: 5e-4}, [])
    assert found.dose_dpa(10) == pytest.approx(1.01)
    # A single value overrules a file, and the interval may come with the rate.
    (tmp_path / "scope.toml").write_text("dose_per_frame_dpa = 7.0")
    values = {rate: 5e-4, "frame_interval_s": 4.0}
    assert merged_calibration(own, tmp_path / "scope.toml", values, []).dose_per_frame_dpa == 0.002
    with pytest.raises(ds.OptionError, match="give --dose-rate or --dose-per-frame, not both"):
        merged_calibration(own, None, {rate: 5e-4, "dose_per_frame_dpa": 0.1}, [])
    with pytest.raises(ds.OptionError, match="--dose-rate needs the time between frames"):
        merged_calibration(ds.Calibration(), None, {rate: 5e-4}, [])
    with pytest.raises(ds.OptionError, match=r"--dose-rate must be .* found -1"):
        merged_calibration(own, None, {rate: -1.0}, [])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"thickness_nm": 75e-9}, "thickness in nm: 7.5e-08 nm is thinner than an atom"),
        ({"thickness_nm": 75e3}, "thickness in nm: 75000 nm lets no electrons through"),
        ({"pixel_size_nm": 372}, "pixel size in nm: 372 nm shows no defect"),
        ({"pixel_size_nm": 3.7e-10}, "pixel size in nm: 3.7e-10 nm is far smaller than an atom"),
        ({"frame_interval_s": 1.75e-9}, "frame interval in s: 1.75e-09 s is shorter"),
    ],
)
def test_values_that_are_hardly_meant(values: dict[str, float], said: str) -> None:
    warnings: list[str] = []
    merged_calibration(ds.Calibration(), None, values, warnings)
    assert len(warnings) == 1
    assert warnings[0].startswith(said)
    assert warnings[0].endswith("; check the unit")
    merged_calibration(ds.Calibration(**KNOWN), None, {}, warnings)
    assert len(warnings) == 1


def test_unrelated_images_have_no_times_and_no_growing_dose() -> None:
    frames = []
    for number, side in ((1, 60), (2, 80)):
        pixels = np.full((side, 80), 200, np.uint8)
        pixels[10:22, 10:22] = 20
        frames.append(ds.Frame(pixels, number, ds.Calibration(**KNOWN), f"a{number}.png"))
    pipeline = ds.Pipeline("dark-blobs", analyses=[])
    plain = {"mixed_sizes": True, "overlay": False}
    result = pipeline.run(frames, **plain)
    assert result.frames[["time_s", "dose_dpa"]].isna().all(axis=None)
    assert result.detections["dose_dpa"].isna().all()
    assert result.calibration == ds.Calibration(pixel_size_nm=0.4, thickness_nm=80.0)
    (said,) = [text for text in result.warnings if "unrelated images" in text]
    assert "have no time and no dose by their numbers" in said
    assert "leave out --frame-interval and --dose-per-frame, also of the" in said
    one = ds.Calibration(dose_start_dpa=1.0, dose_per_frame_dpa=0.0)
    same = [ds.Frame(f.pixels, f.index, one, f.source) for f in frames]
    result = pipeline.run(same, **plain)
    assert result.frames["dose_dpa"].tolist() == [1.0, 1.0]
    assert not [text for text in result.warnings if "unrelated images" in text]
