"""The tutorial is followed as it stands there, from an empty folder to a wheel."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT = "defectscope-bright-spots"


def follow(line, site, project):
    """Do what a line of the tutorial says, without asking an index for anything."""
    words = shlex.split(line)
    if words[:3] == ["pip", "install", "--editable"]:
        site.install(project)
        # As an editable install: the metadata there, the code in the project.
        shutil.rmtree(site.packages / "defectscope_bright_spots")
    elif words[:2] == ["pip", "wheel"]:
        site.python("-m", "pip", "--disable-pip-version-check", "wheel", "--no-build-isolation",
                    "--no-index", *words[2:])  # fmt: skip
    elif words[0] == "pytest":
        done = site.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
                           cwd=project)  # fmt: skip
        assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 15
    elif words[0] == "cp":
        shutil.copy(site.folder / words[1], site.folder / words[2])
        for module in (site.folder / words[2]).glob("*or.py"):
            module.write_text(module.read_text().replace('"black dot"', '"bright spot"'))
    elif words[0] == "twine":
        assert (site.folder / words[-1]).is_file()
    else:
        assert words[0] == "defectscope", line
        site.defectscope(*words[1:])


def test_from_an_empty_folder_to_a_wheel(tmp_path, site_type):
    pytest.importorskip("hatchling", reason="it comes with the extra 'dev'")
    project = tmp_path / PROJECT
    site = site_type(tmp_path, (project,))
    for language, text in BLOCK.findall((DOCS / "plugin-tutorial.md").read_text()):
        if language == "python" and "__init__.py: " in text:
            path = project / "defectscope_bright_spots" / "__init__.py"
            former = '"Boxes around dark pixels that touch."'
            assert former in path.read_text()
            path.write_text(path.read_text().replace(former, text.splitlines()[1].strip(" ,")))
        elif language == "python":
            path = project / text.splitlines()[0].removeprefix("# ")
            assert path.is_file(), "the tutorial replaces what the template wrote"
            path.write_text(text.partition("\n")[2])
        else:
            assert language == "console"
            for line in text.replace("\\\n", " ").splitlines():
                follow(line, site, project)
    lines = pd.read_csv(tmp_path / "bench" / "benchmark.csv")
    assert set(lines["detector"]) == {"bright-spots", "fine", "dark-blobs"}
    assert set(lines["status"]) == {"finished"}
    assert len(pd.read_parquet(tmp_path / "second" / "detections.parquet")) > 60
    listed = site.defectscope("plugins", "list").stdout
    assert "Maxima of the image" in listed
    drawn = json.loads((tmp_path / "drawn" / "annotations.json").read_text())
    assert [category["name"] for category in drawn["categories"]] == ["bright spot"]
    run = json.loads((tmp_path / "first" / "run.json").read_text())
    assert run["plan"]["components"][0]["distribution"] == PROJECT
    again = site.defectscope(
        "plugins", "new", "detector", "bright-spots", "--out", "b", check=False
    )
    assert again.returncode == 2
    assert f"is taken by {PROJECT} 0.1.0" in again.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    names = zipfile.ZipFile(wheel).namelist()
    assert "defectscope_bright_spots/detector.py" in names
    assert "defectscope_bright_spots/py.typed" in names
    for command in (["ruff", "check", "--no-cache"], ["ruff", "format", "--check", "--no-cache"]):
        done = site.python("-m", *command, project, check=False)
        assert done.returncode == 0, done.stdout
