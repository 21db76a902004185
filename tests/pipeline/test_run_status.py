"""What is said of runs that did not come to their end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import defectscope as ds
from defectscope.cli.main import cli
from defectscope.pipeline.run_owner import RunOwner

INTERRUPTED = "the run in {} is not complete (interrupted): it has 3 of 40 frames"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that was interrupted after three of 40 frames."""
    path = tmp_path_factory.mktemp("run") / "run"
    frames = []
    for k in range(3):
        pixels = np.full((60, 80), 200, np.uint8)
        pixels[10:22, 10 + k : 22 + k] = 20
        frames.append(ds.Frame(pixels, index=k, source=f"f{k}.png"))
    ds.Pipeline("dark-blobs", analyses=[]).run(frames, path, overlay=False, figures=False)
    recorded(path, "interrupted", 40)
    return path


def recorded(folder, status, planned):
    info = json.loads((folder / "run.json").read_text())
    info["plan"]["frames"] = [planned, 0, planned - 1]
    (folder / "run.json").write_text(json.dumps({**info, "status": status}))


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "{}", "--analysis", "number-density", "--no-report", "--out", "{out}"],
        ["track", "{}/detections.parquet", "--tracker", "trackpy", "--out", "{out}.csv"],
        ["convert", "{}", "{out}.json", "--to", "coco"],
        ["evaluate", "{}", "{}"],
    ],
)
def test_whoever_reads_the_tables_is_told_how_far_the_run_came(folder, tmp_path, words):
    done = CliRunner().invoke(cli, [word.format(folder, out=tmp_path / "out") for word in words])
    assert done.exit_code == 0, done.output
    assert INTERRUPTED.format(folder) in " ".join(done.stderr.split())


@pytest.mark.parametrize("status", ["running", "tracking"])
def test_a_run_that_goes_on_is_loaded_with_a_warning(folder, status):
    recorded(folder, status, 40)
    message = rf"is not complete \({status}\): it has 3 of 40 frames; "
    owner = RunOwner(folder)
    owner.take()
    with pytest.warns(UserWarning, match=f"{message}load it again for more"):
        result = ds.load_run(folder)
    assert len(result.frames) == len(result.detections) == 3
    owner.release()
    # As one that was killed leaves it.
    with pytest.warns(UserWarning, match=f"{message}nobody is at work on it any more"):
        ds.load_run(folder)


def test_a_run_that_ended_is_loaded_without_one(folder):
    recorded(folder, "interrupted", 40)
    assert len(ds.load_run(folder).frames) == 3


@pytest.mark.parametrize(
    ("status", "planned", "said"),
    [
        ("complete", 3, []),
        ("failed: no idea", 3, ["the run in {} is not complete (failed: no idea)"]),
        ("running", 0, ["the run in {} is not complete (running)"]),
        ("interrupted", 40, [INTERRUPTED]),
    ],
)
def test_what_is_known_of_the_end_is_said(folder, status, planned, said):
    recorded(folder, status, planned)
    warnings = ds.analyze(folder, ["number-density"], report=False).warnings
    assert [text for text in warnings if "complete" in text] == [t.format(folder) for t in said]
