"""The benchmark from Python, and the folder that it leaves."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.pipeline import benchmark_folder
from defectscope.pipeline.benchmark_data import BenchmarkData
from defectscope.pipeline.benchmark_figures import benchmark_findings
from defectscope.pipeline.benchmark_folder import BenchmarkFolder
from defectscope.pipeline.benchmark_process import FrameMeasurement, Measurement
from defectscope.pipeline.benchmark_results import Benchmark, Line
from defectscope.pipeline.benchmark_scores import score_line
from defectscope.pipeline.benchmark_styles import detector_styles
from defectscope.pipeline.labels import save_dataset
from defectscope.pipeline.line_figures import line_findings
from defectscope.plugins.host import PluginHost, default_host

HOST = default_host()
SHAPE = (80, 120)
INFO = {"iou": 0.15, "detectors": [], "datasets": []}


def squares(*corners, size=12.0):
    boxes = np.array([[x, y, x + size, y + size] for x, y in corners], float).reshape(-1, 4)
    return ds.Instances(SHAPE, boxes, defect_types="dislocation-loop")


def labelled(*frames):
    return Dataset([LabelledImage(f"f{k}.png", found, k) for k, found in enumerate(frames)])


def finished(detector="one", dataset="set", found=((3, 3),), frames=2):
    """Return a line whose frames hold two squares."""
    predicted = [squares(*found)] * frames
    truth = labelled(*[squares((3, 3), (50, 30))] * frames)
    measured = Measurement(
        tuple(FrameMeasurement(k, 0.002, p, 0.01 * (k + 1)) for k, p in enumerate(predicted)),
        0.5, 0.25, 0.1, 40.0, 90.0,
    )  # fmt: skip
    scores = score_line(labelled(*predicted), truth, 0.15, HOST)
    return Line(detector, dataset, scores, measured)


FAILED = Line("two", "set", error="it is broken")


def test_a_row_by_hand():
    row = finished().row()
    assert (row["precision"], row["recall"], row["f1"]) == (1, 0.5, pytest.approx(2 / 3))
    assert row["f1_low"] == row["f1_high"] == pytest.approx(2 / 3)
    # Two frames in 10 and 20 ms.
    assert row["frames_per_s"] == pytest.approx(2 / 0.03)
    assert row["latency_median_ms"] == pytest.approx(15)
    assert row["latency_p95_ms"] == pytest.approx(19.5)
    assert row["read_median_ms"] == pytest.approx(2)
    assert (row["startup_s"], row["warm_up_s"]) == (0.75, 0.1)
    assert (row["peak_memory_mib"], row["memory_rise_mib"]) == (90, 50)
    assert (row["true_count"], row["predicted_count"]) == (4, 2)
    assert (row["count_error"], row["count_error_per_frame"]) == (-0.5, 0.5)
    assert row["error"] is None


def test_a_failed_line_has_the_same_columns():
    assert list(FAILED.row()) == list(finished().row())
    assert {name for name, value in FAILED.row().items() if value is not None} == {
        "detector", "dataset", "status", "error", "frames",
    }  # fmt: skip


@pytest.mark.parametrize("lines", [[], [FAILED], [finished(), FAILED], [finished(frames=1)]])
def test_everything_is_fit_for_json_and_csv(lines, tmp_path):
    benchmark = Benchmark(INFO, lines)
    values = benchmark.as_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    folder = BenchmarkFolder(tmp_path, HOST)
    folder.write_tables(benchmark, "running")
    assert len(pd.read_csv(tmp_path / "benchmark.csv")) == len(lines)
    frames = sum(line.frame_count for line in lines)
    assert len(pd.read_csv(tmp_path / "frames.csv")) == len(benchmark.frames) == frames
    assert benchmark.failures == [line for line in lines if line.error]


def test_there_is_a_panel_for_each_dataset_and_a_curve_for_each_detector():
    lines = [finished(d, s, frames=n) for s, n in (("a", 2), ("b", 1)) for d in ("one", "two")]
    findings = benchmark_findings([*lines, FAILED], 0.15)
    assert [f.name for f in findings] == ["f1-over-iou", "f1-over-score", "speed-against-f1"]
    for finding in findings:
        titles = [axes.get_title() for axes in finding.figure.axes]
        assert titles == ["a (2 frames)", "b (1 frame)"]
        for axes in finding.figure.axes:
            assert axes.get_legend_handles_labels()[1] == ["one", "two"]
        groups = finding.table.groupby(["dataset", "detector"]).size()
        assert len(groups) == 4
    assert benchmark_findings([FAILED], 0.15) == []


def test_a_curve_is_its_table():
    finding = benchmark_findings([finished()], 0.15)[0]
    curve = finding.figure.axes[0].get_lines()[0]
    np.testing.assert_array_equal(curve.get_xdata(), finding.table["iou"])
    np.testing.assert_array_equal(curve.get_ydata(), finding.table["f1"])


def test_figures_say_what_bands_bars_and_lines_are():
    titles = [f.figure.get_suptitle() for f in benchmark_findings([finished()], 0.15)]
    assert titles == [
        "F1 over the overlap that a match needs\n"
        "(shaded: 95 % limits; dotted: 0.15, that of the other figures)",
        "F1 over the least score of a detection, IoU at least 0.15\n(shaded: 95 % limits)",
        "Speed against F1, IoU at least 0.15\n(bars: 95 % limits)",
    ]
    # One frame has no limits.
    titles = [f.figure.get_suptitle() for f in benchmark_findings([finished(frames=1)], 0.15)]
    assert not any("limits" in title for title in titles)


def test_the_legend_of_points_covers_none_of_them():
    lines = [finished(d, s) for s in "ab" for d in ("one", "two")]
    figure = benchmark_findings(lines, 0.15)[2].figure
    assert [axes.get_legend() for axes in figure.axes] == [None, None]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]


def upright(*places):
    """Lines of 40 px at these x."""
    lines = [np.array([[x, 20.0], [x, 60.0]]) for x in places]
    boxes = [[x - 1, 20, x + 1, 60] for x in places]
    return ds.Instances(SHAPE, boxes, defect_types="dislocation", lines=lines)


def test_scores_of_lines_stand_at_the_mean_number_of_their_frames():
    truth = labelled(*(upright(*range(4, 4 + 9 * n, 9)) for n in (6, 8, 9)))
    lines = [
        Line(name, "set", score_line(found, truth, 0.15, HOST))
        for name, found in (("poor", labelled(*[upright(4)] * 3)), ("good", truth))
    ]
    other = finished("other")
    *_, finding = line_findings(lines, detector_styles(["other", "poor", "good"]))
    assert finding.table["mean_lines"].tolist() == [23 / 3] * 2
    assert finding.table["least_lines"].tolist() == [6, 6]
    assert "steps of 5 lines" in finding.figure.get_suptitle()
    curves = finding.figure.axes[0].get_lines()
    assert [curve.get_xdata().tolist() for curve in curves] == [[23 / 3]] * 2
    # As in the other figures of the benchmark.
    findings = {f.name: f for f in benchmark_findings([other, *lines], 0.15)}
    colours = [
        {c.get_label().partition(",")[0]: c.get_color() for c in axes.get_lines() if c.get_label()}
        for axes in (findings[name].figure.axes[-1] for name in
                     ("f1-over-score", "line-score-over-number"))
    ]  # fmt: skip
    assert colours[0]["poor"] == colours[1]["poor"] != colours[1]["good"] == colours[0]["good"]


def test_a_detector_without_a_score_is_left_out_of_the_picture_only():
    nothing = [ds.Instances.empty(SHAPE)] * 2
    scores = score_line(labelled(*nothing), labelled(*nothing), 0.15, HOST)
    finding = benchmark_findings([replace(finished(), scores=scores)], 0.15)[2]
    assert len(finding.table) == 1
    assert finding.figure.legends == []


@pytest.mark.parametrize("present", ["benchmark", "other", "unfinished", "file", "nothing"])
def test_a_folder_is_replaced_only_when_it_may_be(tmp_path, present):
    path = tmp_path / "out"
    folder = BenchmarkFolder(path, HOST)
    if present == "file":
        path.write_text("")
        with pytest.raises(ds.OutputError, match="is a file"):
            folder.create(overwrite=True)
        return
    path.mkdir()
    if present == "nothing":
        (path / "Thumbs.db").touch()
        folder.create(overwrite=False)
        return
    (path / "notes.txt").write_text("mine")
    if present == "other":
        with pytest.raises(ds.OutputError, match="something else than a benchmark"):
            folder.create(overwrite=True)
        return
    lines = [finished()] if present == "benchmark" else []
    folder.write_tables(Benchmark(INFO, lines), "running")
    (path / "worst").mkdir()
    if lines:
        with pytest.raises(ds.OutputError, match="holds another benchmark"):
            folder.create(overwrite=False)
    folder.create(overwrite=bool(lines))
    assert [p.name for p in path.iterdir()] == ["notes.txt"]


def test_predictions_read_back_as_they_were(tmp_path):
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 60, (9, 2))
    boxes = np.hstack([corner, corner + rng.uniform(3, 20, (9, 2))])
    found = ds.Instances(SHAPE, boxes, rng.random(9), "black dot")
    BenchmarkFolder(tmp_path, HOST).write_predictions(finished(), labelled(found))
    again = ds.evaluate(tmp_path / "predictions/one/set.json", labelled(found), iou=0.999)
    assert again.overall.f1 == 1


@pytest.fixture
def folder(tmp_path):
    """A dataset of two frames with a dark square each."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(2)
    for k in range(2):
        pixels = rng.normal(150, 4, SHAPE)
        pixels[30:44, 20 + 30 * k : 34 + 30 * k] -= 80
        cv2.imwrite(str(tmp_path / f"images/f{k}.png"), pixels.astype(np.uint8))
    truth = labelled(*(squares((20 + 30 * k, 30), size=14) for k in range(2)))
    save_dataset(truth, tmp_path / "annotations.json", "coco", HOST)
    return tmp_path


