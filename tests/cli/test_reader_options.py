"""Options of readers on the command line of ``run``, and in what is done with the run later."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

import defectscope as ds
from defectscope.cli.main import main


@pytest.fixture
def hyperstack(tmp_path: Path) -> Path:
    """Two times of two channels; only the second has a loop."""
    planes = np.full((2, 2, 60, 80), 200, np.uint8)
    planes[:, 1, 10:22, 10:22] = 20
    planes[:, 0, 0, 0] = 20
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "TCYX"})
    return path


def run(path: Path, *words: object) -> int:
    out = path.with_name("out")
    parts = ["run", path, "--detector", "dark-blobs", "--no-overlay", "--no-figures", "--out", out]
    return main([*map(str, parts), *map(str, words)])


def test_a_channel_is_chosen_recorded_and_kept_for_the_report(
    hyperstack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hyperstack) == 1
    assert "--set tiff.channel=1" in capsys.readouterr().err
    assert run(hyperstack, "--set", "tiff.channel=2") == 0
    assert "2 frames, 2 detections" in capsys.readouterr().err
    out = hyperstack.with_name("out")
    assert json.loads((out / "run.json").read_text())["plan"]["readers"] == {"tiff": {"channel": 2}}
    ds.analyze(out, ["number-density"])
    assert "cannot be read" not in (out / "report.html").read_text(encoding="utf-8")
    assert run(hyperstack, "--set", "tiff.channel=1", "--resume") == 2
    assert "its readers were" in capsys.readouterr().err


def test_options_of_a_reader_that_is_not_used(
    hyperstack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hyperstack, "--set", "video.channel=2") == 2
    assert "'video', which reads none of the inputs" in capsys.readouterr().err
    watched = ["--watch", str(hyperstack.parent), "--set", "tiff.channel=2", "--out", "out"]
    assert main(["run", *watched]) == 2
    assert "leave out the options of tiff" in capsys.readouterr().err
