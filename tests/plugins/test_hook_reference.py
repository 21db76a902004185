"""Every hook is documented, tested, and has an example and a template."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from defectscope.plugins import hookspecs, testing
from defectscope.plugins.api_version import API_VERSION
from defectscope.plugins.records import FAMILIES

ROOT = Path(__file__).parents[2]
HOOKS = [name for name in vars(hookspecs) if name.startswith("defectscope_")]


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(ROOT / "docs" / "make_hook_reference.py"))


def test_the_reference_is_up_to_date(generator):
    written = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert written == generator["reference"](), "run: python docs/make_hook_reference.py"


def test_there_are_hooks():
    assert len(HOOKS) > 10


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_and_has_an_example(hook):
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    section = text.partition(f"## `{hook}`\n")[2].partition("\n## ")[0]
    assert re.search(r"^[A-Z][^\n]+\.$", section, re.MULTILINE)
    example = section.partition("```python\n")[2].partition("```")[0]
    assert f"def {hook}(" in example
    assert f"`{hook}" in (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_template_and_a_class_that_tests_it(hook, generator):
    family = generator["family_of_hook"](hook)
    assert issubclass(getattr(testing, generator["conformance_class"](family)), object)
    templates = ROOT / "defectscope" / "plugins" / "scaffold" / "templates"
    sources = [templates / family / f"{name}.py.txt" for name in ("module", "test")]
    assert all(source.is_file() for source in sources)
    assert generator["conformance_class"](family) in sources[1].read_text(encoding="utf-8")


def test_every_hook_is_tried_by_the_tests_of_examples_in_docstrings():
    text = (ROOT / "tests" / "plugins" / "test_hook_examples.py").read_text(encoding="utf-8")
    # That module takes every hook there is, and asks each example for a plugin that works.
    assert '@pytest.mark.parametrize("plugin", HOOKS, indirect=True, ids=HOOKS)' in text
    assert {*FAMILIES.values(), "defectscope_commands"} == set(HOOKS)


def test_the_page_on_versions_names_the_current_one():
    text = (ROOT / "docs" / "plugin-versions.md").read_text(encoding="utf-8")
    assert f"The current version is {API_VERSION}." in text
    assert f'defectscope_api = "{API_VERSION}"' in text


def test_the_examples_state_what_they_were_written_for():
    for folder in sorted((ROOT / "examples").glob("defectscope-*")):
        points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
        (module,) = points["defectscope"].values()
        text = (folder / module / "__init__.py").read_text(encoding="utf-8")
        assert f'defectscope_api = "{API_VERSION}"' in text
