"""``generate twin`` and ``profiles``, as real processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from defectscope.cli.profiles import profiles
from defectscope.core.errors import DefectscopeError
from defectscope.core.geometry.splines import spline_through
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines
from defectscope.generators.texture import Texture
from defectscope.pipeline.labels import open_dataset
from defectscope.plugins.host import default_host

SHAPE = (160, 208)
SUPPORT = [[[20, 30], [90, 50], [180, 40]], [[30, 120], [90, 100], [170, 130]]]
WIDTHS, STRENGTHS = (3.0, 5.0), (0.3, 0.2)


def call(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "defectscope", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=cwd,
    )


def done(*arguments, cwd=None):
    result = call(*arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result


def label(folder, name, lines, image="image.png"):
    shapes = [{"label": "dislocation", "shape_type": "linestrip", "points": line} for line in lines]
    document = {"shapes": shapes, "imagePath": image, "imageHeight": SHAPE[0],
                "imageWidth": SHAPE[1]}  # fmt: skip
    (folder / name).write_text(json.dumps(document))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An image with two lines of known look, its labels, and two twins of it."""
    folder = tmp_path_factory.mktemp("twins")
    pixels = Texture().render(SHAPE, np.random.default_rng(0))[0]
    styles = [LineStyle("dark", s, w) for s, w in zip(STRENGTHS, WIDTHS, strict=True)]
    paths = [spline_through(line) for line in SUPPORT]
    paint_lines(pixels, paths, styles, [1.0, 1.0], np.random.default_rng(0))
    cv2.imwrite(str(folder / "image.png"), np.round(255 * pixels).astype(np.uint8))
    label(folder, "image.json", SUPPORT)
    done("generate", "twin", "--set", "twin.labels=image.json", "--size", "208x160", "--count", 2,
         "--out", "twin", cwd=folder)  # fmt: skip
    return folder


def test_twins_have_the_labelled_lines_and_are_drawn_again(folder, tmp_path):
    dataset = open_dataset(folder / "twin", default_host())
    assert len(dataset.images) == 2
    for image in dataset.images:
        for line, support in zip(image.instances.lines, SUPPORT, strict=True):
            exact = spline_through(support)
            np.testing.assert_allclose(line[[0, -1]], exact[[0, -1]], atol=0.01)
            assert len(line) == pytest.approx(len(exact), abs=1)
    first, second = ((folder / f"twin/images/00000{k}.png").read_bytes() for k in (0, 1))
    assert first != second
    done("generate", "--from", "twin/parameters/000001.json", "--out", tmp_path / "again",
         cwd=folder)  # fmt: skip
    assert (tmp_path / "again/images/000001.png").read_bytes() == second


def test_the_n_th_sample_is_the_twin_of_the_n_th_image_with_any_workers(folder, tmp_path):
    shutil.copy(folder / "image.png", tmp_path)
    for k in (1, 2, 3):
        label(tmp_path, f"{k}.json", (SUPPORT * 2)[:k])
    numbers = {}
    for workers in (1, 2):
        done("generate", "twin", "--set", "twin.labels=.", "--set", "twin.lines=set",
             "--size", "208x160", "--count", 3, "--workers", workers, "--out", f"w{workers}",
             cwd=tmp_path)  # fmt: skip
        dataset = open_dataset(tmp_path / f"w{workers}", default_host())
        numbers[workers] = [len(image.instances) for image in dataset.images]
    assert numbers == {1: [1, 2, 3], 2: [1, 2, 3]}
    for name in ("000000.png", "000002.png"):
        one, two = (tmp_path / w / "images" / name for w in ("w1", "w2"))
        assert one.read_bytes() == two.read_bytes()


