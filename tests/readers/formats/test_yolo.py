"""YOLO datasets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.readers.formats.yolo import Yolo
from defectscope.readers.formats.yolo_classes import data_yaml, names_from_yaml, read_classes


def folder_with(tmp_path: Path, *lines: str, names: str = "dot\nloop\n") -> Path:
    for name in ("labels", "images"):
        (tmp_path / name).mkdir()
    Image.new("L", (100, 50)).save(tmp_path / "images/a.png")
    (tmp_path / "labels/a.txt").write_text("\n".join(lines))
    (tmp_path / "classes.txt").write_text(names)
    return tmp_path


def test_boxes_polygons_and_scores(tmp_path: Path) -> None:
    path = folder_with(
        tmp_path,
        "0 0.5 0.5 0.2 0.4",
        "",
        "1 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6",
        "1 0.5 0.5 0.2 0.4 0.75",
        "0 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6 0.25",
    )
    found = Yolo().load(path).images[0].instances
    assert found.image_shape == (50, 100)
    np.testing.assert_allclose(
        found.boxes, [[40, 15, 60, 35], [10, 10, 30, 30], [40, 15, 60, 35], [10, 10, 30, 30]]
    )
    assert found.defect_types.tolist() == ["dot", "loop", "loop", "dot"]
    assert found.scores.tolist() == [1, 1, 0.75, 0.25]
    assert found.masks is not None
    assert [mask.area_px for mask in found.masks] == [0, 400, 0, 400]


@pytest.mark.parametrize("score", ["", " 0.75"])
@pytest.mark.parametrize("numbers", [(3, 1), (1, 12)])
def test_tracks_of_boxes(tmp_path: Path, score: str, numbers: tuple[int, int]) -> None:
    lines = [f"0 0.5 0.5 0.2 0.4{score} {number}" for number in numbers]
    dataset = Yolo().load(folder_with(tmp_path, *lines))
    found = dataset.images[0].instances
    np.testing.assert_allclose(found.boxes, [[40, 15, 60, 35]] * 2)
    assert found.scores.tolist() == [0.75 if score else 1] * 2
    assert found.masks is None
    assert found.measurements["track_id"].tolist() == list(numbers)
    assert "the whole numbers at the end of lines are read as those of tracks" in dataset.warnings


def test_tracks_of_polygons_and_of_one_box(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    polygon = "0 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6"
    lines = [f"{polygon} 0.5 1", f"{polygon} 0.5 2", "0 0.5 0.5 0.2 0.4"]
    found = Yolo().load(folder_with(tmp_path / "a", *lines)).images[0].instances
    assert found.masks is not None
    assert [mask.area_px for mask in found.masks] == [400, 400, 0]
    np.testing.assert_array_equal(found.measurements["track_id"], [1, 2, np.nan])
    (tmp_path / "b").mkdir()
    alone = folder_with(tmp_path / "b", "0 0.5 0.5 0.2 0.4 0.5 1")
    found = Yolo().load(alone).images[0].instances
    assert found.measurements["track_id"].tolist() == [1]


def test_triangles_and_scores_of_one_are_no_tracks(tmp_path: Path) -> None:
    lines = ["0 0.1 0.2 0.3 0.2 0.3 1", "0 0.1 0.2 0.3 0.2 0.3 0.6", "0 0.5 0.5 0.2 0.4 1"]
    found = Yolo().load(folder_with(tmp_path, *lines)).images[0].instances
    assert found.masks is not None
    assert [mask.area_px > 0 for mask in found.masks] == [True, True, False]
    assert found.scores.tolist() == [1, 1, 1]
    assert "track_id" not in found.measurements


def test_two_images_of_one_label_file_are_refused(tmp_path: Path) -> None:
    path = folder_with(tmp_path, "0 0.5 0.5 0.2 0.4")
    Image.new("L", (100, 50)).save(path / "images/a.tif")
    with pytest.raises(FormatError, match=r"a\.tif: a\.png beside it would share its label file"):
        Yolo().load(path)


def test_images_without_labels_have_no_instances(tmp_path: Path) -> None:
    path = folder_with(tmp_path, "0 0.5 0.5 0.2 0.4")
    (path / "images/sub").mkdir()
    Image.new("L", (9, 8)).save(path / "images/sub/b.jpg")
    images = Yolo().load(path).images
    assert [(i.file_name, len(i.instances)) for i in images] == [("a.png", 1), ("sub/b.jpg", 0)]


def test_labels_find_their_image_however_it_is_spelled(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "0 0.5 0.5 0.1 0.1")
    (folder / "labels/a.txt").rename(folder / "labels/\xfc.txt")
    (folder / "images/a.png").rename(folder / "images/u\N{COMBINING DIAERESIS}.png")
    (image,) = Yolo().load(folder).images
    assert len(image.instances) == 1


def test_hidden_files_are_no_labels_and_no_images(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "0 0.5 0.5 0.1 0.1")
    for name in ("labels/._a.txt", "images/._a.png"):
        (folder / name).write_bytes(b"\0\5\x16\7 Mac OS X")
    (image,) = Yolo().load(folder).images
    assert not image.file_name.startswith(".")
    assert len(image.instances) == 1


def test_labels_without_image_are_refused(tmp_path: Path) -> None:
    path = folder_with(tmp_path)
    (path / "labels/b.txt").write_text("0 0.5 0.5 0.2 0.4")
    with pytest.raises(FormatError, match=r"b\.txt: there is no image b in .*images are needed"):
        Yolo().load(path)


def test_damaged_image_is_refused(tmp_path: Path) -> None:
    path = folder_with(tmp_path)
    (path / "images/a.png").write_bytes(b"no image")
    with pytest.raises(FormatError, match=r"a\.png: the size of the image cannot be read"):
        Yolo().load(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2", "a class and at least 4 fractions, found 3"),
        ("x 0.5 0.5 0.2 0.2", "expected a class number and fractions"),
        ("0 0.5 0.5 0.2 y", "expected a class number and fractions"),
        ("0.5 0.5 0.5 0.2 0.2", "expected a class number and fractions"),
        ("2 0.5 0.5 0.2 0.2", "there is no class 2; 2 are named, counted from 0"),
        ("-1 0.5 0.5 0.2 0.2", "there is no class -1"),
        ("0 0.5 0.5 nan 0.2", "expected finite numbers"),
        ("0 0.5 0.5 1e400 0.2", "expected finite numbers"),
        ("0 0.5 0.5 0.2 0.2 1.5", "expected a score from 0 to 1 at the end, found 1.5"),
        ("0 0.5 0.5 0.2 0.2 -0.5", "expected a score from 0 to 1 at the end, found -0.5"),
        ("0 0.5 0.5 0 0.2", "positive width and height, found 0 x 10 px"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        Yolo().load(folder_with(tmp_path, "0 0.5 0.5 0.2 0.4", line))
    assert "a.txt, line 2" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "names: [dot, 'it''s', \"c, d\"]",
        "path: .\nnames: [dot, it's, 'c, d']  # all\n",
        "names:\n- dot\n- it's # a comment\n- 'c, d'\nnc: 3",
        "names: # by number\n  # first\n  0: dot\n\n  1: \"it's\"\n  2: 'c, d'\nroboflow:\n  x: 1",
        "names: {0: dot, 1: \"it's\", 2: 'c, d'}",
        "names: [dot,\n  it's,  # two\n  'c, d']",
    ],
)
def test_forms_of_yaml(text: str) -> None:
    assert names_from_yaml(text, Path("data.yaml")) == ("dot", "it's", "c, d")


PRINTABLE = st.one_of(st.characters(exclude_categories=["C", "Z"]), st.just(" "))


@given(st.lists(st.text(PRINTABLE, min_size=1).filter(str.strip), min_size=1))
def test_written_yaml_comes_back(names: list[str]) -> None:
    assert names_from_yaml(data_yaml(names), Path("data.yaml")) == tuple(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nc: 2", "expected one key 'names' at the left, found 0"),
        ("names: [a]\nnames: [b]", "found 2"),
        ("names: a", "expected a list or a mapping, found 'a'"),
        ("names: []", "numbered from 0, found"),
        ("names:\n  1: a", r"numbered from 0, found \[1\]"),
        ("names: [a", "expected a list or a mapping"),
        ("names: [!!python/object/apply:os.system x]", "expected a name, found '!!python"),
        ("names: [&a x, *a]", "expected a name"),
        ("names:\n  - {a: b}", "expected a name"),
        ("names:\n  - a: b", "expected a name"),
        ('names: ["\\x41"]', "cannot be read"),
        ("names: ['']", "a name is empty"),
    ],
)
def test_other_yaml_is_refused_with_advice(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        names_from_yaml(text, Path("data.yaml"))
    assert "data.yaml" in str(caught.value)


def test_classes_of_splits_lie_beside_them(tmp_path: Path) -> None:
    split = tmp_path / "train"
    (split / "labels").mkdir(parents=True)
    with pytest.raises(FormatError, match=r"neither data\.yaml nor classes\.txt; add"):
        read_classes(split)
    (tmp_path / "data.yaml").write_text("names: [y]")
    assert read_classes(split) == ("y",)
    # A dataset's own come first: the folder around it may hold another one.
    (split / "labels/classes.txt").write_text("x\n")
    assert read_classes(split) == ("x",)
    (split / "data.yaml").write_text("names: [z]")
    assert read_classes(split) == ("z",)


def dataset(**values: object) -> Dataset:
    found = Instances((20, 30), [[1, 2, 5, 6], [7, 8, 9, 10]], defect_types=["x", "y"], **values)  # type: ignore[arg-type]
    return Dataset([LabelledImage("s/a.png", found)])


def test_what_cannot_be_kept_is_counted(tmp_path: Path) -> None:
    masks = [Mask(1, 2, np.ones((2, 2), bool)), Mask(0, 0, np.zeros((0, 0), bool))]
    lines = [np.zeros((0, 2)), np.array([[7.0, 8], [9, 10]])]
    given = dataset(scores=[1, 0.5], ignore=[False, True], masks=masks, lines=lines)
    warnings = Yolo().save(given, tmp_path / "out")
    assert warnings == [
        "scores that the format has no place for, left out: 1",
        "instances to be ignored that the format has no place for, left out: 1",
        "masks that the format has no place for, left out: 1",
        "lines that the format has no place for, left out: 1",
        f"reading it needs the images: put them into {tmp_path / 'out/images'}, or convert again "
        "with --copy-images",
    ]
    assert (tmp_path / "out/labels/s/a.txt").read_text() == (
        "0 0.100000000 0.200000000 0.133333333 0.200000000\n"
    )
    assert (tmp_path / "out/classes.txt").read_text() == "x\ny\n"


def test_parts_and_holes_of_masks_are_counted(tmp_path: Path) -> None:
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    dots = np.array([[1, 0, 1]], bool)
    warnings = Yolo().save(dataset(masks=[Mask(1, 2, ring), Mask(7, 8, dots)]), tmp_path / "out")
    assert warnings[:3] == [
        "holes in masks, filled because YOLO has none: 1",
        "boxes changed, because the format takes them from the shapes, by up to 1.00 px: 2",
        "smaller parts of masks, left out: 1",
    ]


def test_pages_of_stacks_are_needed_as_images(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], None, ["x"])
    told = Yolo().save(Dataset([LabelledImage("s.tif#2", found)]), tmp_path / "out")
    assert told == [
        "reading it needs the pages of stacks as single images, named as their label files, in "
        f"{tmp_path / 'out/images'}"
    ]
    (tmp_path / "out/images").mkdir()
    Image.new("L", (30, 20)).save(tmp_path / "out/images/s-2.png")
    (image,) = Yolo().load(tmp_path / "out").images
    np.testing.assert_allclose(image.instances.boxes, [[1, 2, 5, 6]], atol=1e-3)


def test_other_losses_are_told(tmp_path: Path) -> None:
    square = np.ones((4, 4), bool)
    given = dataset(masks=[Mask(1, 2, square), Mask(7, 8, np.ones((3, 2), bool))])
    image = replace(given.images[0], frame=3, pixel_size_nm=0.5)
    (tmp_path / "out/images/s").mkdir(parents=True)
    (tmp_path / "out/images/s/a.png").touch()
    assert Yolo().save(Dataset([image]), tmp_path / "out") == [
        "frame indices that the format has no place for, left out: 1",
        "pixel sizes that the format has no place for, left out: 1",
        "boxes changed, because the format takes them from the shapes, by up to 1.00 px: 1",
    ]


def test_class_names_with_line_breaks_are_refused(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], defect_types=["x\ny"])
    with pytest.raises(OutputError, match="cannot hold the name"):
        Yolo().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "out")


def test_names_that_lead_out_are_refused_on_writing(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], defect_types=["x"])
    with pytest.raises(FormatError, match="leads out of"):
        Yolo().save(Dataset([LabelledImage("../../a.png", found)]), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
