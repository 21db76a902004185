"""What scripts give in more than one way, or wrongly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import defectscope as ds
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.given_values import several
from defectscope.pipeline.masking import masked_parts

PLAIN = {"overlay": False, "figures": False}
CORNERS = (8, 8, 40, 40)


@pytest.mark.parametrize("one", ["fr", Path("fr"), Choice("fr", "fr")])
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


def test_a_pipeline_runs_on_frames_and_not_on_paths(pipeline, series, tmp_path):
    for path in (Path("frames"), "frames", ["frames"]):
        with pytest.raises(ds.UsageError, match=r"runs on what defectscope\.open returns.*found"):
            pipeline.run(path)
    one = ds.Frame(series(1).read(0), 3)
    assert pipeline.run(one, tmp_path / "run", **PLAIN).frames["frame"].tolist() == [3]
