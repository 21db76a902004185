"""The example of the plugin guide works as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import defectscope
from defectscope.plugins import hookspecs, testing
from defectscope.plugins.conformance import check_component
from defectscope.plugins.testing import isolated_host

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"


def code_blocks() -> dict[str, str]:
    """Return the blocks of the guide that begin with a file name, by it."""
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", GUIDE.read_text(), re.S | re.M)
    return dict(blocks)


def console_blocks() -> list[str]:
    """Return the blocks of commands."""
    return re.findall(r"^```console\n(.*?)^```", GUIDE.read_text(), re.S | re.M)


@pytest.fixture
def project(tmp_path, monkeypatch):
    blocks = code_blocks()
    for name, text in blocks.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    own = ("dark_pixels", "learned_level")
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]


NOTEBOOK = """
exec(cell)
exec(cell)
import numpy as np
noise = np.random.default_rng(0).normal(100, 10, (2, 96, 96)).astype("float32")
frames = [ds.Frame(pixels, index) for index, pixels in enumerate(noise)]
given = {"overlay": False, "figures": False}
assert "mean_side_px" in pipeline.run(frames, **given).detections
try:
    pipeline.run(frames, "left", workers=2, **given)
except ds.UsageError as error:
    print(error)
"""


def test_a_component_of_a_notebook(tmp_path):
    section = GUIDE.read_text().partition("in a notebook\n")[2].partition("\n## ")[0]
    (cell,) = re.findall(r"^```python\n(.*?)^```", section, re.S | re.M)
    done = subprocess.run(
        [sys.executable, "-c", f"cell = {cell!r}{NOTEBOOK}"], cwd=tmp_path, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the class of 'box-sides' stands in a notebook")
    assert not (tmp_path / "left").exists()


def test_the_entry_point_names_the_plugin(project):
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    assert settings["project"]["entry-points"]["defectscope"] == {
        "dark-pixels": "dark_pixels.plugin"
    }
    # hatchling finds a package by this file.
    assert (project / "dark_pixels" / "__init__.py").is_file()


def test_the_component_conforms(project):
    import dark_pixels.plugin

    results = check_component(isolated_host(dark_pixels.plugin), None, "dark-pixels")
    assert {result.status for result in results} == {"passed"}


def test_the_tests_pass(project, pytester):
    result = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-p", "no:xdist", str(project / "tests")
    )
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] > 15
    assert set(outcomes) == {"passed"}


class TestADetectorThatLearns:
    @pytest.fixture
    def trained(self, project):
        """Follow the commands of the section, and return where."""
        info = project / "learned_level-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: learned-level\nVersion: 0\n")
        (info / "entry_points.txt").write_text("[defectscope]\nlearned-level = learned_level\n")
        paths = os.pathsep.join([str(project), str(Path(defectscope.__file__).parents[1])])
        (block,) = [text for text in console_blocks() if "train learned-level" in text]
        for line in block.splitlines():
            command, *words = shlex.split(line)
            assert command == "defectscope"
            done = subprocess.run(
                [sys.executable, "-m", "defectscope", *words], cwd=project, text=True, timeout=300,
                env={**os.environ, "PYTHONPATH": paths}, capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stderr}"
        return project

    def test_it_finds_what_it_learned_and_conforms(self, trained):
        import learned_level

        scores = defectscope.evaluate(trained / "learned", trained / "labelled")
        assert scores.overall.f1 > 0.5
        card = defectscope.WeightFiles.open(trained / "level.safetensors", "learned-level").card
        assert card.recipe["steps"] == 50
        host = isolated_host(learned_level)
        weights = {"weights": str(trained / "level.safetensors")}
        results = check_component(host, None, "learned-level", weights)
        assert {result.status for result in results} == {"passed"}
        names = {result.name for result in results}
        assert {"training_options", "training_leaves_weights", "training_repeats"} <= names
        # Without weights, what needs them is left out, and training is looked at all the same.
        results = {r.name: r for r in check_component(host, None, "learned-level")}
        assert {r.status for r in results.values()} == {"passed", "skipped"}
        assert results["training_leaves_weights"].status == "passed"


def test_every_hook_and_every_class_is_named():
    text = GUIDE.read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("defectscope_")]
    assert not [name for name in [*hooks, *testing.__all__] if f"`{name}" not in text]
