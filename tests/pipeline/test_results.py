"""Run folders as tables, also those that are damaged, unfinished or empty."""

from __future__ import annotations

import gc
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.tables import DETECTION_COLUMNS, FRAME_COLUMNS, GEOMETRY_COLUMNS
from defectscope.pipeline.results import Result

PLAIN = {"overlay": False, "figures": False}


@pytest.fixture
def run(host, series, tmp_path):
    def make(frames=None, tracker="by-rank", name="run", options=None, **settings):
        pipeline = ds.Pipeline("find", ["axes"], tracker, options=options, host=host)
        return pipeline.run(frames or series(4), tmp_path / name, **PLAIN, **settings)

    return make


def test_the_tables_of_a_run(run):
    result = run()
    assert list(result.frames) == list(FRAME_COLUMNS)
    assert set(DETECTION_COLUMNS) <= set(result.detections)
    assert list(result.geometry) == list(GEOMETRY_COLUMNS)
    assert len(result.tracks) == len(result.detections) == 12
    assert result.particles["particle"].tolist() == [0, 1, 2]
    assert result.calibration == ds.Calibration(
        pixel_size_nm=0.5, dose_start_dpa=0.0, dose_per_frame_dpa=0.1
    )
    assert result.roi is None
    assert result.warnings == []
    assert repr(result) == f"<Result {result.folder}: 4 frames, complete>"


def test_a_run_reads_back_as_it_was_returned(run):
    result = run()
    again = ds.load_run(str(result.folder))
    for name in ("frames", "detections", "geometry", "tracks", "particles"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(result, name))
    assert again.info == result.info


def test_numbers_are_read_exactly_by_older_versions_of_pandas(run, series, monkeypatch):
    result, exact, plain = run(), [], pd.read_csv

    def read(*given, float_precision=None, **more):
        exact.append(float_precision == "round_trip")
        return plain(*given, **more)

    monkeypatch.setattr(pd, "__version__", "2.2.3")
    monkeypatch.setattr(pd, "read_csv", read)
    again = ds.load_run(result.folder)
    assert again.frames.equals(result.frames)
    assert len(again.particles) == 3
    run(resume=True)  # the frames that are finished
    with pytest.raises(ds.OutputError, match="holds another run"):
        run()
    assert len(exact) >= 4
    assert all(exact)


def test_tables_are_read_once(run, monkeypatch):
    result = ds.load_run(run().folder)
    first = result.detections
    shutil.rmtree(result.folder)
    assert result.detections is first


TABLES = ("frames", "detections", "geometry", "tracks", "particles", "masks")


def test_a_result_never_shows_the_tables_of_a_later_run(run):
    first = run(options={"find": {"boxes": 1}})
    assert len(first.detections) == 4
    second = run(overwrite=True)
    assert len(first.detections) == 4  # those that were read before
    for name in set(TABLES) - {"detections"}:
        with pytest.raises(ds.InputError, match=r"has been replaced .*load it again"):
            getattr(first, name)
    assert repr(first) == f"<Result {first.folder}: no table of frames, complete>"
    assert len(ds.load_run(first.folder).frames) == len(second.frames) == 4


def test_a_later_run_is_not_taken_for_the_one_that_was_given(run, host):
    first = run(options={"find": {"boxes": 1}})
    run(overwrite=True)
    for use in (
        lambda: ds.analyze(first, ["number-density"], report=False, host=host),
        lambda: ds.track(first, "by-rank", host=host),
        lambda: ds.open_dataset(first, host=host),
    ):
        with pytest.raises(ds.InputError, match=r"has been replaced .*load it again"):
            use()
    assert len(ds.open_dataset(ds.load_run(first), host=host).images) == 4


def test_a_result_is_loaded_again(run, host, series):
    first = run(options={"find": {"boxes": 1}})
    run(overwrite=True)
    assert len(ds.load_run(first).detections) == 12
    again = ds.load_run(ds.Pipeline("find", host=host).run(series(2), **PLAIN))
    gc.collect()
    assert len(again.detections) == 6


