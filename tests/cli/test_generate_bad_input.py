"""``generate`` with input that cannot work: one clear sentence, and nothing left behind."""

from __future__ import annotations

import json
import signal

import cv2
import numpy as np
import pytest

from defectscope._version import __version__
from defectscope.cli.main import main
from defectscope.core.interrupts import STOPPING
from defectscope.pipeline.labels import open_dataset
from defectscope.plugins.host import default_host


@pytest.fixture
def call(monkeypatch, capsys):
    """Run ``generate`` in a folder, and return exit code, stdout and stderr."""
    former = {number: signal.getsignal(number) for number in STOPPING}

    def run(*arguments, folder):
        monkeypatch.chdir(folder)
        code = main(["generate", *map(str, arguments)])
        return code, *capsys.readouterr()

    yield run
    for number, handler in former.items():
        signal.signal(number, handler)


def complaint(done, code):
    """Return what stderr says, which must be one line and no traceback."""
    assert done[0] == code, done[2]
    assert done[1] == ""
    assert "Traceback" not in done[2]
    assert len(done[2].strip().splitlines()) == 1
    return done[2]


def image(path, side, seed=0):
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A folder with everything that the bad requests name."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty").mkdir()
    image(folder / "small/a.png", 40)
    image(folder / "mixed/a.png", 80)
    image(folder / "mixed/b.png", 50)
    image(folder / "none/a.png", 80).write_text("no image")
    whole = image(folder / "cut/a.png", 80).read_bytes()
    (folder / "cut/a.png").write_bytes(whole[:2000])
    line = {"label": "x", "shape_type": "linestrip", "points": [[1, 2]]}
    labels = {"shapes": [line], "imageHeight": 80, "imageWidth": 80, "imagePath": "a.png"}
    (folder / "one-point.json").write_text(json.dumps(labels))
    (folder / "no-size.json").write_text(json.dumps({"shapes": []}))
    (folder / "cut.json").write_text(json.dumps(labels)[:40])
    (folder / "microstructure.json").write_text('{"title": "mine"}')
    (folder / "version.json").write_text('{"version": 2, "title": "mine"}')
    (folder / "words.toml").write_text("hello")
    return folder


