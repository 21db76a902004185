"""``generate``, as real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from defectscope.cli.main import cli
from defectscope.pipeline.labels import open_dataset
from defectscope.plugins.host import default_host

PLAIN = ["in-situ-loops", "--size", "96x64", "--set", "in-situ-loops.count=5"]


def call(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "defectscope", "generate", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def contents(folder: Path):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset of six images."""
    folder = tmp_path_factory.mktemp("made") / "data"
    done = call(*PLAIN, "--count", 6, "--seed", 4, "--masks", "--preview", "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_dataset_is_what_the_contract_says(made):
    dataset = open_dataset(made, default_host())
    assert [image.file_name for image in dataset.images] == [
        f"{number:06d}.png" for number in range(6)
    ]
    assert dataset.folder == made / "images"
    for image in dataset.images:
        pixels = cv2.imread(str(dataset.folder / image.file_name), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (64, 96)
        assert image.instances.image_shape == (64, 96)
        assert np.isfinite(image.instances.measurements["major_px"]).all()
        masks = sorted((made / "masks" / image.stem).glob("*.png"))
        assert len(masks) == len(image.instances) + 1
    together = cv2.imread(str(made / "masks/000000/all.png"), cv2.IMREAD_UNCHANGED) > 0
    expected = np.zeros((64, 96), bool)
    for mask in dataset.images[0].instances.masks:
        expected |= mask.to_dense((64, 96))
    np.testing.assert_array_equal(together, expected)
    assert len(list((made / "parameters").glob("*.json"))) == 6
    assert cv2.imread(str(made / "preview.png")).shape[2] == 3
    assert not [path.name for path in made.iterdir() if path.name.startswith(".")]


def test_workers_do_not_change_a_byte(made, tmp_path):
    done = call(*PLAIN, "--count", 6, "--seed", 4, "--masks", "--preview", "--workers", 2,
                "--out", tmp_path / "data")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "data") == contents(made)


def test_a_sample_is_drawn_again_from_its_parameters(made, tmp_path):
    again = tmp_path / "again"
    done = call("--from", made / "parameters/000003.json", "--out", again, "--masks", "--preview")
    assert done.returncode == 0, done.stderr
    drawn = contents(again)
    assert drawn.pop("annotations.json")
    assert drawn.pop("preview.png")
    assert drawn == {name: data for name, data in contents(made).items() if "000003" in name}


def test_other_seeds_give_other_images(made, tmp_path):
    call(*PLAIN, "--seed", 5, "--out", tmp_path / "data")
    one, other = (f / "images/000000.png" for f in (made, tmp_path / "data"))
    assert one.read_bytes() != other.read_bytes()


def test_an_interrupted_dataset_is_gone_on_with(made, tmp_path):
    first = call(*PLAIN, "--count", 6, "--seed", 4, "--masks", "--preview", "--out", tmp_path / "a")
    assert first.returncode == 0
    folder = tmp_path / "a"
    # As a kill leaves it after two samples, the third without its truth.
    dataset = json.loads((folder / "annotations.json").read_text())
    (folder / "annotations.json").unlink()
    (folder / ".truth").mkdir()
    for number in range(2):
        image = dataset["images"][number]
        part = {
            **dataset,
            "images": [image],
            "annotations": [a for a in dataset["annotations"] if a["image_id"] == image["id"]],
        }
        (folder / f".truth/{number:06d}.json").write_text(json.dumps(part))
    again = call(*PLAIN, "--count", 6, "--seed", 4, "--masks", "--preview", "--resume",
                 "--out", folder)  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert contents(folder) == contents(made)


def test_a_sequence_keeps_identities(tmp_path):
    done = call(*PLAIN, "--length", 4, "--bit-depth", 16, "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    dataset = open_dataset(tmp_path / "data", default_host())
    assert [image.frame for image in dataset.images] == [0, 1, 2, 3]
    ids = [set(image.instances.measurements["track_id"]) for image in dataset.images]
    assert ids[0] & ids[3]
    name = str(dataset.folder / dataset.images[0].file_name)
    assert cv2.imread(name, cv2.IMREAD_UNCHANGED).dtype == np.uint16


BAD = {
    "no generator": ([], 2, "name at least one generator"),
    "unknown generator": (["loop"], 2, "there is no generator 'loop'"),
    "unknown background": (["in-situ-loops", "--background", "tex"], 2, "no background 'tex'"),
    "low above high": (
        ["in-situ-loops", "--set", "in-situ-loops.smallest_px=50"], 2, "must not exceed largest_px",
    ),
    "too small": (["in-situ-loops", "--size", "8"], 2, "16 to 16384 px"),
    "malformed size": (["in-situ-loops", "--size", "big"], 2, "SIDE or WIDTHxHEIGHT"),
    "too many sides": (["in-situ-loops", "--size", "64x64x3"], 2, "WIDTHxHEIGHT"),
    "no such parameters": (["--from", "nowhere.json"], 1, "no parameters file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_requests(case, tmp_path):
    arguments, code, message = BAD[case]
    done = call(*arguments, "--out", tmp_path / "data")
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_parameters_of_another_version_are_refused(made, tmp_path):
    record = json.loads((made / "parameters/000000.json").read_text())
    old = tmp_path / "old.json"
    old.write_text(json.dumps({**record, "version": "0.0.1"}))
    done = call("--from", old, "--out", tmp_path / "data")
    assert done.returncode == 1
    assert "was written by defectscope 0.0.1" in done.stderr


def test_the_preview_is_spread_over_a_sequence(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "defectscope.pipeline.contact_sheet.contact_sheet",
        lambda images, types, columns: shown.extend(images) or np.zeros((8, 8, 3), np.uint8),
    )
    # On Windows it reads no path that is not plain ASCII.
    monkeypatch.setattr(cv2, "imread", lambda *_: None)
    out = tmp_path / "Versetzungsschleifen-µ"
    arguments = [*PLAIN, "--length", "11", "--preview", "--out", str(out)]
    done = CliRunner().invoke(cli, ["generate", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    frames = [f"images/000000-{frame:04d}.png" for frame in range(0, 11, 2)]
    assert len(shown) == len(frames)
    for (pixels, _), name in zip(shown, frames, strict=True):
        stored = cv2.imdecode(np.fromfile(out / name, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(pixels, stored)


def test_loops_without_room_are_said(tmp_path):
    crowd = ["--set", "loops.count=100", "--size", "64", "--count", "2"]
    done = call("loops", *crowd, "--out", tmp_path / "data")
    assert done.returncode == 0
    assert done.stderr.count("warning: loops: there was no room for") == 1


def test_the_preview_of_a_former_dataset_goes_with_it(tmp_path):
    for more in (["--preview"], ["--overwrite"]):
        arguments = [*PLAIN, *more, "--out", str(tmp_path / "data")]
        done = CliRunner().invoke(cli, ["generate", *arguments], catch_exceptions=False)
        assert done.exit_code == 0
        assert (tmp_path / "data/preview.png").exists() == ("--preview" in more)


def test_other_folders_are_left_alone(made, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert call(*PLAIN, "--out", tmp_path, "--overwrite").returncode == 1
    assert "--overwrite" in call(*PLAIN, "--out", made).stderr
    other = call(*PLAIN, "--seed", 9, "--out", made, "--resume")
    assert other.returncode == 2
    assert "seed was 4, now it is 9" in other.stderr


def test_a_complete_dataset_is_said_to_be_so(made):
    former = contents(made)
    again = call(*PLAIN, "--count", 6, "--seed", 4, "--masks", "--preview", "--resume",
                 "--out", made)  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert again.stderr.endswith("already complete\n")
    assert contents(made) == former
