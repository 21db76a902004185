"""The interface for scripts: opening series, building pipelines, keeping results."""

from __future__ import annotations

import gc
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import defectscope as ds
from defectscope.pipeline.api import Pipeline, load_run, open_frames
from defectscope.plugins.testing import isolated_host, register

PLAIN = {"overlay": False, "figures": False}
MODULE = "reader_of_the_interface_tests"


class JsonFrames(ds.FrameSequence):
    """Frames of noise; the file says how many, and what is known about their scale."""

    def __init__(self, path):
        try:
            content = json.loads(path.read_text())
        except ValueError as error:
            raise ds.InputError(f"{path.name} is no JSON: {error}") from error
        self.indices = tuple(range(content.get("frames", 1)))
        self.names = tuple(f"{path.name}#{k}" for k in self.indices)
        self.calibration = ds.Calibration(**content.get("calibration", {}))
        self.warnings = list(content.get("warnings", []))
        self.seed = len(path.name)

    def read(self, position):
        rng = np.random.default_rng([self.seed, position])
        return rng.integers(0, 255, (32, 40), dtype=np.uint8)


class JsonReader(ds.Reader):
    def read(self, path):
        return JsonFrames(path)


@pytest.fixture
def host(host, monkeypatch):
    """The test components, and a reader of files ``.frames``."""

    @ds.hookimpl
    def defectscope_readers():
        return [ds.ReaderSpec("json", "Frames.", f"{MODULE}:JsonReader", suffixes=(".frames",))]

    monkeypatch.setitem(sys.modules, MODULE, SimpleNamespace(JsonReader=JsonReader))
    register(host, SimpleNamespace(defectscope_readers=defectscope_readers), "readers")
    return host


@pytest.fixture
def write(tmp_path):
    def write(name="a.frames", **content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture
def calibration_file(tmp_path):
    path = tmp_path / "scope.toml"
    path.write_text("pixel_size_nm = 0.4\nthickness_nm = 75\n[visible_fraction]\nloop = 0.5\n")
    return path


def test_public_names():
    assert (ds.open, ds.load_run, ds.Pipeline) == (open_frames, load_run, Pipeline)


def test_a_series_is_a_lazy_sequence(host, write):
    frames = ds.open(write(frames=5, warnings=["blurred"]), host=host)
    assert len(frames) == 5
    assert frames[-1].index == 4
    assert frames[1].source == "a.frames#1"
    assert [frame.index for frame in frames[1:4]] == [1, 2, 3]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert frames.warnings == ["a.frames: blurred"]
    np.testing.assert_array_equal(frames[2].pixels, frames[1:][1].pixels)
    with pytest.raises(IndexError):
        frames[5]


@pytest.mark.parametrize(
    "kind", [str, lambda path: path, lambda path: [path], lambda path: (str(path),)]
)
def test_paths_may_be_text_or_several(host, write, kind):
    assert len(ds.open(kind(write(frames=3)), host=host)) == 3


def test_several_files_are_one_series(host, write):
    paths = [write("a.frames", frames=2), write("b.frames", frames=3)]
    frames = ds.open(paths, host=host)
    assert frames.indices == (0, 1, 2, 3, 4)
    assert frames.names[2:] == ("b.frames#0", "b.frames#1", "b.frames#2")
    assert frames.paths == tuple(paths)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frames: [1], "must return a FrameSequence of a.frames, found list"),
        (lambda frames: setattr(frames, "calibration", {}) or frames, "found dict"),
        (lambda frames: setattr(frames, "warnings", None) or frames, "found NoneType"),
        (lambda frames: setattr(frames, "read", lambda _: [[1]]) or frames, "arrays, found list"),
    ],
)
def test_readers_that_return_other_things_are_named(host, write, monkeypatch, change, message):
    monkeypatch.setattr(JsonReader, "read", lambda self, path: change(JsonFrames(path)))
    with pytest.raises(ds.ComponentError, match=f"reader '.*/json' .*{message}"):
        ds.open(write(), host=host)[0]


def test_a_sequence_without_warnings_has_none():
    class Bare(ds.FrameSequence):
        def read(self, position):
            return None

    one, other = Bare(), Bare()
    one.warnings.append("mine")
    assert (one.warnings, other.warnings) == (["mine"], [])


