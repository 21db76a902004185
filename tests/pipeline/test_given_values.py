"""What scripts give in more than one way, or wrongly."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.calibration import Calibration
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.given_values import several
from defectscope.pipeline.masking import masked_parts

PLAIN = {"overlay": False, "figures": False}
CORNERS = (8, 8, 40, 40)


@pytest.mark.parametrize("one", ["fr", Path("fr"), PurePosixPath("fr"), Choice("fr", "fr")])
def test_one_needs_no_list(one):
    assert several(one) == several((one,)) == [one]
    assert several(()) == []


@pytest.fixture
def pipeline(host):
    return ds.Pipeline("find", host=host)


@pytest.mark.parametrize("roi", [CORNERS, list(CORNERS), np.array(CORNERS)])
def test_a_region_may_be_any_four_whole_numbers(pipeline, series, tmp_path, roi):
    result = pipeline.run(series(2), tmp_path / "run", roi=roi, **PLAIN)
    assert result.roi == CORNERS
    report = ds.analyze(result, ["number-density"], roi=roi, out=tmp_path / "out").report
    assert report.is_file()


@pytest.mark.parametrize("roi", [(0.5, 0, 40, 40), (8, 8, 40), "8,8,40,40", 5])
def test_what_is_no_region(pipeline, series, tmp_path, roi):
    message = "four whole numbers of px, X0,Y0,X1,Y1; found"
    with pytest.raises(ds.OptionError, match=message):
        pipeline.run(series(2), tmp_path / "run", roi=roi, **PLAIN)
    assert not (tmp_path / "run").exists()
    run = pipeline.run(series(2), tmp_path / "run", **PLAIN)
    with pytest.raises(ds.OptionError, match=message):
        ds.analyze(run, ["number-density"], roi=roi)


def test_parts_of_pixels_cannot_be_masked(host):
    with pytest.raises(ds.OptionError, match="in whole px"):
        masked_parts([(0.5, 0, 10.9, 10)], host, [])


def test_frames_of_a_run_are_chosen_by_slice_or_range(pipeline, series, tmp_path):
    run = pipeline.run(series(4), tmp_path / "run", **PLAIN)
    tables = [
        ds.analyze(run, ["number-density"], frames=frames, report=False).findings[0].table
        for frames in ("1:3", slice(1, 3), range(1, 3))
    ]
    assert tables[0]["frame"].tolist() == [1, 2]
    assert all(table.equals(tables[0]) for table in tables)
    with pytest.raises(ds.OptionError, match=r"or as a slice or range; found \(1, 3\)"):
        ds.analyze(run, ["number-density"], frames=(1, 3))


def test_an_unknown_setting_is_said(pipeline, series, tmp_path):
    with pytest.raises(ds.OptionError, match=r"no setting 'worker' \(did you mean 'workers'\?\)"):
        pipeline.run(series(2), worker=2)
    with pytest.raises(ds.OptionError, match="no setting 'worker'"):
        pipeline.watch(tmp_path, tmp_path / "run", worker=2)
    with pytest.raises(ds.OptionError, match=r"\(did you mean 'pixel_size_nm'\?\)"):
        pipeline.watch(tmp_path, tmp_path / "run", pixel_size=0.1)
    for name in ("pixel_size_nm", "dose_rate_dpa_per_s"):
        with pytest.raises(ds.OptionError, match=rf"'{name}' is .*; give it to defectscope\.open"):
            pipeline.run(series(2), tmp_path / "run", **{name: 2})


@pytest.mark.parametrize("options", [{"find": None}, {"find": 3}, ["find"], "find"])
def test_options_are_tables(host, options):
    with pytest.raises(ds.OptionError, match="options are one table a component"):
        ds.Pipeline("find", options=options, host=host)
    with pytest.raises(ds.OptionError, match="options are one table a component"):
        ds.open("frames.tif", options=options, host=host)


@pytest.mark.parametrize("paths", [5, None, [5]])
def test_what_is_no_path_is_not_opened(host, paths):
    with pytest.raises(ds.UsageError, match="expected the path of a file or folder, or several"):
        ds.open(paths, host=host)


@pytest.fixture
def run(pipeline, series, tmp_path):
    return pipeline.run(series(2), tmp_path / "run", **PLAIN)


@pytest.mark.parametrize("given", [5, None, ["a.csv"], [1] * 100])
def test_what_is_no_path_is_one_sentence(host, pipeline, tmp_path, given):
    for use in (
        lambda: ds.load_run(given),
        lambda: ds.analyze(given, host=host),
        lambda: ds.track(given, "by-rank", host=host),
        lambda: ds.open_dataset(given, host=host),
        lambda: ds.save_dataset(ds.Dataset([]), given),
        lambda: ds.evaluate(given, ds.Dataset([]), host=host),
        lambda: ds.evaluate(ds.Dataset([]), given, host=host),
        lambda: pipeline.watch(given, tmp_path / "run"),
        lambda: pipeline.watch(tmp_path, given),
    ):
        with pytest.raises(ds.UsageError, match=r"^expected .*; found") as caught:
            use()
        assert len(str(caught.value)) < 160


def test_what_is_no_table_of_tracks_is_one_sentence(host, run):
    for given in (5, run):
        with pytest.raises(ds.UsageError, match=r"^expected a table of tracks, or its file; found"):
            ds.analyze(run, tracks=given, host=host)


def test_names_are_text_or_several(host, run):
    with pytest.raises(ds.UsageError, match="expected one name, or several as a list; found 5"):
        ds.Pipeline("find", 5, host=host)
    with pytest.raises(ds.UsageError, match="expected one name, or several as a list; found 5"):
        ds.analyze(run, 5, host=host)


def test_fields_of_a_calibration_have_names():
    with pytest.raises(ds.OptionError, match="the calibration has no '1'"):
        Calibration.of({1: 3})


def test_options_of_a_format_are_one_table(tmp_path):
    ds.save_dataset(ds.Dataset([]), tmp_path / "labels")
    with pytest.raises(ds.OptionError, match=r"options are a table, such as .*; found 3"):
        ds.open_dataset(tmp_path / "labels", options=3)


def test_a_pipeline_runs_on_frames_and_not_on_paths(pipeline, series, tmp_path):
    for path in (Path("frames"), "frames", ["frames"]):
        with pytest.raises(ds.UsageError, match=r"runs on what defectscope\.open returns.*found"):
            pipeline.run(path)
    one = ds.Frame(series(1).read(0), 3)
    assert pipeline.run(one, tmp_path / "run", **PLAIN).frames["frame"].tolist() == [3]
