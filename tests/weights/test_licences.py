"""What is shipped says under which licences it stands, and brings their texts along."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from defectscope.core.weights import WeightFiles, registered_file
from defectscope.weights.plugin import defectscope_weights

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def licences(expression):
    """Return the licences of an SPDX expression in which all of them hold."""
    return set(expression.split(" AND "))


@pytest.mark.parametrize("spec", defectscope_weights(), ids=lambda spec: spec.name)
def test_the_distribution_names_the_licence_of_its_weights(spec):
    card = WeightFiles.open(registered_file(spec)).card
    assert licences(card.licence) <= licences(PROJECT["license"])
    assert (spec.licence or "MIT") == card.licence


def test_every_licence_has_its_text():
    for name in licences(PROJECT["license"]) - {"MIT"}:
        assert (ROOT / "LICENSES" / f"{name}.txt").stat().st_size > 5_000
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license-files"] == ["LICENSE", "LICENSES/*.txt"]


def test_the_readme_names_the_weights_that_are_not_under_mit():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = readme.partition("\n## Licence\n")[2]
    others = [spec for spec in defectscope_weights() if spec.licence]
    assert others
    for spec in others:
        assert f"`{spec.name}`" in told
        texts = [f"(LICENSES/{name}.txt)" for name in licences(spec.licence) - {"MIT"}]
        assert all(text in told for text in texts)
