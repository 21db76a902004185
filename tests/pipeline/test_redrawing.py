"""Samples drawn again from files that lie elsewhere, or are others than then."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.core.errors import FormatError, InputError, OptionError
from defectscope.generators.loop_sizes import LoopSizes, TypeSizes
from defectscope.generators.microstructure import M1, M2
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.generation import generate_dataset
from defectscope.pipeline.redrawing import draw_again
from defectscope.pipeline.samples import SamplePlan
from defectscope.plugins.host import default_host


def patches(folder, seed):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(0, 255, (40, 40), np.uint8))


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Parameters of a sample on images whose folder was named from where the user stood."""
    monkeypatch.chdir(tmp_path)
    patches(tmp_path / "frames", 0)
    background = Choice("images", "mine", {"folder": "frames", "opacity_low": 0.3})
    plan = SamplePlan(background, (Choice("dislocations", "dislocations"),), (32, 32))
    generate_dataset(plan, 1, tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "data/parameters/000000.json"


@pytest.mark.parametrize("name", ["mine", "images"])
def test_images_that_lie_elsewhere_give_the_same_pixels(name, source, tmp_path):
    with pytest.raises(InputError, match="there is no folder frames"):
        draw_again(source, tmp_path / "out", default_host())
    places = {name: {"folder": "../frames"}}
    draw_again(source, tmp_path / "out", default_host(), places)
    again, former = (tmp_path / name / "images/000000.png" for name in ("out", "data"))
    assert again.read_bytes() == former.read_bytes()
    # What is written tells where the images are now.
    record = json.loads((tmp_path / "out/parameters/000000.json").read_text())
    options = {"folder": "../frames", "opacity_low": 0.3}
    assert record["plan"]["background"]["options"] == options


def test_other_images_are_named_as_the_reason(source, tmp_path):
    patches(tmp_path / "elsewhere/other", 1)
    message = "other are others than then (a.png, b.png); name those with --set mine.folder=PATH"
    with pytest.raises(FormatError, match=re.escape(message)):
        draw_again(source, tmp_path / "out", default_host(), {"mine": {"folder": "other"}})
    assert not (tmp_path / "out").exists()


def test_the_same_images_are_not_blamed(source, tmp_path):
    record = json.loads(source.read_text())
    source.write_text(json.dumps({**record, "pixels_sha256": "0" * 64}))
    with pytest.raises(FormatError, match="other versions of numpy"):
        draw_again(source, tmp_path / "out", default_host(), {"mine": {"folder": "../frames"}})


def test_another_version_of_a_plugin_is_named_as_the_reason(source, tmp_path):
    record = json.loads(source.read_text())
    assert record["versions"] == {"defectscope": ds.__version__}
    record["versions"]["cavities"] = "0.1"
    places = {"mine": {"folder": "../frames"}}
    source.write_text(json.dumps(record))
    # The same pixels are the same sample.
    draw_again(source, tmp_path / "out", default_host(), places)
    source.write_text(json.dumps({**record, "pixels_sha256": "0" * 64}))
    message = f"drawn with cavities 0.1, and this is defectscope {ds.__version__}"
    with pytest.raises(FormatError, match=re.escape(message)):
        draw_again(source, tmp_path / "other", default_host(), places)


@pytest.fixture
def sizes(tmp_path):
    """Parameters of a sample whose sizes were in a file that has moved since."""
    write_sizes(tmp_path / "sizes.json", 14)
    loops = Choice("loops", "loops", {"sizes": str(tmp_path / "sizes.json"), "count": 3})
    plan = SamplePlan(Choice("texture", "texture"), (loops,), (64, 64))
    generate_dataset(plan, 1, tmp_path / "data")
    (tmp_path / "sizes.json").rename(tmp_path / "moved.json")
    return tmp_path / "data/parameters/000000.json"


def write_sizes(path, major_px):
    one = TypeSizes(major_px=(major_px,), aspect=(0.8,), per_megapixel=(50,))
    LoopSizes(types={"black dot": one}).save(path)


def test_a_file_of_sizes_may_lie_elsewhere(sizes, tmp_path):
    with pytest.raises(InputError, match="cannot read loop sizes"):
        draw_again(sizes, tmp_path / "out", default_host())
    moved = tmp_path / "moved.json"
    draw_again(sizes, tmp_path / "out", default_host(), {"loops": {"sizes": str(moved)}})
    write_sizes(moved, 20)
    message = r"moved\.json are others than then \(sizes\.json\); name .* loops\.sizes=PATH"
    with pytest.raises(FormatError, match=message):
        draw_again(sizes, tmp_path / "other", default_host(), {"loops": {"sizes": str(moved)}})


def test_another_microstructure_is_named_as_the_reason(tmp_path):
    M1.save(tmp_path / "own.json")
    lines = Choice("dislocations", "dark", {"microstructure": str(tmp_path / "own.json")})
    plan = SamplePlan(Choice("texture", "texture"), (lines,), (64, 64))
    generate_dataset(plan, 1, tmp_path / "data")
    M2.save(tmp_path / "own.json")
    message = r"own\.json are others than then \(own\.json\); .* dark\.microstructure=PATH"
    with pytest.raises(FormatError, match=message):
        draw_again(tmp_path / "data/parameters/000000.json", tmp_path / "out", default_host())


REFUSED = {
    "no path": ({"mine": {"flip": False}}, r"now \(mine.folder\); leave out mine.flip"),
    "no option": ({"mine": {"foldr": "x"}}, r"now \(mine.folder\); leave out mine.foldr"),
    "a generator's": ({"dislocations": {"count": 3}}, "leave out dislocations.count"),
    "no component": ({"foil": {"level": 1}}, "'foil', which is not part"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_only_places_are_given_anew(case, source, tmp_path):
    places, message = REFUSED[case]
    with pytest.raises(OptionError, match=message):
        draw_again(source, tmp_path / "out", default_host(), places)
    assert not (tmp_path / "out").exists()