def test_what_cannot_be_read_is_one_sentence(host, write, tmp_path):
    with pytest.raises(ds.InputError, match=r"there is no file or folder .*nowhere"):
        ds.open(tmp_path / "nowhere.frames", host=host)
    broken = tmp_path / "broken.frames"
    broken.write_text("{")
    with pytest.raises(ds.InputError, match=r"broken\.frames is no JSON"):
        ds.open(broken, host=host)
    with pytest.raises(ds.InputError, match="there is no frame"):
        ds.open(write(frames=0), host=host)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("1:4", (1, 2, 3)), (":2", (0, 1)), ("4:", (4, 5)), ("::2", (0, 2, 4)),
        ("1:6:3", (1, 4)), ("3:3", ()), ("90:", ()), (":", (0, 1, 2, 3, 4, 5)),
        (slice(1, 4), (1, 2, 3)), (slice(None, None, 2), (0, 2, 4)), (range(2), (0, 1)),
    ],
)  # fmt: skip
def test_frames_are_selected_by_index(host, write, text, indices):
    frames = ds.open(write(frames=6), host=host, frames=text)
    assert frames.indices == indices
    assert [frame.index for frame in frames] == list(indices)
    assert frames.paths


def test_the_index_is_the_number_in_the_name(host, write, tmp_path):
    for number in (9, 461, 462, 470):
        write(f"clip/Frame{number}.frames")
    frames = ds.open(tmp_path / "clip", host=host, frames="461:470", frame_interval_s=2)
    assert frames.indices == (461, 462)
    assert frames.calibration.time_s(frames[1].index) == 924


@pytest.mark.parametrize(
    "text", ["5", "1:2:0", "a:b", "1:2:3:4", "1:2:-1", (0, 2), 5, range(3, 1, -1)]
)
def test_a_wrong_selection_is_one_sentence(host, write, text):
    with pytest.raises(ds.OptionError, match="frames must be given as FIRST:STOP"):
        ds.open(write(), host=host, frames=text)


def test_calibration_file_over_image_file_and_single_values_over_both(
    host, write, calibration_file
):
    known = {"pixel_size_nm": 0.3999, "thickness_nm": 50.0, "frame_interval_s": 1.5,
             "dose_start_dpa": 0.1}  # fmt: skip
    path = write(calibration=known)
    assert ds.open(path, host=host).calibration == ds.Calibration(**known)
    frames = ds.open(
        path, host=host, calibration=calibration_file, thickness_nm=90, dose_per_frame_dpa=0.01
    )
    assert frames.calibration == ds.Calibration(
        pixel_size_nm=0.4, thickness_nm=90, frame_interval_s=1.5, dose_start_dpa=0.1,
        dose_per_frame_dpa=0.01, visible_fraction={"loop": 0.5},
    )  # fmt: skip
    assert frames[0].calibration == frames.calibration
    assert frames[:1][0].calibration == frames.calibration
    (said,) = frames.warnings
    assert said.startswith("visible_fraction names 'loop', which is no known defect type")


@pytest.mark.parametrize("as_text", [True, False])
def test_a_calibration_may_be_a_path_a_text_or_an_object(host, write, calibration_file, as_text):
    path = str(calibration_file) if as_text else calibration_file
    expected = ds.Calibration.from_toml(calibration_file)
    assert ds.open(write(), host=host, calibration=path).calibration == expected
    assert ds.open(write(), host=host, calibration=expected).calibration == expected


def test_an_object_overrules_only_what_it_says(host, write):
    path = write(calibration={"pixel_size_nm": 0.5, "thickness_nm": 60})
    frames = ds.open(path, host=host, calibration=ds.Calibration(thickness_nm=70))
    assert frames.calibration == ds.Calibration(pixel_size_nm=0.5, thickness_nm=70)
    frames = ds.open(path, host=host, thickness_nm=None)
    assert frames.calibration.thickness_nm == 60


def test_one_visible_fraction_is_for_every_type(host, write):
    calibration = ds.open(write(), host=host, visible_fraction=4 / 7).calibration
    assert calibration.visible("whatever") == pytest.approx(4 / 7)


