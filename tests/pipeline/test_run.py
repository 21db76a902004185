"""Running a pipeline: tables, damaged frames, resume, failures."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.pipeline.input_notes import NO_INTERVAL, ONE_SERIES
from defectscope.pipeline.named import NamedComponent, guarded

PLAIN = {"overlay": False, "figures": False}


@pytest.fixture
def pipeline(host):
    def make(detector="find", post=("axes",), tracker="by-rank", **options):
        return ds.Pipeline(detector, post, tracker, options=options, host=host)

    return make


def test_tables_of_a_run(pipeline, series, tmp_path):
    result = pipeline().run(series(5), tmp_path / "run", **PLAIN)
    assert result.frames["count"].tolist() == [3] * 5
    assert result.frames["dose_dpa"].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert result.frames["time_s"].isna().all()
    found = result.detections
    assert len(found) == 15
    np.testing.assert_allclose(found["major_nm"], found["major_px"] * 0.5)
    np.testing.assert_allclose(found["area_nm2"], found["area_px"] * 0.25)
    expected = np.sqrt(found["major_nm"] * found["minor_nm"])
    np.testing.assert_allclose(found["diameter_nm"], expected)
    assert result.particles["lifetime_frames"].tolist() == [5, 5, 5]
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "complete"


def test_the_same_run_gives_the_same_bytes(pipeline, series, tmp_path):
    for name in ("a", "b"):
        pipeline().run(series(5), tmp_path / name, **PLAIN)
    for table in ("detections.parquet", "tracks.parquet", "geometry.parquet", "frames.csv"):
        assert (tmp_path / "a" / table).read_bytes() == (tmp_path / "b" / table).read_bytes()


def test_tables_are_the_same_bytes_on_windows(pipeline, series, tmp_path, as_on_windows):
    pipeline().run(series(3), tmp_path / "run", **PLAIN)
    assert b"\r" not in (tmp_path / "run/frames.csv").read_bytes()


def test_damaged_frames_are_counted_and_skipped(pipeline, series, tmp_path):
    result = pipeline().run(series(5, damaged=(0, 3)), tmp_path / "run", **PLAIN)
    assert result.frames["status"].tolist() == ["damaged", "ok", "ok", "damaged", "ok"]
    assert result.frames["count"].isna().tolist() == [True, False, False, True, False]
    assert sorted(set(result.detections["frame"])) == [1, 2, 4]
    assert any("frame003.png" in text for text in result.info["damaged_frames"])


def test_strict_stops_and_keeps_what_was_finished(pipeline, series, tmp_path):
    with pytest.raises(ds.DamagedFrameError, match=r"frame003\.png.*--strict"):
        pipeline().run(series(5, damaged=(3,)), tmp_path / "run", strict=True, **PLAIN)
    assert ds.load_run(tmp_path / "run").detections["frame"].max() == 2


def test_no_readable_frame_is_an_error(pipeline, series, tmp_path):
    with pytest.raises(ds.InputError, match="none of 2 frames"):
        pipeline().run(series(2, damaged=(0, 1)), tmp_path / "run", **PLAIN)


def test_a_component_that_raises_is_named_and_the_rest_is_kept(pipeline, series, tmp_path):
    broken = pipeline(find={"fail_on": 3})
    with pytest.raises(ds.ComponentError, match=r"'find' .*fail_on=3.*frame003\.png.*no idea"):
        broken.run(series(5), tmp_path / "run", **PLAIN)
    run = ds.load_run(tmp_path / "run")
    assert run.frames["frame"].tolist() == [0, 1, 2]
    assert run.info["status"].startswith("failed")
    assert len(run.detections) == 9


def test_what_components_print_goes_to_stderr(
    pipeline, host, series, tmp_path, monkeypatch, capsys
):
    find = host.load_class(host.find("detectors", "find"))
    monkeypatch.setattr(find, "open", lambda self: print("opened"))
    monkeypatch.setattr(find, "close", lambda self: print("closed"))
    pipeline().run(series(5), tmp_path / "run", **PLAIN)
    print("data")
    out, said = capsys.readouterr()
    assert out == "data\n"
    assert "opened\n" in said
    assert "closed\n" in said


@pytest.mark.parametrize("threads", [1, 64])  # two lanes, where there are two cores, and one
def test_a_component_that_cannot_be_closed_costs_nothing(
    pipeline, host, series, tmp_path, monkeypatch, threads
):
    def close(self):
        raise RuntimeError("cannot close")

    find = host.load_class(host.find("detectors", "find"))
    monkeypatch.setattr(find, "close", close)
    pipeline = ds.Pipeline("find", ["axes"], "by-rank", host=host, threads=threads)
    result = pipeline.run(series(5), tmp_path / "run", **PLAIN)
    assert result.info["status"] == "complete"
    assert len(result.tracks) == 15
    said = [text for text in result.info["warnings"] if "cannot close" in text]
    assert len(said) == 1
    assert said[0].startswith("'find' (")
    assert "of test-components" in said[0]
    assert "failed while it closed: RuntimeError" in said[0]


def test_what_went_wrong_before_it_could_not_be_closed_is_told(
    pipeline, host, series, tmp_path, monkeypatch
):
    def close(self):
        raise RuntimeError("cannot close")

    find = host.load_class(host.find("detectors", "find"))
    monkeypatch.setattr(find, "close", close)
    with pytest.raises(ds.ComponentError, match="no idea"):
        pipeline(find={"fail_on": 3}).run(series(5), tmp_path / "run", **PLAIN)
    warnings = ds.load_run(tmp_path / "run").info["warnings"]
    assert any("cannot close" in text for text in warnings)


class OwnError(ds.OptionError):
    def __init__(self, number):
        super().__init__(f"no idea {number}")


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ds.InputError("no idea"), ds.InputError), (ds.UsageError("no idea"), ds.UsageError),
     (OwnError(1), ds.OptionError), (ds.ComponentError("no idea"), ds.ComponentError)],
)  # fmt: skip
def test_errors_of_ours_that_a_plugin_raises_name_it(
    pipeline, host, series, tmp_path, monkeypatch, error, kind
):
    def detect(self, frames):
        raise error

    find = host.load_class(host.find("detectors", "find"))
    monkeypatch.setattr(find, "detect", detect)
    message = r"^'find' \(.*fail_on=3\) of test-components .* failed on frame000\.png: no idea"
    with pytest.raises(kind, match=message) as caught:
        pipeline(find={"fail_on": 3}).run(series(2), tmp_path / "run", **PLAIN)
    assert caught.value.exit_code == error.exit_code


def test_errors_that_are_whole_sentences_stay():
    def fail(error):
        raise error

    missing = ds.MissingPackageError("p", "extra", "this")
    shipped = NamedComponent("find", None)
    theirs = NamedComponent("find", None, "theirs 1.0")
    told = ds.ComponentError("'find' said all")
    for named, error in ((shipped, ds.InputError("x")), (theirs, missing), (theirs, told)):
        with pytest.raises(type(error)) as caught:
            guarded(named, "here", fail, error)
        assert caught.value is error


def test_an_error_without_words_is_named():
    def fail():
        raise AssertionError

    with pytest.raises(ds.ComponentError, match=r"^'find' failed here: AssertionError; what was"):
        guarded(NamedComponent("find", ds.Detector), "here", fail)


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("too-many", "one Instances for each of 1 frames, found 2"),
        ("outside", "boxes outside"),
        ("named", "detection of frame000.png would replace a column"),
    ],
)
def test_nonsense_from_a_detector_is_named(pipeline, series, tmp_path, detector, message):
    with pytest.raises(ds.ComponentError, match=message):
        pipeline(detector).run(series(2), tmp_path / "run", **PLAIN)


def test_a_calibrated_column_is_not_replaced(pipeline, series, tmp_path):
    with pytest.raises(ds.ComponentError, match=r"'calibrated'.*major_nm of frame000\.png would"):
        pipeline(post=("axes", "calibrated")).run(series(2), tmp_path / "run", **PLAIN)


@pytest.mark.parametrize("workers", [1, 2])
def test_types_that_nobody_knows_are_said_once(pipeline, series, tmp_path, workers):
    run = pipeline("unsaid").run(series(3), tmp_path / "run", workers=workers, **PLAIN)
    (text,) = [text for text in run.warnings if "mystery" in text]
    assert text.startswith("the defect type 'mystery' was found, which 'unsaid' of test-components")
    assert not any("black dot" in text for text in run.warnings)
    known = pipeline().run(series(3), tmp_path / "known", workers=workers, **PLAIN)
    assert not any("was found" in text for text in known.warnings)


def test_a_component_cannot_change_the_frame(pipeline, series, tmp_path):
    with pytest.raises(ds.ComponentError, match=r"'mutating'.*read-only"):
        pipeline(post=("mutating",)).run(series(2), tmp_path / "run", **PLAIN)


@pytest.mark.parametrize("committed", [2, 3])
def test_resume_gives_the_same_bytes_as_one_go(pipeline, series, tmp_path, committed):
    whole = pipeline().run(series(6), tmp_path / "whole", **PLAIN)
    pipeline().run(series(6), tmp_path / "cut", **PLAIN)
    info = json.loads((tmp_path / "cut/run.json").read_text())
    # As a kill leaves it: parts of four frames, not all of them committed, half a line.
    (tmp_path / "cut/detections.parquet").unlink()
    (tmp_path / "cut/geometry.parquet").unlink()
    (tmp_path / "cut/tracks.parquet").unlink()
    for name in ("detections", "geometry"):
        folder = tmp_path / f"cut/{name}.parquet"
        folder.mkdir()
        table = getattr(whole, name)
        table[table["frame"] < 2].to_parquet(folder / "part-00000000.parquet", index=False)
        late = table[table["frame"].isin([2, 3])]
        late.to_parquet(folder / "part-00000002.parquet", index=False)
    lines = (tmp_path / "cut/frames.csv").read_text().splitlines(keepends=True)
    whole_lines, half = lines[: committed + 1], lines[committed + 1][:7]
    (tmp_path / "cut/frames.csv").write_text("".join(whole_lines) + half)
    (tmp_path / "cut/run.json").write_text(json.dumps({**info, "status": "running"}))
    pipeline().run(series(6), tmp_path / "cut", resume=True, **PLAIN)
    for table in ("detections.parquet", "tracks.parquet", "geometry.parquet", "frames.csv"):
        assert (tmp_path / "cut" / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()


def test_resume_under_other_options_is_refused(pipeline, series, tmp_path):
    pipeline().run(series(3), tmp_path / "run", **PLAIN)
    with pytest.raises(ds.UsageError, match=r"cannot be resumed: find\.boxes was 3, now it is 4"):
        pipeline(find={"boxes": 4}).run(series(3), tmp_path / "run", resume=True, **PLAIN)


def test_another_run_is_not_overwritten_unasked(pipeline, series, tmp_path):
    pipeline().run(series(2), tmp_path / "run", **PLAIN)
    with pytest.raises(ds.OutputError, match=r"--overwrite.*--resume"):
        pipeline().run(series(2), tmp_path / "run", **PLAIN)
    result = pipeline().run(series(4), tmp_path / "run", overwrite=True, **PLAIN)
    assert len(result.frames) == 4


def test_a_run_that_found_no_good_frame_may_be_replaced(pipeline, series, tmp_path):
    with pytest.raises(ds.InputError):
        pipeline().run(series(2, damaged=(0, 1)), tmp_path / "run", **PLAIN)
    assert len(pipeline().run(series(2), tmp_path / "run", **PLAIN).frames) == 2


@pytest.mark.parametrize("name", ["figures/map.png", "mask.png"])
def test_a_run_does_not_overwrite_what_it_reads(
    pipeline, series, tmp_path, monkeypatch, with_readers, name
):
    run = tmp_path / "run"
    pipeline().run(series(2), run, **PLAIN)
    (run / "figures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    cv2.imwrite(str(run / name), pixels)
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "figures": ["map.png"]}))
    before = {path: path.read_bytes() for path in run.rglob("*.*")}
    monkeypatch.chdir(tmp_path)
    frames = ds.open((run / name).relative_to(tmp_path), host=with_readers)
    with pytest.raises(
        ds.OutputError, match=rf"run/{name} is an input, .*would delete it; .*another --out"
    ):
        pipeline().run(frames, run, overwrite=True, **PLAIN)
    assert {path: path.read_bytes() for path in run.rglob("*.*")} == before
    pipeline().run(frames, tmp_path / "other", overwrite=True, **PLAIN)


def test_a_folder_with_something_else_is_never_cleared(pipeline, series, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(ds.OutputError, match=r"something else than a run \(thesis\.txt\)"):
        pipeline().run(series(2), tmp_path, overwrite=True, **PLAIN)
    assert (tmp_path / "thesis.txt").exists()


def test_what_a_system_puts_into_a_folder_is_not_in_the_way(pipeline, series, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.DS_Store").write_text("where icons are")
    pipeline().run(series(2), tmp_path / "out", **PLAIN)
    assert (tmp_path / "out/.DS_Store").exists()


@pytest.mark.parametrize("content", ["", '{"status": "comp'])
def test_a_damaged_run_is_said_to_be_one_and_replaced_on_request(
    pipeline, series, tmp_path, content
):
    run = tmp_path / "run"
    pipeline().run(series(2), run, **PLAIN)
    (run / "run.json").write_text(content)
    for settings in ({}, {"resume": True}):
        with pytest.raises(ds.FormatError, match=r"run\.json is damaged .*--overwrite"):
            pipeline().run(series(2), run, **settings, **PLAIN)
    result = pipeline().run(series(3), run, overwrite=True, **PLAIN)
    assert (result.info["status"], len(result.frames)) == ("complete", 3)


@pytest.mark.parametrize("content", ["", "[1]", "{}"])
def test_another_program_may_call_a_file_like_ours(pipeline, series, tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ds.OutputError, match=r"something else than a run \(run\.json\)"):
        pipeline().run(series(2), tmp_path, overwrite=True, **PLAIN)
    assert (tmp_path / "run.json").read_text() == content


def test_frames_of_different_sizes_are_refused_unless_said(pipeline, series, tmp_path):
    with pytest.raises(ds.UsageError, match=r"frame002\.png is 64 x 50 px.*--mixed-sizes"):
        pipeline().run(series(4, odd=2), tmp_path / "run", **PLAIN)
    frames = series(4, odd=2)
    frames.calibration = ds.Calibration()
    frames.warnings += [ONE_SERIES, NO_INTERVAL]
    mixed = pipeline(tracker=None).run(frames, tmp_path / "mixed", mixed_sizes=True, **PLAIN)
    assert mixed.frames["height_px"].tolist() == [48, 48, 50, 48]
    assert mixed.warnings == []
    with pytest.raises(ds.UsageError, match="cannot be tracked"):
        pipeline().run(series(4, odd=2), tmp_path / "no", mixed_sizes=True, **PLAIN)


def test_positions_stay_in_the_whole_frame_under_a_roi(pipeline, series, tmp_path):
    result = pipeline().run(series(3), tmp_path / "run", roi=(20, 10, 60, 40), **PLAIN)
    assert result.detections["x_min"].min() >= 20
    assert result.detections["y_max"].max() <= 40
    assert result.frames["width_px"].tolist() == [64, 64, 64]


@pytest.mark.parametrize("roi", [(0, 0, 65, 10), (-1, 0, 20, 20)])
def test_a_roi_outside_the_frame_is_refused(pipeline, series, tmp_path, roi):
    with pytest.raises(ds.OptionError, match="does not lie inside"):
        pipeline().run(series(2), tmp_path / "run", roi=roi, **PLAIN)


@pytest.mark.parametrize("roi", [(30, 30, 20, 40), (0, 9, 20, 9)])
def test_a_roi_with_its_corners_swapped_is_refused(pipeline, series, tmp_path, roi):
    with pytest.raises(ds.OptionError, match="with X0 < X1 and Y0 < Y1, found"):
        pipeline().run(series(2), tmp_path / "run", roi=roi, **PLAIN)


class Rimmed(ds.FrameSequence):
    """Frames in a rim without values; the last one has a hole within as well."""

    indices, names = (0, 1, 2), ("a.tif", "b.tif", "c.tif")

    def read(self, position):
        pixels = np.full((48, 64), np.nan, np.float32)
        pixels[4:44, 4:60] = np.random.default_rng(position).normal(100, 9, (40, 56))
        if position == 2:
            pixels[20, 30] = np.nan
        return pixels


def test_only_the_part_that_is_looked_at_must_have_values(pipeline, tmp_path):
    with pytest.raises(ds.InputError, match=r"not finite .* with --roi"):
        pipeline().run(Rimmed(), tmp_path / "whole", **PLAIN)
    result = pipeline().run(Rimmed(), tmp_path / "run", roi=(4, 4, 60, 44), figures=False)
    assert result.frames["status"].tolist() == ["ok", "ok", "damaged"]
    assert "1 of 2240 pixels" in result.info["damaged_frames"][0]
    assert result.info["damaged_frames"][0].endswith("(in the region of interest)")
    assert result.frames["width_px"].iloc[0] == 64
    assert len(result.info["figures"]) == 2  # pictures of the two frames


def test_csv_tables(pipeline, series, tmp_path):
    result = pipeline().run(series(3), tmp_path / "run", table_format="csv", **PLAIN)
    assert (tmp_path / "run/detections.csv").exists()
    assert not (tmp_path / "run/detections.parquet").exists()
    assert len(result.detections) == len(pd.read_csv(tmp_path / "run/tracks.csv")) == 9


def test_a_series_without_detections(pipeline, series, tmp_path):
    result = pipeline(find={"boxes": 0}).run(series(3), tmp_path / "run", overlay=True)
    assert len(result.detections) == 0
    assert result.frames["count"].tolist() == [0, 0, 0]
    assert {"x", "y", "major_px", "diameter_nm"} <= set(result.detections)
    assert len(result.particles) == 0


def test_a_list_of_frames_without_a_folder(pipeline):
    rng = np.random.default_rng(0)
    frames = [ds.Frame(rng.integers(0, 999, (32, 40), dtype=np.uint16), index) for index in (4, 7)]
    result = pipeline().run(frames, **PLAIN)
    assert sorted(set(result.detections["frame"])) == [4, 7]
    assert "major_nm" not in result.detections


def test_resume_with_other_pixels_in_memory_is_refused(pipeline, tmp_path):
    def frames(gain):
        pixels = np.random.default_rng(0).integers(0, 99, (2, 32, 40), dtype=np.uint16)
        # Not contiguous, as a crop is not.
        return [ds.Frame((gain * p)[:, 4:], index) for index, p in enumerate(pixels)]

    pipeline().run(frames(1), tmp_path / "run", **PLAIN)
    pipeline().run(frames(1), tmp_path / "run", resume=True, **PLAIN)
    with pytest.raises(ds.UsageError, match="input files have changed, or other files or frames"):
        pipeline().run(frames(2), tmp_path / "run", resume=True, **PLAIN)


def test_wrong_names_and_options_show_before_any_frame_is_read(pipeline):
    with pytest.raises(ds.UnknownNameError, match="did you mean 'find'"):
        pipeline("fund")
    with pytest.raises(ds.OptionError, match=r"has no option 'box'.*did you mean 'boxes'"):
        pipeline(find={"box": 2})
    with pytest.raises(ds.OptionError, match=r"find\.boxes = -1"):
        pipeline(find={"boxes": -1})


def test_resume_with_the_files_in_another_order_is_refused(pipeline, series, tmp_path):
    pipeline().run(series(3), tmp_path / "run", **PLAIN)
    frames = series(3)
    frames.names = frames.names[::-1]
    with pytest.raises(ds.UsageError, match=r"frame 0 was frame000\.png, now frame 0 is frame002"):
        pipeline().run(frames, tmp_path / "run", resume=True, **PLAIN)
