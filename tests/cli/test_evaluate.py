"""``evaluate`` as a process: what its tables say, where there is no terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.pipeline.labels import save_dataset
from defectscope.plugins.host import default_host

NAMES = ("a/2<111> loop", "black dot", "a<100> loop")
SHAPE = (200, 200)


def call(*arguments, **more):
    done = subprocess.run(
        [sys.executable, "-m", "defectscope", "evaluate", *map(str, arguments)],
        capture_output=True, text=True, check=False, **more,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def saved(path, name="f0.png", **given):
    labels = Dataset([LabelledImage(name, ds.Instances(SHAPE, **given), 0)])
    save_dataset(labels, path, "coco", default_host())
    return path


@pytest.fixture
def typed(tmp_path):
    """Return files of predicted and true boxes of three types; one dot is taken for a loop."""
    boxes = np.array([[10, 10, 30, 30], [60, 10, 80, 30], [110, 10, 130, 30], [10, 90, 30, 110]])
    true = saved(tmp_path / "t.json", boxes=boxes, defect_types=[*NAMES, NAMES[1]])
    found = saved(
        tmp_path / "p.json", boxes=boxes, defect_types=[*NAMES, NAMES[0]],
        scores=np.full(4, 0.9, np.float32),
    )  # fmt: skip
    return found, true


def test_tables_of_several_types_are_whole_without_a_terminal(typed):
    shown = call(*typed, "--iou", 0.4)
    assert "…" not in shown
    matrix = shown[shown.index("Truth (rows)") :].splitlines()
    header = next(line for line in matrix if "missed" in line)
    assert all(name in header for name in (*NAMES, "class accuracy"))
    dots = next(line for line in matrix if line.strip().startswith("black dot"))
    assert dots.split()[2:] == ["1", "1", "0", "0", "0.500"]
    population = shown[shown.index("All that was found") :].splitlines()
    loops = next(line for line in population if line.strip().startswith(NAMES[0]))
    assert loops.split()[2:5] == ["2", "1", "+100.0"]


def test_lines_are_scored(tmp_path):
    x = np.linspace(10, 190, 60)
    lines = [np.stack([x, np.full(60, y)], axis=1) for y in (40.0, 120.0)]
    boxes = [[10, y - 1, 190, y + 1] for y in (40, 120)]
    true = saved(tmp_path / "t.json", boxes=boxes, lines=lines, defect_types="dislocation")
    # One is found whole, and the other up to its middle.
    found = saved(
        tmp_path / "p.json", boxes=boxes, lines=[lines[0], lines[1][:30]],
        defect_types="dislocation", scores=np.full(2, 0.9, np.float32),
    )  # fmt: skip
    shown = call(found, true)
    for text in ("score (P1)", "precision of lines", "recall of lines", "true lines in pieces"):
        assert text in shown
    scores = json.loads(call(found, true, "--json"))["lines"]
    assert (scores["true"], scores["predicted"], scores["matched"]) == (2, 2, 2)
    # Half of a length is half of a point.
    assert scores["score"] == pytest.approx(0.75, abs=0.01)
    assert (scores["precision"], scores["recall"]) == (1, 1)


def test_types_of_one_name_are_one(typed):
    renames = ("--rename", f"{NAMES[0]}=loop", "--rename", f"{NAMES[2]} = loop")
    found = json.loads(call(*typed, *renames, "--json"))
    assert set(found["by_type"]) == {"loop", "black dot"}
    assert found["by_type"]["loop"]["true_positives"] == 2
    merged = json.loads(call(*typed, *renames, "--rename", "black dot=loop", "--json"))
    assert merged["confusion"] is None
    assert merged["by_type"]["loop"]["f1"] == 1


def test_json_is_the_same_in_every_encoding_of_stdout(tmp_path):
    boxes = np.array([[10, 10, 30, 30]])
    path = saved(tmp_path / "t.json", "5 µm.png", boxes=boxes, defect_types=NAMES[:1])
    shown = call(path, path, "--json", env={**os.environ, "PYTHONIOENCODING": "latin-1"},
                 encoding="utf-8")  # fmt: skip
    assert "5 µm" in str(json.loads(shown))


def test_tracks_in_a_table_belong_to_a_run(typed):
    done = subprocess.run(
        [sys.executable, "-m", "defectscope", "evaluate", *typed, "--tracks", "tracks.csv"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "must be those of a run, found labelled predictions" in " ".join(done.stderr.split())
