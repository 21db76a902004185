"""New projects and examples, installed by pip: they work beside the shipped plugins."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from defectscope.plugins.records import FAMILIES
from defectscope.plugins.scaffold.kinds import KINDS

ROOT = Path(__file__).parents[2]
EXAMPLE_NAMES = ("cavities", "precipitates")


def test_everything_is_found(site):
    found = json.loads(site.defectscope("plugins", "list", "--json").stdout)
    records = {record["distribution"]: record for record in found["plugins"]}
    expected = {f"defectscope-new-{family}" for family in KINDS}
    expected |= {f"defectscope-{name}" for name in EXAMPLE_NAMES}
    assert expected <= records.keys()
    assert not [record for record in records.values() if record["error"] is not None]
    assert found["clashes"] == []
    for family, hook in {**FAMILIES, "commands": "defectscope_commands"}.items():
        record = records[f"defectscope-new-{family}"]
        assert record["hooks"] == [hook]
        assert record["version"] == "0.1.0"
        assert record["api_version"] == "1.0"


@pytest.mark.slow
def test_the_tests_of_new_projects_and_of_examples_pass(site):
    folders = [site.project(family) / "tests" for family in KINDS]
    folders += [ROOT / "examples" / f"defectscope-{name}" / "tests" for name in EXAMPLE_NAMES]
    done = site.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
        "--import-mode=importlib", "--rootdir", site.folder, *folders,
    )  # fmt: skip
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 260
    assert "failed" not in done.stdout


def test_strictly_typed(site):
    """Under the settings of this repository, whose cache `make lint` has filled."""
    packages = [f"defectscope_new_{family.replace('-', '_')}" for family in KINDS]
    packages += [f"defectscope_{name}" for name in EXAMPLE_NAMES]
    flags = [part for package in packages for part in ("-p", package)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *flags], cwd=ROOT, capture_output=True,
        env={"MYPYPATH": str(site.packages), "PATH": ""}, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "no issues found in" in done.stdout


def test_the_linter_has_nothing_to_say(site):
    projects = [site.project(family) for family in KINDS]
    for command in (["check"], ["format", "--check"]):
        done = site.python("-m", "ruff", *command, "--no-cache", *projects, check=False)
        assert done.returncode == 0, done.stdout


def test_the_template_of_a_detector_finds_what_that_of_a_generator_draws(site, tmp_path):
    site.defectscope(
        "generate", "new-generators", "--size", "256", "--count", "2", "--out", "data", cwd=tmp_path
    )
    site.defectscope(
        "run", "data/images", "--detector", "new-detectors", "--out", "results", "--no-overlay",
        "--no-figures", cwd=tmp_path,
    )  # fmt: skip
    scores = json.loads(
        site.defectscope("evaluate", "results", "data", "--json", cwd=tmp_path).stdout
    )
    assert scores["by_type"].keys() == {"black dot"}
    assert scores["by_type"]["black dot"]["f1"] > 0.5


@pytest.mark.slow
def test_a_detector_learns_from_a_new_generator_as_its_readme_says(site, tmp_path):
    pytest.importorskip("torch", reason="training needs the extra torch")
    text = (site.project("generators") / "README.md").read_text()
    (recipe,) = re.findall(r"^```toml\n# recipe\.toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "recipe.toml").write_text(recipe)
    (line,) = re.findall(r"^defectscope (train .*)$", text, re.MULTILINE)
    small = ("crop_px=64", "validate_every=2", "validation_frames=1", "channels=[8,16]",
             "blocks=[1,1]")  # fmt: skip
    site.defectscope(
        *line.split(), "--steps", "2", *(p for v in small for p in ("--set", f"heatmap.{v}")),
        cwd=tmp_path,
    )  # fmt: skip
    card = json.loads((tmp_path / "new-generators.json").read_text())
    assert card["defect_types"] == ["black dot"]
    assert card["data"] == "New generators"


def test_cavities_in_one_pipeline_with_shipped_plugins(site, tmp_path):
    draw = ("cavities.count=12", "cavities.spread=0.1", "texture.grain_contrast=0.02",
            "texture.coarse_contrast=0.01")  # fmt: skip
    site.defectscope(
        "generate", "cavities", "--background", "texture", "--size", "256", "--count", "3",
        "--out", "data", *(part for value in draw for part in ("--set", value)), cwd=tmp_path,
    )  # fmt: skip
    site.defectscope(
        "run", "data/images", "--detector", "dark-blobs", "--set", "dark-blobs.contrast=bright",
        "--set", "dark-blobs.defect_type=cavity", "--set", "dark-blobs.blur_px=1",
        "--set", "dark-blobs.min_area_px=20",
        "--post", "cavity-fringe", "--tracker", "new-trackers", "--pixel-size", "0.4",
        "--thickness", "80", "--out", "results", "--no-overlay", cwd=tmp_path,
    )  # fmt: skip
    swelling = pd.read_csv(tmp_path / "results" / "figures" / "swelling.csv")
    truth = json.loads((tmp_path / "data" / "annotations.json").read_text())
    diameters = np.array([a["ellipse"]["major"] * 0.4 for a in truth["annotations"]])
    expected = 100 * np.pi / 6 * (diameters**3).sum() / 3 / (256**2 * 0.4**2 * 80)
    assert len(diameters) == 36
    assert swelling["swelling_percent"].mean() == pytest.approx(expected, rel=0.25)
    plan = json.loads((tmp_path / "results" / "run.json").read_text())["plan"]["components"]
    owners = {one["name"]: one["distribution"] for one in plan}
    assert owners["cavity-fringe"] == owners["swelling"] == "defectscope-cavities"
    assert owners["dark-blobs"] == "defectscope"
    assert owners["new-trackers"] == "defectscope-new-trackers"
    assert "new-analyses" in owners
    counted = site.defectscope("new-commands", "results", cwd=tmp_path).stdout
    assert re.search(r"^\d+\tcavity$", counted, re.MULTILINE)


def test_precipitates_are_read_and_followed(site, tmp_path):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :96]
    (tmp_path / "maps").mkdir()
    for frame, radius in enumerate((6, 8, 10)):
        counts = rng.poisson(10, (80, 96))
        for cx in (24, 66):
            counts[np.hypot(x - cx, y - 40) < radius] += 60
        rows = "\n".join(",".join(map(str, row)) for row in counts)
        path = tmp_path / "maps" / f"map{frame + 1}.map.csv"
        path.write_text(f"# pixel_size_nm = 0.8\n{rows}\n")
    site.defectscope(
        "run", "maps", "--detector", "dark-blobs", "--set", "dark-blobs.contrast=bright",
        "--set", "dark-blobs.defect_type=precipitate", "--post", "watershed-ellipse",
        "--tracker", "overlap", "--out", "results", "--no-overlay", cwd=tmp_path,
    )  # fmt: skip
    tracks = pd.read_parquet(tmp_path / "results" / "tracks.parquet")
    # map1.map.csv is frame 1.
    assert tracks.groupby("particle")["frame"].apply(list).tolist() == [[1, 2, 3]] * 2
    growth = tracks.sort_values("frame").groupby("particle")["diameter_nm"]
    assert (growth.last() > growth.first() + 3).all()