@pytest.mark.parametrize(
    ("given", "warned"), [(0.5, False), (0.504, False), (0.51, True), (5, True)]
)
def test_a_pixel_size_that_contradicts_the_files_is_used_and_said(host, write, given, warned):
    path = write(calibration={"pixel_size_nm": 0.5})
    frames = ds.open(path, host=host, pixel_size_nm=given)
    assert frames.calibration.pixel_size_nm == given
    expected = [f"the files say 0.5 nm/px, but {given:g} nm/px was given and is used"]
    assert frames.warnings == (expected if warned else [])
    assert ds.open(write("b.frames"), host=host, pixel_size_nm=given).warnings == []


def test_impossible_calibrations_are_refused(host, write, tmp_path):
    with pytest.raises(
        ds.OptionError, match="'pixel_size' is no calibration value; known are: pix"
    ):
        ds.open(write(), host=host, pixel_size=0.5)
    for value in (0, -1, float("nan"), "wide"):
        with pytest.raises(
            ds.OptionError, match=r"calibration: pixel_size_nm = .* is not possible"
        ):
            ds.open(write(), host=host, pixel_size_nm=value)
    with pytest.raises(ds.FormatError, match=r"calibration file .*none\.toml cannot be read"):
        ds.open(write(), host=host, calibration=tmp_path / "none.toml")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("pixel = 3\n")
    with pytest.raises(ds.OptionError, match=r"the calibration has no .pixel. .*pixel_size_nm"):
        ds.open(write(), host=host, calibration=wrong)


def test_from_files_to_tables_in_nanometres(host, write, tmp_path):
    frames = ds.open(write(frames=3), host=host, frames="1:", pixel_size_nm=0.25)
    result = ds.Pipeline("find", ["axes"], host=host).run(frames, tmp_path / "run", **PLAIN)
    assert result.frames["source"].tolist() == ["a.frames#1", "a.frames#2"]
    np.testing.assert_allclose(result.detections["major_nm"], 0.25 * 6, rtol=1e-4)
    assert result.calibration.pixel_size_nm == 0.25
    plan = result.info["plan"]
    assert plan["frames"] == [2, 1, 2]
    assert list(plan["inputs"]) == ["a.frames"]
    assert plan["inputs"]["a.frames"].startswith("sha256:")


def test_a_selection_that_leaves_nothing_is_said(host, write, tmp_path):
    frames = ds.open(write(frames=3), host=host, frames="7:9")
    with pytest.raises(ds.UsageError, match=r"no frame is left .*there are indices 0 to 2"):
        ds.Pipeline("find", host=host).run(frames, tmp_path / "run", **PLAIN)
    assert not (tmp_path / "run").exists()


def frames_in_memory(count=2, **more):
    rng = np.random.default_rng(0)
    return [
        ds.Frame(rng.integers(0, 255, (32, 40), dtype=np.uint8), k, **more) for k in range(count)
    ]


def test_frames_in_memory_keep_index_source_and_calibration(host, tmp_path):
    calibration = ds.Calibration(pixel_size_nm=0.5, frame_interval_s=2)
    frames = [
        ds.Frame(frame.pixels, 10 * (k + 1), calibration, f"tile{k}")
        for k, frame in enumerate(frames_in_memory())
    ]
    result = ds.Pipeline("find", host=host).run(iter(frames), tmp_path / "run", **PLAIN)
    assert result.frames[["frame", "source", "time_s"]].values.tolist() == [
        [10, "tile0", 20.0], [20, "tile1", 40.0],
    ]  # fmt: skip
    assert result.warnings == []


def test_frames_in_memory_share_one_calibration(host, tmp_path):
    first, second = frames_in_memory()
    second = ds.Frame(second.pixels, 1, ds.Calibration(pixel_size_nm=0.5))
    result = ds.Pipeline("find", host=host).run([first, second], tmp_path / "run", **PLAIN)
    assert result.warnings == [
        "the frames differ in calibration; that of the first is used for all"
    ]
    assert result.calibration == ds.Calibration()


def test_what_is_no_frame_is_one_sentence(host):
    pipeline = ds.Pipeline("find", host=host)
    with pytest.raises(ds.UsageError, match=r"a list of defectscope\.Frame; found ndarray"):
        pipeline.run(np.zeros((3, 32, 40), np.uint8))
    with pytest.raises(ds.UsageError, match="needs an index of its own"):
        pipeline.run([frames_in_memory()[0]] * 2)
    with pytest.raises(ds.UsageError, match="no frame is left"):
        pipeline.run([])


