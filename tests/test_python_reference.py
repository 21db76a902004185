"""Everything that a script may use is described on one page."""

from __future__ import annotations

import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest

from defectscope.pipeline.settings import RunSettings

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(ROOT / "docs" / "make_python_reference.py"))


def test_the_reference_is_up_to_date(generator):
    assert generator["reference"]() == PAGE, "run: python docs/make_python_reference.py"


def test_every_public_name_is_described(generator):
    names = generator["public_names"]()
    assert len(names) > 50
    hooks = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    for name in names:
        if not generator["told_elsewhere"](name):
            assert f"### `{name}`" in PAGE, name
        elif name.endswith("Error"):
            assert f" {name} " in PAGE or f"\n{name} " in PAGE, name
        else:
            assert name in hooks, name


def test_every_setting_of_a_run_is_described():
    listed = PAGE.partition("#### Settings of `run` and `watch`")[2].partition("\n### ")[0]
    named = {name for row in re.findall(r"^- (.*?): ", listed, re.M)
             for name in re.findall(r"`(\w+)`", row)}  # fmt: skip
    assert named == {field.name for field in fields(RunSettings)}


def test_what_is_described_says_what_it_does():
    for section in PAGE.split("\n### ")[1:]:
        title, _, rest = section.partition("\n")
        prose = [line for line in rest.splitlines() if line and not line.startswith(("`", "-"))]
        assert prose, title
        assert prose[0].rstrip().endswith("."), title