IMAGES = ["dislocations", "--size", "64", "--background", "images"]
LINES = ["dislocations", "--size", "64"]
BAD = {
    # Options.
    "contrast: low above high": (
        [*LINES, "--set", "dislocations.contrast_low=8"], 2, "contrast_low must not exceed",
    ),
    "width: low above high": (
        [*LINES, "--set", "dislocations.width_low_px=9"], 2, "width_low_px must not exceed",
    ),
    "loops: low above high": (
        ["loops", "--set", "loops.contrast_low=50"], 2, "contrast_low must not exceed",
    ),
    "perlin: low above high": (
        [*LINES, "--background", "perlin", "--set", "perlin.wavelength_1_low_px=200"], 2,
        "wavelength_1_high_px must not be below wavelength_1_low_px = 200",
    ),
    "fewer than no lines": ([*LINES, "--set", "dislocations.count=-1"], 2, "count = -1"),
    "half a line": ([*LINES, "--set", "dislocations.count=1.5"], 2, "count = 1.5"),
    "more lines than fit": (
        ["dislocations", "--size", "16", "--set", "dislocations.count=10000",
         "--set", "dislocations.shortest_px=9000", "--set", "dislocations.waviness_px=5"],
        2, "has room for only",
    ),
    "unknown option": ([*LINES, "--set", "dislocations.lines=3"], 2, "options are: preset"),
    "option of another": ([*LINES, "--set", "perlin.r_noise_low=0"], 2, "'perlin'"),
    # Frames.
    "too small": (["dislocations", "--size", "15"], 2, "16 to 16384 px, found 15 x 15"),
    "too large": (["dislocations", "--size", "20000x64"], 2, "16 to 16384 px, found 20000 x 64"),
    "a sequence of stills": (
        [*LINES, "--length", "3"], 2,
        "dislocations draws stills only; leave out --length, or choose a generator of sequences "
        "such as in-situ-loops or moving-dislocations",
    ),
    # Folders of images.
    "no folder named": (IMAGES, 2, "--set images.folder=FOLDER"),
    "no such folder": ([*IMAGES, "--set", "images.folder=nowhere"], 1, "there is no folder"),
    "a file for a folder": (
        [*IMAGES, "--set", "images.folder=cut.json"], 1, "is a file; name the folder",
    ),
    "no image": ([*IMAGES, "--set", "images.folder=empty"], 1, "holds no image"),
    "images smaller than the frame": (
        [*IMAGES, "--set", "images.folder=small"], 1, "1 of 1 images in small do not fill",
    ),
    "one image smaller than the frame": (
        [*IMAGES, "--set", "images.folder=mixed"], 1, "1 of 2 images in mixed do not fill",
    ),
    "text in an image": ([*IMAGES, "--set", "images.folder=none"], 1, "none/a.png cannot be read"),
    "an image cut short": ([*IMAGES, "--set", "images.folder=cut"], 1, "cut/a.png cannot be dec"),
    # Labels and microstructures.
    "labels: no such file": (
        [*LINES, "--set", "dislocations.shapes_from=nowhere"], 1, "no labelme file or folder",
    ),
    "labels: cut short": (
        [*LINES, "--set", "dislocations.shapes_from=cut.json"], 1, "malformed JSON",
    ),
    "labels: no size": (
        [*LINES, "--set", "dislocations.shapes_from=no-size.json"], 1, "'imageHeight'",
    ),
    "labels: a line of one point": (
        [*LINES, "--set", "dislocations.shapes_from=one-point.json"], 1, "one-point.json",
    ),
    "labels: empty folder": (
        [*LINES, "--set", "dislocations.shapes_from=empty"], 1, "holds no labelme .json file",
    ),
    "microstructure: incomplete": (
        [*LINES, "--set", "dislocations.microstructure=microstructure.json"], 1, "Field required",
    ),
    "microstructure: another version": (
        [*LINES, "--set", "dislocations.microstructure=version.json"], 1, "version.json: version",
    ),
    "microstructure: no TOML": (
        [*LINES, "--set", "dislocations.microstructure=words.toml"], 1, "is malformed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_said_and_leaves_nothing(case, sandbox, call):
    arguments, code, message = BAD[case]
    before = sorted(sandbox.rglob("*"))
    assert message in complaint(call(*arguments, "--out", "data", folder=sandbox), code)
    assert sorted(sandbox.rglob("*")) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_failed_does_not_stand_in_the_way(workers, sandbox, call, tmp_path):
    asked = [*IMAGES, "--count", 3, "--workers", workers, "--out", tmp_path / "data", "--set"]
    complaint(call(*asked, "images.folder=small", folder=sandbox), 1)
    assert not (tmp_path / "data").exists()
    image(tmp_path / "fit/a.png", 90)
    assert call(*asked, f"images.folder={tmp_path / 'fit'}", folder=sandbox)[0] == 0
    former = (tmp_path / "data/annotations.json").read_bytes()
    # What cannot be opened, and what cannot be drawn, replaces nothing.
    complaint(call(*asked, "images.folder=empty", "--overwrite", folder=sandbox), 1)
    complaint(call(*asked, "images.folder=small", "--overwrite", folder=sandbox), 1)
    assert (tmp_path / "data/annotations.json").read_bytes() == former
    assert len(list((tmp_path / "data/images").iterdir())) == 3
    fit = f"images.folder={tmp_path / 'fit'}"
    assert call(*asked, fit, "--overwrite", folder=sandbox)[0] == 0
    assert (tmp_path / "data/annotations.json").read_bytes() == former


@pytest.fixture
def good(tmp_path, call):
    """A folder with a dataset of one image."""
    done = call("dislocations", "--size", 48, "--out", "good", folder=tmp_path)
    assert done[0] == 0, done[2]
    return tmp_path / "good"


def changed(record, **more):
    return {**record, "plan": {**record["plan"], **more}}


SOURCES = {
    "another version": (lambda r: {**r, "version": "9.9"}, 1, f"9.9, this is {__version__}"),
    "another format": (lambda r: {**r, "format": 7}, 1, "expected format 1"),
    "another number": (lambda r: {**r, "number": -3}, 1, "a number of 0 or more"),
    "no plan": (lambda r: {k: v for k, v in r.items() if k != "plan"}, 1, "no 'plan' in it"),
    "a list": (lambda r: [r], 1, "expected an object with an object 'plan' in it"),
    "a plan that is null": (lambda r: {**r, "plan": None}, 1, "an object 'plan' in it"),
    "size": (lambda r: changed(r, shape=[4, 4]), 2, "found 4 x 4 px"),
    "bit depth": (lambda r: changed(r, bit_depth=7), 2, "8 or 16 bits, found 7"),
    "generator": (
        lambda r: changed(r, generators=[{"name": "nope", "alias": "nope", "options": {}}]),
        2, "there is no generator 'nope'",
    ),
    "seed": (lambda r: changed(r, seed=5), 1, "comes out with other pixels"),
}  # fmt: skip


@pytest.mark.parametrize("case", SOURCES)
def test_parameters_that_do_not_fit_are_refused(case, good, call, tmp_path):
    change, code, message = SOURCES[case]
    record = json.loads((good / "parameters/000000.json").read_text())
    (tmp_path / "from.json").write_text(json.dumps(change(record)))
    done = call("--from", "from.json", "--out", "out", folder=tmp_path)
    assert message in complaint(done, code)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "images/000000.png", "dataset.json", "nowhere.json"])
