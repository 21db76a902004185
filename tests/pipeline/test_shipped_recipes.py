"""Recipes that come with weights are found by the name of their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from defectscope.core.components import ComponentSpec
from defectscope.pipeline.shipped_recipes import shipped_recipe
from defectscope.plugins.host import default_host


@pytest.mark.parametrize("name", ["loops.toml", "fine-tuning.toml"])
def test_shipped_ones_are_known(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped_recipe(Path(name), default_host().weights()).is_file()


def test_a_file_of_ones_own_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loops.toml").write_text("")
    assert shipped_recipe(Path("loops.toml"), default_host().weights()) == Path("loops.toml")


@pytest.mark.parametrize("name", ["lops.toml", "elsewhere/loops.toml", "loops", "labels"])
def test_anything_else_is_meant_as_it_stands(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped_recipe(Path(name), default_host().weights()) == Path(name)


def test_those_of_other_plugins_too(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/cavities.toml").write_text("")
    (tmp_path / "cavity_weights.py").write_text(
        f"from pathlib import Path\ndef file():\n    return Path({str(tmp_path / 'c.onnx')!r})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    known = {
        "broken": ComponentSpec("broken", "Not there.", "no_such_package:weights"),
        "mine": ComponentSpec("mine", "Cavities.", "cavity_weights:file"),
    }
    assert shipped_recipe(Path("cavities.toml"), known) == tmp_path / "recipes/cavities.toml"
