"""Everything that a script may use is described on one page."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

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


def test_what_is_described_says_what_it_does():
    for section in PAGE.split("\n### ")[1:]:
        title, _, rest = section.partition("\n")
        prose = [line for line in rest.splitlines() if line and not line.startswith(("`", "-"))]
        assert prose, title
        assert prose[0].rstrip().endswith("."), title