def test_from_python_nothing_is_written_unless_asked(folder, tmp_path):
    seen = []
    before = sorted(tmp_path.rglob("*"))
    result = ds.benchmark(
        folder,
        "grown=dark-blobs",
        options={"grown": {"grow_px": 3}},
        threads=1,
        progress=lambda *state: seen.append(state),
    )
    assert sorted(tmp_path.rglob("*")) == before
    assert result.folder is None
    assert result.failures == []
    table = result.table.set_index("detector")
    assert table["recall"].tolist() == [1, 1]
    assert (
        table.loc["grown", "median_side_error_per_frame"]
        > (table.loc["dark-blobs", "median_side_error_per_frame"])
    )
    assert len(result.frames) == 4
    name = folder.name
    assert seen[0] == (f"grown on {name}", 0, 2)
    assert seen[-1] == (f"dark-blobs on {name}", 2, 2)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"detectors": "dark-blob"}, "did you mean 'dark-blobs'"),
        ({"options": {"fine": {"blur_px": 2}}}, "options are given for 'fine'"),
        (
            {"detectors": "dark-blobs", "options": {"dark-blobs": {"blur": 2}}},
            "did you mean 'blur_px'",
        ),
        ({"iou": 0}, "iou must be a number above 0"),
        ({"frames": "7:9"}, "no labelled frame of"),
        (
            {"detectors": "x=dark-blobs", "options": {"dark-blobs": {"blur_px": 2}}},
            "dark-blobs as it is takes part in every benchmark",
        ),
        ({"detectors": "a/b=dark-blobs"}, "becomes part of file names"),
        ({"detectors": ["x=dark-blobs", "x=dark-blobs"]}, "names two components"),
        ({"rename": {"lop": "x"}}, "no defect type 'lop'.*there are: .*dislocation-loop"),
        ({"datasets": []}, "name at least one dataset"),
        ({"datasets": 5}, "expected the path of a file or folder, or several; found 5"),
        ({"detectors": 5}, "expected one name, or several as a list; found 5"),
        ({"options": 3}, "options are one table a component.* found 3"),
        ({"rename": 3}, "rename must be new names of defect types by old ones.* found 3"),
        ({"threads": -1}, "threads must be a whole number of at least 0, found -1"),
        ({"worst": "a"}, "worst must be a whole number of at least 0, found 'a'"),
        ({"device": "tpu"}, "device must be cpu or cuda, found 'tpu'"),
        ({"time_limit_s": -1}, "time_limit_s must be a number above 0, found -1"),
        ({"time_limit_s": "a"}, "time_limit_s must be a number above 0, found 'a'"),
        ({"host": PluginHost(entry_points=())}, "name at least one detector"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_leaves_nothing(folder, tmp_path, wrong, sentence):
    with pytest.raises(ds.UsageError, match=sentence):
        ds.benchmark(**{"datasets": folder, "out": tmp_path / "out", **wrong})
    assert not (tmp_path / "out").exists()


def test_the_wrong_device_is_said(folder):
    result = ds.benchmark(folder, threads=1, device="cuda")
    assert result.warnings == ["'dark-blobs' cannot work on cuda; the CPU is used"]


def test_types_are_scored_apart_and_other_names_are_warned_of(folder, tmp_path):
    result = ds.benchmark(folder, "dots=dark-blobs", tmp_path / "out", threads=1,
                          options={"dots": {"defect_type": "black dot"}})  # fmt: skip
    (text,) = result.warnings
    assert text.startswith(f"dots on {folder.name}: the prediction has the defect types black dot")
    rows = pd.read_csv(tmp_path / "out/types.csv").set_index(["detector", "defect_type"])
    assert rows.loc[("dark-blobs", "dislocation-loop"), "f1"] == 1
    assert rows.loc[("dots", "dislocation-loop"), "recall"] == 0
    assert rows.loc[("dots", "dislocation-loop"), "class_accuracy"] == 0
    assert len(rows) == 3


def test_a_truth_without_labels_gives_no_f1_and_is_warned_of(folder):
    truth = labelled(squares(), squares())
    save_dataset(truth, folder / "annotations.json", "coco", HOST)
    result = ds.benchmark(folder, "x=dark-blobs", threads=1)
    assert result.warnings == [
        f"{folder.name}: the truth has no label that counts: recall and F1 are not known, and all "
        "that was found, but for what fits ignored truth, is taken for false alarms"
    ]
    assert result.table["precision"].tolist() == [0, 0]
    assert result.table[["f1", "recall"]].isna().all(axis=None)


def test_types_have_the_names_that_were_asked_for_on_both_sides(folder):
    result = ds.benchmark(folder, "dark-blobs", threads=1, rename={"dislocation-loop": "loop"},
                          options={"dark-blobs": {"defect_type": "black dot"}})  # fmt: skip
    (line,) = result.lines
    assert set(line.scores.evaluation.by_type) == {"loop", "black dot"}
    assert result.info["rename"] == {"dislocation-loop": "loop"}
    both = ds.benchmark(folder, "dark-blobs", threads=1, rename={"black dot": "dislocation-loop"},
                        options={"dark-blobs": {"defect_type": "black dot"}})  # fmt: skip
    (line,) = both.lines
    assert line.scores.evaluation.by_type["dislocation-loop"].f1 == 1


def test_pictures_show_what_was_scored_under_its_new_name(folder, tmp_path, monkeypatch):
    drawn = []

    def keep(pixels, predicted, true, iou, title, lines):
        drawn.append(predicted)
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(benchmark_folder, "comparison_picture", keep)
    found = ds.benchmark(folder, "dark-blobs", tmp_path / "b", threads=1, worst=1,
                         rename={"black dot": "uncertain"},
                         options={"dark-blobs": {"defect_type": "black dot"}})  # fmt: skip
    (line,) = found.lines
    assert line.scores.evaluation.overall.false_positives == 0
    (predicted,) = drawn
    assert set(predicted.defect_types) == {"uncertain"}
    assert predicted.ignore.all()
    (written,) = (tmp_path / "b/predictions").rglob("*.json")
    names = {c["name"] for c in json.loads(written.read_text())["categories"]}
    assert "black dot" in names


def test_frames_that_went_away_do_not_lose_the_line(tmp_path):
    class Gone(ds.FrameSequence):
        indices, names = (0, 1), ("f0.png", "f1.png")

        def read(self, position):
            raise ds.DamagedFrameError("it is gone")

    found = labelled(squares((3, 3)), squares((3, 3)))
    data = BenchmarkData("set", tmp_path, found, Gone())
    BenchmarkFolder(tmp_path, HOST).write_worst(finished(), data, found)
    assert not (tmp_path / "worst").exists()
