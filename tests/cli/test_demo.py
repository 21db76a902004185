"""``demo`` that ends early; in ``test_run.py`` it comes to its end."""

from __future__ import annotations

import json
import os
import platform

import pytest
from click.testing import CliRunner

from defectscope.cli import demo as module
from defectscope.core.errors import OutputError


class ReachedError(Exception):
    """The work would begin here."""


def start(monkeypatch, stage, *arguments):
    def stop(*given):
        raise ReachedError

    monkeypatch.setattr(module, stage, stop)
    result = CliRunner().invoke(module.demo, [str(argument) for argument in arguments])
    return result.exception


@pytest.mark.parametrize("stage", ["_make_data", "_run_and_score"])
def test_one_that_was_interrupted_can_be_replaced(tmp_path, monkeypatch, stage):
    out = tmp_path / "demo"
    monkeypatch.setattr(module, "_make_data", lambda folder, seed, host: folder.mkdir())
    assert isinstance(start(monkeypatch, stage, "--out", out, "--seed", 7), ReachedError)
    assert json.loads((out / "demo.json").read_text()) == {"seed": 7, "scores": None}
    (out / "data").mkdir(exist_ok=True)
    (out / "data/half").touch()
    refused = start(monkeypatch, stage, "--out", out)
    assert isinstance(refused, OutputError)
    assert "give --overwrite to replace it" in str(refused)
    again = start(monkeypatch, stage, "--out", out, "--overwrite")
    assert isinstance(again, ReachedError)
    assert not (out / "data/half").exists()


def test_what_was_put_beside_it_stays(tmp_path, monkeypatch):
    (tmp_path / "demo.json").write_text('{"seed": 1, "scores": null}')
    (tmp_path / "thesis.txt").touch()
    (tmp_path / "run").mkdir()
    error = start(monkeypatch, "_make_data", "--out", tmp_path, "--overwrite")
    assert isinstance(error, ReachedError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.json", "thesis.txt"]


def test_one_that_is_at_work_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "demo.json").write_text('{"seed": 1, "scores": null}')
    (tmp_path / "run").mkdir()
    owner = tmp_path / "run" / ".run-owner"
    owner.write_text(f"{os.getppid()} {platform.node()}\n")
    error = start(monkeypatch, "_make_data", "--out", tmp_path, "--overwrite")
    assert isinstance(error, OutputError)
    assert "another run is at work" in str(error)
    assert owner.is_file()


@pytest.mark.parametrize("content", [None, "", "[1]", '{"seed": 1, "scores": null, "mine": 2}'])
def test_another_folder_is_not_replaced(tmp_path, monkeypatch, content):
    (tmp_path / "data").mkdir()
    if content is not None:
        (tmp_path / "demo.json").write_text(content)
    error = start(monkeypatch, "_make_data", "--out", tmp_path, "--overwrite")
    assert isinstance(error, OutputError)
    assert "it is not a former demo" in str(error)
    assert (tmp_path / "data").is_dir()
