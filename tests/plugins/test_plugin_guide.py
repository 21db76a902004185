"""The example of the plugin guide works as it stands there."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from defectscope.plugins import hookspecs, testing
from defectscope.plugins.conformance import check_component
from defectscope.plugins.testing import isolated_host

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"


def code_blocks() -> dict[str, str]:
    """Return the blocks of the guide that begin with a file name, by it."""
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", GUIDE.read_text(), re.S | re.M)
    return dict(blocks)


@pytest.fixture
def project(tmp_path, monkeypatch):
    blocks = code_blocks()
    for name, text in blocks.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "dark_pixels"]:
        del sys.modules[name]


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


def test_every_hook_and_every_class_is_named():
    text = GUIDE.read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("defectscope_")]
    assert not [name for name in [*hooks, *testing.__all__] if f"`{name}" not in text]