def test_other_files_are_no_parameters(name, good, call, tmp_path):
    done = call("--from", f"good/{name}", "--out", "out", folder=tmp_path)
    assert "is no parameters file of a sample" in complaint(done, 1)
    assert not (tmp_path / "out").exists()


BESIDE = {
    "a name": (["loops"], "leave out the names of generators"),
    "seed": (["--seed", 0], "leave out --seed"),
    "several": (
        ["loops", "--background", "foil", "--count", 2, "--length", 3, "--size", 64, "--config",
         "options.toml", "--bit-depth", 16, "--workers", 2, "--resume", "--overwrite"],
        "leave out the names of generators, --background, --count, --length, --size, --bit-depth, "
        "--config, --workers, --resume, --overwrite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BESIDE)
def test_a_sample_is_drawn_again_as_it_was(case, good, call, tmp_path):
    others, message = BESIDE[case]
    done = call("--from", "good/parameters/000000.json", *others, "--out", "out", folder=tmp_path)
    assert complaint(done, 2).endswith(f"again as it was; {message}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("common", [["--debug"], ["--trace-plugins"], ["--no-plugin", "nobody"]])
def test_options_of_every_command_go_with_a_sample_drawn_again(common, good, call, tmp_path):
    done = call("--from", "good/parameters/000000.json", *common, "--out", "out", folder=tmp_path)
    assert done[0] == 0, done[2]


def test_a_sample_is_drawn_again_from_a_folder_that_moved(call, tmp_path):
    image(tmp_path / "frames/a.png", 90)
    asked = [*IMAGES, "--set", "images.folder=frames", "--out", "data"]
    assert call(*asked, folder=tmp_path)[0] == 0
    (tmp_path / "frames").rename(tmp_path / "moved")
    again = ["--from", "data/parameters/000000.json", "--out", "out", "--set"]
    message = "--set may only say where its files are now (images.folder); leave out images.flip"
    assert message in complaint(call(*again, "images.flip=false", folder=tmp_path), 2)
    assert call(*again, "images.folder=moved", folder=tmp_path)[0] == 0


EXTREME = {
    "no line": (["dislocations", "--size", "64", "--set", "dislocations.count=0"], 0, 0),
    "10,000 lines": (["dislocations", "--size", "256", "--set", "dislocations.count=10000",
                      "--set", "dislocations.visible_from=0"], 1000, 10_000),
    "the smallest frame": (["dislocations", "loops", "--size", "16"], 0, 60),
    "a large frame": (["dislocations", "--size", "4096", "--background", "perlin"], 1, 20),
    "a flat frame": (["dislocations", "--size", "16x800"], 0, 20),
}  # fmt: skip


SLOW = ("10,000 lines", "a large frame")


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in EXTREME]
)
def test_extremes_that_work(case, call, tmp_path):
    arguments, least, most = EXTREME[case]
    done = call(*arguments, "--out", "data", folder=tmp_path)
    assert done[0] == 0, done[2]
    (found,) = open_dataset(tmp_path / "data", default_host()).images
    assert least <= len(found.instances) <= most
    stored = cv2.imread(str(tmp_path / "data/images/000000.png"), cv2.IMREAD_UNCHANGED)
    assert stored.shape == found.instances.image_shape
