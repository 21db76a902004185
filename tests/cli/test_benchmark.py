"""``benchmark``, as real processes, with detectors that fail in every way there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import pandas as pd
import pytest

from defectscope.cli.benchmark import _holdings, _noise

COMMAND = [sys.executable, "-m", "defectscope"]
PLUGIN = """
import os, signal, time
import defectscope as ds

class Nothing(ds.Detector):
    defect_types = ("dislocation-loop",)
    def detect(self, frames):
        return [ds.Instances.empty(frame.shape) for frame in frames]

class Raises(Nothing):
    def detect(self, frames):
        if frames[0].source == "000001.png":
            raise RuntimeError("no\\nidea")
        return super().detect(frames)

class Killed(Nothing):
    def detect(self, frames):
        if frames[0].source == "000001.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(frames)

class Slow(Nothing):
    def detect(self, frames):
        time.sleep(60)

class Threads(Nothing):
    def detect(self, frames):
        print("this is no data")
        n = int(os.environ["OMP_NUM_THREADS"]) + self.runtime.threads
        boxes = [[5 * k, 2, 5 * k + 4, 6] for k in range(n)]
        return [ds.Instances(f.shape, boxes, defect_types="dislocation-loop") for f in frames]

@ds.hookimpl
def defectscope_detectors():
    named = {k.__name__.lower(): k for k in (Nothing, Raises, Killed, Slow, Threads)}
    specs = [ds.ComponentSpec(n, "Test.", f"failing:{k.__name__}") for n, k in named.items()]
    return [*specs, ds.ComponentSpec("absent", "Test.", "failing_absent:Gone", extra="unheard-of")]