def test_profiles_find_what_was_painted_and_the_twin_repeats_it(folder):
    result = done("profiles", "image.png", "image.json", "--twin", "twin", "--out", "both",
                  cwd=folder)  # fmt: skip
    assert "with 2 of 2 lines" in result.stderr
    assert result.stdout.splitlines()[0].split()[:2] == ["line", "contrast"]
    assert len(result.stdout.splitlines()) == 4
    lines = pd.read_csv(folder / "both/lines.csv")
    for side, tolerance in (("real", 0.12), ("twin", 0.2)):
        np.testing.assert_allclose(lines[f"{side}_width_px"], WIDTHS, rtol=tolerance)
        np.testing.assert_allclose(-lines[f"{side}_contrast"], STRENGTHS, rtol=tolerance)
        assert set(lines[f"{side}_contrast_kind"]) == {"dark"}
    assert (lines["twin_distance_px"] < 0.5).all()
    table = pd.read_csv(folder / "both/profiles.csv")
    assert list(table) == ["line", "kind", "offset_px", "real_grey", "twin_grey"]
    mean = table[table["kind"] == "mean"].set_index("offset_px")
    assert mean["line"].isna().all()
    assert mean["real_grey"].idxmin() == pytest.approx(0, abs=0.5)
    np.testing.assert_allclose(mean["twin_grey"], mean["real_grey"], atol=0.03)
    assert cv2.imread(str(folder / "both/profiles.png")).shape[2] == 3
    assert (folder / "both/profiles.svg").read_text().startswith("<?xml")


def run(*arguments):
    """Run `profiles` in this process."""
    return CliRunner().invoke(profiles, [str(argument) for argument in arguments])


def test_an_image_alone_and_labels_of_another_format_will_do(folder, monkeypatch):
    monkeypatch.chdir(folder)
    done("convert", "image.json", "coco/annotations.json", "--to", "coco", cwd=folder)
    result = run("image.png", "coco", "--out", "alone", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert [line["line"] for line in facts["lines"]] == [0, 1]
    assert facts["lines"][0]["real_width_px"] == pytest.approx(3, rel=0.12)
    assert facts["lines"][0]["twin_width_px"] is None
    assert facts["mean"]["real_contrast"] == pytest.approx(-0.25, rel=0.12)


def test_twins_of_another_size_are_compared_in_px_of_the_image(folder, monkeypatch):
    monkeypatch.chdir(folder)
    done("generate", "twin", "--set", "twin.labels=image.json", "--size", "416x320",
         "--out", "large", cwd=folder)  # fmt: skip
    assert run("image.png", "image.json", "--twin", "large", "--out", "scaled").exit_code == 0
    lines = pd.read_csv(folder / "scaled/lines.csv")
    np.testing.assert_allclose(lines["twin_width_px"], WIDTHS, rtol=0.2)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent.png", "image.json"], 1, "there is no file or folder absent.png"),
        (["image.png", "absent.json"], 1, "there is no file or folder absent.json"),
        (["image.png", "image.json", "--label", "x"], 1, "holds no line with the label 'x'"),
        (["image.png", "image.json", "--twin", "other.json"], 1, "a line where one is labelled"),
        (["image.png", "twin"], 1, "labels 2 images, 0 of them with the name 'image'"),
        (["small.png", "image.json"], 1, "labels an image of 208 x 160 px, but"),
        (["twin/images", "image.json"], 2, "holds 2 images; name a single one"),
    ],
)
def test_bad_input_is_one_sentence(folder, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(folder)
    cv2.imwrite("small.png", cv2.imread("image.png")[:100])
    label(folder, "other.json", [[[10, 150], [60, 155]]])
    result = run(*arguments, "--out", tmp_path / "out")
    assert isinstance(result.exception, DefectscopeError), result.output
    assert result.exception.exit_code == code
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_former_results_are_not_replaced_unasked(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    (tmp_path / "profiles.csv").write_text("old")
    again = call("profiles", "image.png", "image.json", "--out", tmp_path, cwd=folder)
    assert (again.returncode, again.stdout) == (1, "")
    assert "holds profiles; choose another --out, or give --overwrite" in again.stderr
    assert run("image.png", "image.json", "--out", tmp_path, "--overwrite").exit_code == 0
    assert (tmp_path / "profiles.csv").read_text().startswith("line,kind")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "--set twin.labels=FILE"),
        (["--set", "twin.labels=absent.json"], 1, "there is no labelme file or folder absent.json"),
        (["--set", "twin.labels=image.json"], 2, "give --size 208x160 or that size scaled"),
        (["--set", "twin.labels=image.json", "--set", "twin.image=absent.png"], 1, "absent.png"),
    ],
)
def test_what_is_wrong_with_a_twin_is_one_sentence(folder, tmp_path, options, code, message):
    size = [] if "scaled" in message else ["--size", "208x160"]
    result = call("generate", "twin", *options, *size, "--out", tmp_path / "out", cwd=folder)
    assert result.returncode == code
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