def test_one_line_shows_a_pipeline(host):
    pipeline = ds.Pipeline("find", ["a=axes"], "by-rank", analyses=[], host=host)
    assert repr(pipeline) == "<Pipeline: find, a, by-rank; 0 analyses>"


def test_a_temporary_result_lives_as_long_as_it_is_held(host):
    result = ds.Pipeline("find", ["axes"], "by-rank", host=host).run(frames_in_memory(), **PLAIN)
    folder = result.folder
    assert len(result.detections) == len(result.tracks) == 6
    assert (folder / "run.json").is_file()
    gc.collect()
    assert result.particles["detections"].tolist() == [2, 2, 2]
    del result
    gc.collect()
    assert not folder.exists()


def test_the_report_on_a_temporary_result_lives_as_long_as_what_names_it(host, series):
    done = ds.analyze(Pipeline("find", host=host).run(series(2)), host=host)
    gc.collect()
    assert done.report.is_file()
    folder = done.report.parent
    assert str(folder) in repr(done)
    assert "Result" not in repr(done)
    del done
    gc.collect()
    assert not folder.exists()


def test_a_run_that_fails_leaves_no_temporary_folder(host, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipeline = ds.Pipeline("find", options={"find": {"fail_on": 1}}, host=host)
    with pytest.raises(ds.ComponentError, match="no idea"):
        pipeline.run(frames_in_memory(), **PLAIN)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_runs_of_one_pipeline_do_not_know_of_each_other(host, tmp_path):
    pipeline = ds.Pipeline("find", host=host)
    tables = [
        pipeline.run(frames_in_memory(), tmp_path / name, **PLAIN).detections for name in "ab"
    ]
    assert tables[0].equals(tables[1])


def test_progress_tells_of_every_stage(host, tmp_path):
    told = []
    ds.Pipeline("find", ["axes"], "by-rank", host=host).run(
        frames_in_memory(3), tmp_path / "run", figures=False,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )  # fmt: skip
    assert [t for t in told if t[0] == "detect"] == [("detect", k, 3) for k in (1, 2, 3)]
    assert [t for t in told if t[0] == "overlay"] == [("overlay", k, 3) for k in (1, 2, 3)]
    assert list(dict.fromkeys(stage for stage, *_ in told)) == ["detect", "track", "overlay"]


def test_a_run_is_not_gone_on_with_by_another_version_of_its_reader(host, write, tmp_path):
    path, pipeline = write(frames=2), ds.Pipeline("find", host=host)
    done = pipeline.run(ds.open(path, host=host), tmp_path / "run", **PLAIN)
    assert done.info["plan"]["read_by"] == {"test-distribution/json": "0"}
    assert ds.open(path, frames="1:", host=host).read_by == {"test-distribution/json": "0"}
    (record,) = (record for record in host.plugins if record.name == "readers")
    record.version = "1"
    with pytest.raises(ds.UsageError, match="test-distribution/json had the version 0, now 1"):
        pipeline.run(ds.open(path, host=host), tmp_path / "run", resume=True, **PLAIN)


def test_the_plan_says_what_decides_about_the_numbers(host, write):
    pipeline = ds.Pipeline(
        "big=find", ["axes"], options={"big": {"boxes": 5}}, analyses=[], host=host
    )
    frames = ds.open(write(frames=4), host=host, pixel_size_nm=2)
    plan = pipeline.run(frames, roi=(1, 2, 30, 31), **PLAIN).info["plan"]
    json.dumps(plan, allow_nan=False)
    detector, processor = plan["components"]
    assert detector == {
        "family": "detectors", "name": "find", "alias": "big", "distribution": "test-components",
        "version": "1.0", "options": {"boxes": 5, "fail_on": -1}, "changed": ["boxes"],
    }  # fmt: skip
    assert processor["name"] == "axes"
    assert plan["roi"] == [1, 2, 30, 31]
    assert plan["calibration"]["pixel_size_nm"] == 2
    assert plan["frames"] == [4, 0, 3]


class Count(ds.Analysis):
    """Counts rows."""

    def analyse(self, tables):
        import pandas as pd

        return [ds.Finding("rows", "Rows", pd.DataFrame({"rows": [len(tables.detections)]}))]


def test_one_component_needs_no_list(host, tmp_path, monkeypatch):
    counting(host, monkeypatch, "count", "other")
    pipeline = ds.Pipeline("find", post="axes", analyses="count", host=host)
    assert [choice.name for _, choice in pipeline.choices] == ["find", "axes", "count"]
    run = pipeline.run(frames_in_memory(), tmp_path / "run", overlay=False).folder
    done = ds.analyze(run, "count", report=False, host=host)
    assert [finding.name for finding in done.findings] == ["rows"]
    with pytest.raises(ds.UsageError, match="there are no images at nowhere"):
        ds.analyze(run, "count", images="nowhere", host=host)


@pytest.mark.parametrize(("times", "found"), [(1, True), (2, False)])
def test_every_installed_analysis_runs_unless_its_name_clashes(
    times, found, host, tmp_path, monkeypatch
):
    @ds.hookimpl
    def defectscope_analyses():
        return [ds.ComponentSpec("count", "Counts.", "analysis_of_the_interface_tests:Count")]

    monkeypatch.setitem(
        sys.modules, "analysis_of_the_interface_tests", SimpleNamespace(Count=Count)
    )
    for k in range(times):
        plugin = SimpleNamespace(defectscope_analyses=defectscope_analyses, number=k)
        register(host, plugin, f"analyses{k}", f"distribution{k}")
    result = ds.Pipeline("find", host=host).run(frames_in_memory(), tmp_path / "run", overlay=False)
    assert (result.folder / "figures/rows.csv").exists() is found
    said = [text for text in result.warnings if "because another one has its name" in text]
    assert len(said) == (0 if found else 2)
    if not found:
        with pytest.raises(ds.PluginClashError, match="distribution0/count"):
            ds.Pipeline("find", options={"count": {}}, host=host)
        with pytest.raises(ds.PluginClashError, match="distribution0/count"):
            ds.Pipeline("find", analyses=["count"], host=host)
        ds.Pipeline("find", analyses=["distribution1/count"], host=host)


def counting(host, monkeypatch, name, distribution):
    """Register an analysis that counts."""

    @ds.hookimpl
    def defectscope_analyses():
        return [ds.ComponentSpec(name, "Counts.", "analysis_of_the_interface_tests:Count")]

    monkeypatch.setitem(
        sys.modules, "analysis_of_the_interface_tests", SimpleNamespace(Count=Count)
    )
    plugin = SimpleNamespace(defectscope_analyses=defectscope_analyses)
    register(host, plugin, f"of-{distribution}", distribution)


def test_an_analysis_named_as_the_detector_has_its_distributions_name(host, tmp_path, monkeypatch):
    counting(host, monkeypatch, "find", "other")
    pipeline = ds.Pipeline("find", options={"find": {"boxes": 2}}, host=host)
    assert [choice.alias for _, choice in pipeline.choices] == ["find", "other/find"]
    result = pipeline.run(frames_in_memory(), tmp_path / "run", overlay=False)
    assert (result.folder / "figures/rows.csv").exists()
    with pytest.raises(ds.OptionError, match="other/find"):
        ds.Pipeline("find", options={"other/find": {"boxes": 2}}, host=host)


def test_a_shipped_analysis_stays_where_a_plugin_has_one_of_its_name(host, tmp_path, monkeypatch):
    for distribution in ("other", "defectscope"):
        counting(host, monkeypatch, "count", distribution)
    pipeline = ds.Pipeline("find", host=host)
    assert [choice.name for _, choice in pipeline.choices] == ["find", "defectscope/count"]
    (text,) = pipeline.warnings
    assert "'count' of other 0" in text
    assert "--analysis other/count" in text
    chosen = ds.Pipeline("find", options={"other/count": {}}, host=host)
    assert [choice.name for _, choice in chosen.choices] == ["find", "other/count"]


def test_a_folder_that_holds_no_run_is_said(tmp_path):
    with pytest.raises(ds.UsageError, match=r"is no run folder: it has no run\.json"):
        ds.load_run(tmp_path)
    with pytest.raises(ds.UsageError, match="is no run folder"):
        ds.load_run(str(tmp_path / "nowhere"))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ds.FormatError, match=r"run\.json is damaged or cannot be read"):
        ds.load_run(tmp_path)


def test_components_of_nobody_are_unknown(write):
    with pytest.raises(ds.UnknownNameError, match="no detector 'find'"):
        ds.Pipeline("find", host=isolated_host())
    with pytest.raises(ds.InputError, match=r"a\.frames"):
        ds.open(write(), host=isolated_host())