"""


def call(*arguments, **more):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        **more,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset of two images."""
    folder = tmp_path_factory.mktemp("made") / "loops"
    done = call("generate", "in-situ-loops", "--count", 2, "--size", "160x120", "--seed", 5,
                "--set", "in-situ-loops.count=8", "--out", folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment in which the detectors above are installed."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "failing.py").write_text(PLUGIN)
    (folder / "failing_absent.py").write_text("import no_such_package\n")
    info = folder / "failing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: failing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[defectscope]\nfailing = failing\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


FAILING = ("raises", "killed", "absent")


@pytest.fixture(scope="module")
def made(data, environment, tmp_path_factory):
    """A benchmark of two good detectors and three that fail."""
    folder = tmp_path_factory.mktemp("out") / "comparison"
    detectors = ["fine=dark-blobs", *FAILING, "strict=dark-blobs"]
    done = call("benchmark", data, *(w for d in detectors for w in ("--detector", d)),
                "--set", "fine.blur_px=1.5", "--set", "strict.min_peak_sigma=6", "--worst", 1,
                "--out", folder, env=environment)  # fmt: skip
    return done, folder


def test_one_that_fails_is_a_line_and_the_others_finish(made):
    done, folder = made
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    table = pd.read_csv(folder / "benchmark.csv").set_index("detector")
    # The reference takes part although it is not named.
    assert list(table.index) == ["fine", *FAILING, "strict", "dark-blobs"]
    assert (table["status"] == "failed").tolist() == [False, True, True, True, False, False]
    errors = table["error"]
    assert errors["raises"].startswith(
        "'raises' of failing 1.0 (plugin 'failing') failed on 000001.png: RuntimeError: no idea"
    )
    assert "ended by SIGKILL after 1 finished frame" in errors["killed"]
    assert "needs the package no_such_package" in errors["absent"]
    for name in FAILING:
        assert f"{name} on loops failed: " in done.stderr
    assert done.stderr.rstrip().endswith("error: 3 of 6 lines failed; the others are written")


def test_every_file_is_there(made):
    _, folder = made
    good = ("fine", "strict", "dark-blobs")
    expected = {"benchmark.json", "benchmark.csv", "frames.csv", "types.csv"}
    expected |= {f"predictions/{name}/loops.json" for name in good}
    expected |= {
        f"figures/{name}.{suffix}"
        for name in ("f1-over-iou", "f1-over-score", "speed-against-f1")
        for suffix in ("png", "svg", "csv")
    }
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    worst = {name for name in found if name.startswith("worst/")}
    assert found - worst == expected
    assert len(worst) == len(good)
    frames = pd.read_csv(folder / "frames.csv", dtype={"name": str})
    for name in worst:
        detector, _, stem = name.removeprefix("worst/").removesuffix(".png").rpartition("-loops-")
        rows = frames[frames["detector"] == detector]
        assert rows.loc[rows["name"] == stem, "f1"].item() == rows["f1"].min()
        assert cv2.imread(str(folder / name)).ndim == 3
    for name in ("f1-over-iou", "f1-over-score", "speed-against-f1"):
        assert set(pd.read_csv(folder / f"figures/{name}.csv")["detector"]) == set(good)


def test_the_scores_are_those_of_evaluate(made, data):
    _, folder = made
    table = pd.read_csv(folder / "benchmark.csv").set_index("detector")
    frames = pd.read_csv(folder / "frames.csv", dtype={"name": str})
    assert table.loc["strict", "recall"] < table.loc["fine", "recall"]
    for name in ("fine", "strict"):
        done = call("evaluate", folder / f"predictions/{name}/loops.json", data, "--json")
        scores = json.loads(done.stdout)
        for score in ("precision", "recall", "f1"):
            assert table.loc[name, score] == scores["overall"][score]
        sizes = scores["sizes"]
        assert table.loc[name, "count_error"] == sizes["count_error"]
        assert (
            table.loc[name, "count_error_per_frame"]
            == (sizes["mean_absolute_count_error_per_frame"])
        )
        assert (
            table.loc[name, "median_side_error_per_frame"] == (sizes["median_side_error_per_frame"])
        )
        rows = frames[frames["detector"] == name]
        assert rows["f1"].tolist() == [row["f1"] for row in scores["per_frame"]]


def test_the_tables_tell_what_was_measured(made):
    done, folder = made
    table = pd.read_csv(folder / "benchmark.csv").set_index("detector")
    row = table.loc["dark-blobs"]
    assert row["frames"] == 2
    assert row["f1_low"] <= row["f1"] <= row["f1_high"]
    frames = pd.read_csv(folder / "frames.csv")
    latency = frames.loc[frames["detector"] == "dark-blobs", "latency_ms"]
    assert row["frames_per_s"] == pytest.approx(2000 / latency.sum())
    assert row["latency_median_ms"] == pytest.approx(latency.median())
    assert row["peak_memory_mib"] > row["memory_rise_mib"] >= 0
    assert row["startup_s"] == pytest.approx(row["import_s"] + row["open_s"])
    for text in ("loops: 2 frames, 16 defects, IoU at least 0.15", f"{row['f1']:.3f}", "failed"):
        assert text in done.stdout
    assert "…" not in done.stdout
    # One is of the number in all frames, the other says how frames differ.
    assert f"{100 * row['count_error']:+.1f} %" in done.stdout
    assert "mean |count error| a frame" in done.stdout
    info = json.loads((folder / "benchmark.json").read_text())
    assert info["status"] == "complete"
    assert {"cpu", "cores"} <= info["machine"].keys()
    assert {"numpy", "defectscope"} <= info["versions"].keys()
    options = {detector["alias"]: detector["options"] for detector in info["detectors"]}
    assert (options["fine"]["blur_px"], options["strict"]["min_peak_sigma"]) == (1.5, 6.0)
    raises = info["lines"][1]
    assert raises["accuracy"] is raises["cost"] is None
    assert "RuntimeError" in raises["log"]


def test_the_title_counts_what_was_scored():
    dataset = {"frames": 4, "defects": 17}
    failed = SimpleNamespace(scores=None)
    some, every = (
        SimpleNamespace(scores=1, row=lambda n=n: {"frames": n, "true_count": 4 * n + 1})
        for n in (3, 4)
    )
    assert _holdings(dataset, [failed, some]) == "3 of 4 frames, 13 defects"
    assert _holdings(dataset, [failed, every]) == "4 frames, 17 defects"
    assert _holdings(dataset, [failed]) == "4 frames, 17 defects"


def test_accuracy_repeats_exactly_and_threads_are_as_asked(made, data, environment, tmp_path):
    arguments = ["--detector", "threads", "--threads", 3, "--json", "--worst", 0]
    done = call("benchmark", data, *arguments, "--out", tmp_path / "out", env=environment)
    assert done.returncode == 0, done.stderr
    info = json.loads(done.stdout)
    former = json.loads((made[1] / "benchmark.json").read_text())
    threads, again = info["lines"]
    assert again["detector"] == former["lines"][-1]["detector"] == "dark-blobs"
    assert again["accuracy"] == former["lines"][-1]["accuracy"]
    # Its boxes are as many as the environment and the runtime say.
    assert threads["accuracy"]["predicted_count"] == 2 * (3 + 3)
    assert info["threads"] == 3
    assert not (tmp_path / "out/worst").exists()


def test_what_finds_nothing_costs_nothing_and_an_interrupt_keeps_it(data, environment, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "benchmark", str(data), "--detector", "nothing", "--detector", "slow",
         "--out", str(tmp_path / "out")],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    table = tmp_path / "out/benchmark.csv"
    until = time.monotonic() + 300
    while not (table.is_file() and "nothing" in table.read_text()):
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1] == "interrupted"
    info = json.loads((tmp_path / "out/benchmark.json").read_text())
    assert info["status"] == "interrupted"
    (line,) = info["lines"]
    assert (line["detector"], line["accuracy"]["recall"]) == ("nothing", 0)
    assert line["accuracy"]["precision"] is None
    # What the worker itself needs does not count as the detector's.
    assert line["cost"]["memory_rise_mib"] < 10
    assert (tmp_path / "out/predictions/nothing/loops.json").is_file()


def test_a_wrong_request_is_one_sentence_and_leaves_nothing(data, tmp_path):
    done = call("benchmark", data, "--set", "fine.blur_px=2", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("error: options are given for 'fine'")
    assert not (tmp_path / "out").exists()


def test_where_nothing_was_found_without_noise_nothing_can_be_lost():
    rows = pd.DataFrame({
        "detector": ["a", "a"], "noise": ["", "gaussian"], "level": [None, 5.0],
        "f1": [0.0, 0.0], "lost": [None, None],
    })  # fmt: skip
    assert list(_noise("", rows).columns[2].cells) == ["0.000 (–)"]
    assert list(_noise("", rows.assign(lost=0.25)).columns[2].cells) == ["0.000 (-25 %)"]
