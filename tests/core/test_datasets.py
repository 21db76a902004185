from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from defectscope.core.datasets import Dataset, LabelledImage, file_of, joining_name
from defectscope.core.errors import FormatError
from defectscope.core.instances import Instances

NOTHING = Instances.empty((10, 10))


@pytest.mark.parametrize(
    ("file_name", "stem"),
    [
        ("Frame461.jpg", "Frame461"),
        ("images/train/Frame461.jpg", "Frame461"),
        ("a.b.tif", "a.b"),
        ("run/stack.tif#3", "stack#3"),
        ("foil #2 hot.png", "foil #2 hot"),
        ("foil#2.tif#3", "foil#2#3"),
        ("images.v2/Frame461", "Frame461"),
    ],
)
def test_the_stem_is_what_images_are_joined_by(file_name, stem):
    assert LabelledImage(file_name, NOTHING).stem == stem


def test_one_line_shows_what_there_is():
    found = Instances((10, 10), [[0, 0, 4, 4]], defect_types="black dot")
    images = [LabelledImage("a.png", found), LabelledImage("b.png", NOTHING)]
    assert repr(Dataset(images)) == "<Dataset: 2 images, 1 instances>"
    assert repr(Dataset(images, Path("d"), ("black dot",))) == (
        "<Dataset: 2 images in d, 1 instances of black dot>"
    )


def test_images_by_stem_keep_their_order_and_those_without_instances():
    images = [LabelledImage(f"images/{name}.png", NOTHING) for name in ("b", "a", "c")]
    assert list(Dataset(images).by_stem().items()) == [
        ("b", images[0]),
        ("a", images[1]),
        ("c", images[2]),
    ]
    assert Dataset([]).by_stem() == {}


def test_two_images_of_one_stem_cannot_be_joined():
    images = [LabelledImage("a/1.png", NOTHING), LabelledImage("b/1.jpg", NOTHING)]
    with pytest.raises(FormatError, match=r"share the name '1' \(a/1\.png and b/1\.jpg\)"):
        Dataset(images).by_stem()


@pytest.mark.parametrize(
    ("frames", "sequences"),
    [
        ([0, 1, 2, 0, 1, 2, 0, 1], [0, 0, 0, 1, 1, 1, 2, 2]),
        ([4, 6, 5, 6], [0, 0, 1, 1]),
        ([0, 1, None, 1, 2], [0, 0, 0, 1, 1]),
        ([7, 7, 7], [0, 1, 2]),
        ([9, 4, 7], [0, 0, 0]),  # one series in another order
        ([None, None], [0, 0]),
        ([], []),
    ],
)
def test_a_sequence_begins_where_the_frames_begin_again(frames, sequences):
    images = [LabelledImage(f"{k}.png", NOTHING, frame) for k, frame in enumerate(frames)]
    assert Dataset(images).sequences() == sequences


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_one_name_may_be_spelled_with_other_characters(tmp_path, forms):
    name = "Müller/Å 1.tif"
    of_labels, of_file = (unicodedata.normalize(form, name) for form in forms)
    assert of_labels != of_file
    file = tmp_path / of_file
    file.parent.mkdir()
    file.touch()
    assert file_of(tmp_path, of_labels).samefile(file)
    assert file_of(tmp_path, f"{of_labels}#3").samefile(file)
    assert joining_name(of_labels) == joining_name(of_file)
    assert (
        LabelledImage(of_labels, NOTHING).stem
        in Dataset([LabelledImage(of_file, NOTHING)]).by_stem()
    )


def test_the_spelling_that_labels_use_comes_first(tmp_path):
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "ü.png")
        (tmp_path / name).touch()
        assert file_of(tmp_path, name).name == name
