"""What is handed out: nothing is missing from the archives, and all of it has one version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from defectscope import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def packed(kind):
    """Return the paths of what an archive holds, without making it."""
    builders = pytest.importorskip(f"hatchling.builders.{kind}", reason="needs the extra dev")
    builder = getattr(builders, f"{kind.capitalize()}Builder")(str(ROOT))
    return {Path(file.distribution_path).as_posix() for file in builder.recurse_included_files()}


def test_the_source_archive_holds_every_file_of_the_root():
    # README.md, LICENSE, Makefile, ...; other names may be notes of whoever works here.
    here = {path.name for path in ROOT.glob("[A-Z]*") if path.is_file()}
    assert {*here, "constraints.txt"} - packed("sdist") == set()


@pytest.mark.parametrize("folder", ["tests", "docs", "examples", "benchmarks", "LICENSES"])
def test_the_source_archive_holds_the_folders_beside_the_package(folder):
    found = {path for path in packed("sdist") if path.startswith(f"{folder}/")}
    assert found


def test_the_wheel_holds_what_the_package_reads():
    files = (p for p in (ROOT / "defectscope").rglob("*") if p.is_file())
    needed = {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}
    found = packed("wheel")
    assert needed - found == set()
    assert "defectscope/py.typed" in found
    assert not any(path.startswith(("tests/", "docs/")) for path in found)


def test_every_licence_that_is_named_has_its_text():
    names = set(re.split(r" AND ", PROJECT["license"])) - {"MIT"}
    assert {path.stem for path in (ROOT / "LICENSES").iterdir()} == names
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("defectscope-*")))
def test_an_example_that_is_installed_alone_brings_its_licence(example):
    assert tomllib.loads((example / "pyproject.toml").read_text())["project"]["license"] == "MIT"
    assert (example / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_citation_is_of_this_version():
    said = dict(re.findall(r"^([\w-]+): (.+)$", CITATION, re.MULTILINE))
    assert said["version"] == __version__
    assert said["title"] == PROJECT["name"]
    assert (
        re.search(r"^authors:\n  - name: (.+)$", CITATION, re.MULTILINE)[1]
        == (PROJECT["authors"][0]["name"])
    )


def test_the_citation_has_the_keywords_of_the_project():
    section = CITATION.partition("keywords:\n")[2]
    assert re.findall(r"^  - (.+)$", section, re.MULTILINE) == PROJECT["keywords"]


def test_the_page_for_contributors_names_every_folder_of_the_package():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = " ".join(re.findall(r"^\| (`.+?) \|", text, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "defectscope").glob("*/__init__.py")}
    assert set(re.findall(r"`(\w+)`", rows)) == folders