def test_analyses_and_a_resumed_run_that_was_complete_leave_a_result_as_it_is(run):
    result = run()
    run(resume=True)
    ds.analyze(result, ["number-density"], report=False)
    for name in TABLES:
        assert getattr(result, name) is not None


def test_columns_have_their_types_whatever_the_values(run, series):
    frames = run(series(4, damaged=(1, 2))).frames
    for name in ("width_px", "height_px", "count"):
        assert frames[name].dtype == "Int64"
        assert frames[name].isna().tolist() == [False, True, True, False]
    assert frames["frame"].dtype == np.int64
    assert frames["width_px"].tolist()[0] == 64
    assert frames["time_s"].isna().all()


def test_names_that_look_like_numbers_stay_names(run):
    rng = np.random.default_rng(0)
    frames = [
        ds.Frame(rng.integers(0, 255, (32, 40), dtype=np.uint8), k, source=name)
        for k, name in enumerate(["001", "1e5"])
    ]
    assert run(frames).frames["source"].tolist() == ["001", "1e5"]


def test_what_was_not_tracked_has_no_tracks(run):
    result = run(tracker=None)
    assert result.tracks is None
    assert result.particles is None
    assert result.tables.tracks is None


def test_analyses_get_all_of_it(run):
    result = run(roi=(4, 2, 40, 44))
    tables = result.tables
    assert tables.frames is result.frames
    assert tables.detections is result.detections
    assert tables.geometry is result.geometry
    assert tables.tracks is result.tracks
    assert tables.calibration == result.calibration
    assert tables.roi == result.roi == (4, 2, 40, 44)


def test_analyses_get_frames_in_the_order_of_their_indices(run):
    indices = (4, 0, 9)
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (48, 64), dtype=np.uint8) for _ in indices]
    frames = [ds.Frame(p, k) for p, k in zip(pixels, indices, strict=True)]
    result = run(frames)
    assert result.frames["frame"].tolist() == [4, 0, 9]
    tables = result.tables
    assert tables.frames["frame"].tolist() == [0, 4, 9]
    assert tables.frames["source"].tolist() == ["frame 0", "frame 4", "frame 9"]
    for table in (tables.detections, tables.tracks):
        assert table["frame"].is_monotonic_increasing
        assert table.index.tolist() == list(range(9))
    pd.testing.assert_frame_equal(
        tables.detections.head(3), result.detections[3:6].reset_index(drop=True)
    )


def test_calibration_comes_back_with_its_fractions(run, series):
    frames = series(2)
    frames.calibration = ds.Calibration(visible_fraction={"black dot": 0.5, "*": 0.25})
    calibration = ds.load_run(run(frames).folder).calibration
    assert calibration == frames.calibration
    assert calibration.visible("black dot") == 0.5


def test_csv_tables_read_like_the_others(run):
    parquet, csv = run(), run(name="csv", table_format="csv")
    assert (csv.folder / "detections.csv").exists()
    for name in ("detections", "tracks", "geometry"):
        one, other = getattr(csv, name), getattr(parquet, name)
        pd.testing.assert_frame_equal(one, other, check_dtype=False)
        # A score of 1.0 is no whole number, as its text might say.
        known = [n for n in one if n in {**DETECTION_COLUMNS, **GEOMETRY_COLUMNS}]
        assert one[known].dtypes.equals(other[known].dtypes)


def test_a_run_that_goes_on_can_be_looked_at(run, tmp_path):
    result = run()
    parts = tmp_path / "parts"
    parts.mkdir()
    table = result.detections
    for start in (0, 2):
        rows = table[table["frame"].isin([start, start + 1])]
        rows.to_parquet(parts / f"part-{start:08d}.parquet", index=False)
    (result.folder / "detections.parquet").unlink()
    parts.rename(result.folder / "detections.parquet")
    again = ds.load_run(result.folder).detections
    pd.testing.assert_frame_equal(again.reset_index(drop=True), table)


