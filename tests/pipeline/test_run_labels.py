"""What a run found, handed to people and back."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from roifile import ImagejRoi

import defectscope as ds
from defectscope.cli.main import cli
from defectscope.core.errors import OptionError, OutputError
from defectscope.core.metrics import Counts
from defectscope.core.tables import ORIGINS
from defectscope.pipeline.labels import open_dataset, save_dataset
from defectscope.pipeline.run_labels import is_run, run_dataset, truth_of_run
from defectscope.plugins.host import default_host
from defectscope.plugins.testing import isolated_host


def run_frames():
    """Return frames of two loops that drift; the second is missed in frames 3 and 4."""
    frames = []
    for k in range(8):
        pixels = np.full((60, 80), 200, np.uint8)
        for number, (x, y) in enumerate(((15, 12), (50, 35))):
            if number == 0 or k not in (3, 4):
                pixels[y + k : y + k + 9, x : x + 9] = 20
        frames.append(ds.Frame(pixels, index=100 + k, source=f"f{100 + k}.png"))
    return frames


@pytest.fixture
def run(tmp_path):
    """A run on these frames."""
    options = {"loops": {"remove_drift": False}}
    pipeline = ds.Pipeline("dark-blobs", ["watershed-ellipse"], "loops", [], options)
    result = pipeline.run(run_frames(), tmp_path / "run", overlay=False, figures=False)
    assert Counter(result.tracks["origin"]) == {"detector": 14, "interpolated": 2}
    return tmp_path / "run"


def origins(instances):
    return [ORIGINS[int(code)] for code in instances.measurements["origin"]]


def test_the_tracks_of_a_run_are_a_dataset(run):
    assert is_run(run)
    dataset = run_dataset(run, default_host().defect_types())
    assert [image.frame for image in dataset.images] == list(range(100, 108))
    assert [len(image.instances) for image in dataset.images] == [2] * 8
    assert sorted(origins(dataset.images[3].instances)) == ["detector", "interpolated"]
    assert set(dataset.images[0].instances.measurements["track_id"]) == {0, 1}


def test_a_run_is_perfect_by_its_own_truth(run, tmp_path):
    scores = ds.evaluate(run, run)
    assert scores.overall == Counts(14, 0, 0)
    tracking = scores.tracking
    assert (tracking["mota"], tracking["idf1"], tracking["true_tracks"]) == (1, 1, 2)
    # Another tracker, which keeps one of the two, changes tracks and not detections.
    options = {"loops": {"remove_drift": False, "min_length": 7}}
    other = ds.Pipeline("dark-blobs", ["watershed-ellipse"], "loops", [], options).run(
        run_frames(), tmp_path / "other", overlay=False, figures=False
    )
    assert len(other.tracks) == 8
    scores = ds.evaluate(run, other.folder)
    assert scores.overall == Counts(14, 0, 0)
    assert (scores.tracking["true_tracks"], scores.tracking["false_positives"]) == (1, 2)


def test_truth_of_a_run_has_what_was_filled_in_as_ignored(run):
    truth = truth_of_run(ds.load_run(run), default_host().defect_types())
    for image in truth.images:
        found = image.instances
        assert [o == "interpolated" for o in origins(found)] == found.ignore.tolist()
    assert sum(int(image.instances.ignore.sum()) for image in truth.images) == 2


class Cracks(ds.Detector):
    """One line a frame, from corner to corner."""

    defect_types = ("crack",)

    def detect(self, frames):
        line = [[4, 4], [60, 44]]
        return [
            ds.Instances(f.shape, [[4, 4, 60, 44]], defect_types="crack", lines=[line])
            for f in frames
        ]


def test_lines_that_nobody_measured_are_lines_by_their_type(tmp_path):
    @ds.hookimpl
    def defectscope_detectors():
        return [ds.ComponentSpec("cracks", "Test lines.", f"{__name__}:Cracks")]

    host = isolated_host(SimpleNamespace(defectscope_detectors=defectscope_detectors))
    result = ds.Pipeline("cracks", analyses=[], host=host).run(
        run_frames(), tmp_path / "run", overlay=False, figures=False
    )
    assert "length_px" not in result.detections
    for shape, count in ((None, 1), ("line", 1), ("ellipse", 0)):
        types = {} if shape is None else {"crack": ds.DefectType("crack", "Crack", shape)}
        for dataset in (run_dataset(result.folder, types), truth_of_run(result, types)):
            lines = dataset.images[0].instances.lines or ()
            assert [line.tolist() for line in lines] == [[[4, 4], [60, 44]]] * count
    done = CliRunner().invoke(
        cli, ["convert", str(result.folder), str(tmp_path / "labels.json"), "--to", "coco"]
    )
    assert done.exit_code == 0, done.output
    (line,) = open_dataset(tmp_path / "labels.json", default_host()).images[0].instances.lines
    assert line.tolist() == [[4, 4], [60, 44]]


@pytest.mark.parametrize(
    ("target", "format", "text"),
    [
        ("", "napari", "is a run folder, whose files must stay as they are; .*run/layers"),
        ("tracks.csv", "imagej-csv", r"tracks\.csv is a file of the run itself.*another place"),
        ("run.json", "coco", r"run\.json is a file of the run itself.*another place"),
    ],
)
def test_nothing_is_converted_over_a_run(run, target, format, text):
    before = {path: path.read_bytes() for path in run.rglob("*.*")}
    words = ["convert", str(run), str(run / target), "--to", format, "--overwrite"]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, OutputError)
    assert re.search(text, str(done.exception))
    assert {path: path.read_bytes() for path in run.rglob("*.*")} == before


def test_a_run_is_converted_into_a_folder_of_its_own(run):
    done = CliRunner().invoke(cli, ["convert", str(run), str(run / "layers"), "--to", "napari"])
    assert done.exit_code == 0, done.output
    assert (run / "layers" / "tracks.csv").is_file()


def test_folders_of_one_name_stay_relative(tmp_path, monkeypatch):
    """A run on them is converted, and resumed from somewhere else."""
    folders = [tmp_path / side / "x" for side in "AB"]
    for seed, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for k in range(2):
            pixels = np.random.default_rng(2 * seed + k).integers(90, 110, (60, 80), dtype=np.uint8)
            cv2.imwrite(str(folder / f"Frame{k}.png"), pixels)
    words = ["run", "--detector", "dark-blobs", "--out", str(tmp_path / "run"), "--no-figures"]
    runner = CliRunner()
    done = runner.invoke(cli, [*words, *map(str, folders)])
    assert done.exit_code == 0, done.output
    sources = ds.load_run(tmp_path / "run").frames["source"].tolist()
    assert sources == [f"{side}/x/Frame{k}.png" for side in "AB" for k in range(2)]
    monkeypatch.chdir(tmp_path)
    done = runner.invoke(cli, [*words, "A/x", "B/x", "--resume"])
    assert done.exit_code == 0, done.output
    for target, kind in (("labels.json", "coco"), ("labels", "labelme")):
        done = runner.invoke(cli, ["convert", "run", target, "--to", kind])
        assert done.exit_code == 0, done.output


def test_a_set_for_imagej_says_which_frame_and_comes_back_corrected(run, tmp_path):
    host = default_host()
    path = tmp_path / "rois.zip"
    done = CliRunner().invoke(cli, ["convert", str(run), str(path), "--to", "imagej-roi"])
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    assert {ImagejRoi.frombytes(data).position for data in entries.values()} == set(range(1, 9))
    # A person moves one, deletes one, and draws one.
    names = sorted(entries)
    moved = ImagejRoi.frombytes(entries[names[0]])
    moved.left, moved.right = moved.left + 4, moved.right + 4
    moved.x1, moved.x2 = moved.x1 + 4, moved.x2 + 4
    moved.subpixel_coordinates = moved.subpixel_coordinates + np.float32([4, 0])
    entries[names[0]] = moved.tobytes()
    del entries[names[1]]
    drawn = ImagejRoi.frompoints([[60, 5], [70, 5], [70, 15], [60, 15]], name="mine")
    drawn.position = 2
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
        archive.writestr("mine.roi", drawn.tobytes())
    back = open_dataset(path, host)
    by_frame = {image.frame: image.instances for image in back.images if image.frame is not None}
    assert origins(by_frame[100]) == ["human"]
    assert Counter(origins(by_frame[103])) == {"detector": 1, "interpolated": 1}
    total = Counter(o for image in back.images for o in origins(image.instances))
    assert total["human"] == 2
    save_dataset(back, tmp_path / "back.json", "coco", host)
    again = open_dataset(tmp_path / "back.json", host)
    assert Counter(o for i in again.images for o in origins(i.instances)) == total


def test_layers_for_napari(run, tmp_path):
    out = tmp_path / "layers"
    done = CliRunner().invoke(cli, ["convert", str(run), str(out), "--to", "napari"])
    assert done.exit_code == 0, done.output
    back = open_dataset(out, default_host())
    assert Counter(o for i in back.images for o in origins(i.instances)) == {
        "detector": 14, "interpolated": 2
    }  # fmt: skip
    assert io.StringIO((out / "tracks.csv").read_text()).readline().startswith("track_id,axis-0")


def test_a_run_has_no_options_of_its_own(run, tmp_path):
    for words in (["--set", "run.x=1"], ["--set", "run.tracks=false"]):
        arguments = ["convert", str(run), str(tmp_path / "out"), "--to", "coco", *words]
        done = CliRunner().invoke(cli, arguments)
        assert isinstance(done.exception, OptionError)
        assert "a run is read without options; this conversion has those of 'coco'" in str(
            done.exception
        )
