"""``defectscope convert``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from defectscope.cli.convert import convert
from defectscope.core.errors import (
    FormatError,
    InputError,
    OptionError,
    OutputError,
    UnknownNameError,
    UsageError,
)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 5]},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [-2, 3, 10, 5], "ignore": 1},
        ],
        "categories": [{"id": 1, "name": "black dot"}, {"id": 2, "name": "x"}],
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    return path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(convert, [str(argument) for argument in arguments])


def error(*arguments: Any) -> BaseException:
    result = run(*arguments)
    assert result.exception is not None
    return result.exception


@pytest.mark.parametrize(
    ("name", "target", "back"),
    [
        ("coco", "out", 2),
        ("coco", "out.json", 2),
        ("labelme", "out", 2),
        ("yolo", "out", 1),
        ("pascal-voc", "out", 2),
        ("imagej-csv", "out.csv", 2),
        ("imagej-roi", "out.zip", 2),
    ],
)
def test_there_and_back(labels: Path, name: str, target: str, back: int) -> None:
    images = () if target.endswith((".csv", ".zip")) else ("--copy-images",)
    out = labels.with_name(target)
    result = run(labels, out, "--to", name, *images)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "warning: boxes that reached over the rim" in result.stderr
    summary = f"{out}: 1 image, 2 instances, defect types: black dot, x (from coco to {name})\n"
    assert result.stderr.endswith(summary)
    result = run(out, labels.with_name("again.json"), "--to", "coco")
    assert f"1 image, {back} instance{'s' * (back > 1)}," in result.stderr
    document = json.loads(labels.with_name("again.json").read_text())
    assert document["annotations"][0]["bbox"] == pytest.approx([2, 3, 10, 5], abs=1e-3)


def test_losses_are_told(labels: Path) -> None:
    result = run(labels, labels.with_name("out"), "--to", "yolo")
    assert "warning: instances to be ignored that the format has no place for" in result.stderr
    assert "or convert again with --copy-images" in result.stderr
    result = run(labels, labels.with_name("whole"), "--to", "yolo", "--copy-images")
    assert "--copy-images" not in result.stderr


def test_existing_output_is_kept(labels: Path) -> None:
    file, folder = labels.with_name("a.json"), labels.with_name("full")
    file.write_text("mine")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    for target, kind in ((file, "a file"), (folder, "a folder that is not empty")):
        caught = error(labels, target, "--to", "coco")
        assert isinstance(caught, OutputError)
        assert f"{target} exists and is {kind}; choose another place, or replace" in str(caught)
    assert file.read_text() == "mine"
    for target in (file, folder):
        assert run(labels, target, "--to", "coco", "--overwrite").exit_code == 0
    assert sorted(p.name for p in folder.iterdir()) == ["annotations.json", "mine.txt"]
    empty = labels.with_name("empty")
    empty.mkdir()
    assert run(labels, empty, "--to", "yolo").exit_code == 0


def test_failure_leaves_nothing(labels: Path) -> None:
    labels.write_text(labels.read_text().replace("a.png", "b.png"))
    before = sorted(labels.parent.iterdir())
    for name in ("coco", "labelme", "yolo", "pascal-voc"):
        caught = error(labels, labels.with_name("out"), "--to", name, "--copy-images")
        assert isinstance(caught, InputError)
        assert "cannot copy the image b.png: it is not in" in str(caught)
        assert sorted(labels.parent.iterdir()) == before


def test_wrong_use(labels: Path) -> None:
    out = labels.with_name("out")
    cases: list[tuple[type[Exception], str, tuple[str, ...]]] = [
        (UnknownNameError, "no format 'yollo' (did you mean 'yolo'?)", ("--to", "yollo")),
        (UnknownNameError, "no format 'cocoa'", ("--to", "yolo", "--from", "cocoa")),
        (OptionError, "uses 'coco' and 'yolo', not 'x'", ("--to", "yolo", "--set", "x.y=1")),
        (OptionError, "'yolo' has no option 'y'", ("--to", "yolo", "--set", "yolo.y=1")),
        (
            UsageError,
            "has no place for images; leave out --copy",
            ("--to", "imagej-roi", "--copy-images"),
        ),
        (FormatError, "the key 'imagePath' is missing", ("--to", "yolo", "--from", "labelme")),
    ]
    for kind, message, arguments in cases:
        caught = error(labels, out, *arguments)
        assert isinstance(caught, kind), arguments
        assert message in str(caught)
    assert not out.exists()


def test_options_of_both_sides(labels: Path) -> None:
    table = labels.with_name("r.csv")
    table.write_text("Label,BX,BY,Width,Height\na.png,0.2,0.3,1,0.5\n")
    out = labels.with_name("out")
    settings = (
        "imagej-csv.pixel_size=0.1",
        "imagej-csv.defect_type=cavity",
        "coco.copy_images=true",
    )
    sets = [part for setting in settings for part in ("--set", setting)]
    assert run(table, out, "--to", "coco", *sets).exit_code == 0
    document = json.loads((out / "annotations.json").read_text())
    assert document["categories"] == [{"id": 1, "name": "cavity"}]
    assert document["annotations"][0]["bbox"] == [2, 3, 10, 5]
    assert (out / "images/a.png").is_file()


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "count"), [("insitu-loops", 608), ("stem-multitype", 139)])
def test_real_labels_go_through_voc_exactly(
    tmp_path: Path, real_data: Any, name: str, count: int
) -> None:
    folder = real_data(name)
    assert run(folder, tmp_path / "voc", "--to", "pascal-voc").exit_code == 0
    assert run(tmp_path / "voc", tmp_path / "c.json", "--to", "coco").exit_code == 0
    given = json.loads((folder / "annotations.json").read_text())["annotations"]
    found = json.loads((tmp_path / "c.json").read_text())["annotations"]
    assert len(found) == count
    assert sorted(a["bbox"] for a in found) == sorted(a["bbox"] for a in given)


def test_process_exit_codes_and_streams(labels: Path) -> None:
    def process(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "defectscope", "convert", *arguments]
        return subprocess.run(command, cwd=labels.parent, capture_output=True, text=True)

    done = process("labels.json", "out", "--to", "labelme")
    assert (done.returncode, done.stdout) == (0, "")
    again = process("labels.json", "out", "--to", "labelme")
    assert again.returncode == 1
    assert again.stderr == (
        "error: out exists and is a folder that is not empty; choose another place, or replace it "
        "with --overwrite (overwrite=True)\n"
    )
    assert process("labels.json", "new", "--to", "no-such").returncode == 2
    labels.write_text('{"images": [\n,]}')
    broken = process("labels.json", "new", "--to", "yolo")
    assert broken.returncode == 1
    assert "labels.json: malformed JSON in line 2, column 1" in broken.stderr
    assert "Traceback" not in broken.stderr