def test_a_run_that_ended_before_its_first_frame_has_empty_tables(run, tmp_path):
    with pytest.raises(ds.ComponentError):
        run(options={"find": {"fail_on": 0}})
    result = ds.load_run(tmp_path / "run")
    assert result.info["status"].startswith("failed")
    assert len(result.frames) == 0
    assert list(result.detections) == list(DETECTION_COLUMNS)
    assert list(result.geometry) == list(GEOMETRY_COLUMNS)
    assert len(result.detections) == len(result.geometry) == 0
    assert result.tracks is None
    assert "0 frames" in repr(result)


@pytest.mark.parametrize("name", ["detections", "geometry"])
def test_a_table_that_somebody_deleted_is_named(run, name):
    result = run()
    (result.folder / f"{name}.parquet").unlink()
    with pytest.raises(ds.InputError, match=rf"run lacks its table {name}\.parquet"):
        getattr(ds.load_run(result.folder), name)
    # The parts of a table without any part are none either.
    (result.folder / f"{name}.parquet").mkdir()
    with pytest.raises(ds.InputError, match=rf"lacks its table {name}\.parquet"):
        getattr(ds.load_run(result.folder), name)


@pytest.mark.parametrize(("table_format", "part"), [("parquet", 0.6), ("parquet", 0), ("csv", 0)])
def test_a_table_that_was_cut_short_is_one_sentence(run, table_format, part):
    folder = run(table_format=table_format).folder
    for name in ("detections", "geometry", "tracks", "frames", "particles"):
        (path,) = folder.glob(f"{name}.*")
        whole = path.read_bytes()
        path.write_bytes(whole[: int(part * len(whole)) if path.suffix == ".parquet" else 0])
        message = rf"^the table .*{name}\.\w+ is damaged.*copy it again, or run again with --over"
        with pytest.raises(ds.FormatError, match=message):
            getattr(ds.load_run(folder), name)
        path.write_bytes(whole)


def test_a_cut_row_is_no_row(run):
    folder = run(table_format="csv").folder
    whole = (folder / "detections.csv").read_text()
    (folder / "detections.csv").write_text(whole[: whole.rindex("\n", 0, -1) + 2])
    with pytest.raises(ds.FormatError, match=r"detections\.csv is damaged"):
        ds.load_run(folder).detections  # noqa: B018


def test_a_run_without_its_frames_is_one_sentence(run):
    result = run()
    (result.folder / "frames.csv").unlink()
    with pytest.raises(ds.InputError, match=r"lacks its table frames\.csv"):
        _ = ds.load_run(result.folder).frames


@pytest.mark.parametrize("text", ["", "[]", "{", '"run"'])
def test_a_malformed_record_is_one_sentence(run, text):
    result = run()
    (result.folder / "run.json").write_text(text)
    with pytest.raises(ds.FormatError, match=r"run\.json"):
        Result(result.folder)


@pytest.mark.parametrize(
    ("calibration", "what"),
    [({"tilt_deg": 3}, "tilt_deg"), ({"pixel_size_nm": -1}, "pixel_size_nm"), ([], "no table")],
)
def test_a_calibration_of_another_version_is_one_sentence(run, calibration, what):
    result = run()
    record = json.loads((result.folder / "run.json").read_text())
    record["plan"]["calibration"], record["versions"]["defectscope"] = calibration, "9.1"
    (result.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(
        ds.FormatError, match=rf"run\.json holds .*not know \({what}\); .* by defectscope 9\.1"
    ):
        _ = Result(result.folder).tables


@pytest.mark.parametrize("attribute", ["calibration", "roi", "tables"])
@pytest.mark.parametrize("plan", [{}, {"plan": None}])
def test_a_record_without_its_plan_is_one_sentence(run, attribute, plan):
    result = run()
    (result.folder / "run.json").write_text(json.dumps({"status": "complete", **plan}))
    with pytest.raises(ds.FormatError, match="lacks the plan of the run"):
        getattr(Result(result.folder), attribute)
