"""labelme files."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.readers.formats.holdings import ELLIPSE_UNITS
from defectscope.readers.formats.labelme import LabelMe


def shape(label: str, kind: str | None, points: Any, **values: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, "flags": {}, **values}


def write(path: Path, *shapes: Any, **values: Any) -> Path:
    document = {
        "version": "5.0.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.png",
        "imageData": None, "imageHeight": 20, "imageWidth": 30, **values,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def load(path: Path) -> Dataset:
    loaded = LabelMe().load(path)
    assert isinstance(loaded, Dataset)
    return loaded


def test_every_shape(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        shape("black dot", "rectangle", [[12, 8], [2, 3]]),
        shape("black dot", "polygon", [[2, 3], [12, 3], [12, 8], [2, 8]], flags={"ignore": True}),
        shape("black dot", "circle", [[10, 10], [13, 14]], score=0.5, difficult=True),
        shape("dislocation", "linestrip", [[1, 1], [5, 6], [9, 6]], track_id=3),
        shape("dislocation", "line", [[1, 1], [5, 6]], flags=None),
        shape("black dot", None, [[2, 3], [12, 3], [12, 8]]),
        shape("x", "point", [[2, 3]]),
        shape("x", "points", [[2, 3]]),
        shape("x", "point", [[2, 4]]),
    )
    dataset = load(path)
    (image,) = dataset.images
    found = image.instances
    assert image.file_name == "a.png"
    assert dataset.folder == tmp_path
    assert dataset.warnings == (
        "labelme shapes of the type 'point', left out: 2",
        "labelme shapes of the type 'points', left out: 1",
    )
    assert found.boxes.tolist() == [
        [2, 3, 12, 8], [2, 3, 12, 8], [5, 5, 15, 15], [0.5, 0.5, 9.5, 6.5], [0.5, 0.5, 5.5, 6.5],
        [2, 3, 12, 8],
    ]  # fmt: skip
    assert found.ignore.tolist() == [False, True, True, False, False, False]
    assert found.scores.tolist() == [1, 1, 0.5, 1, 1, 1]
    assert found.masks is not None
    assert [mask.area_px for mask in found.masks] == [0, 50, 0, 0, 0, 25]
    assert found.lines is not None
    assert [len(line) for line in found.lines] == [0, 0, 0, 3, 2, 0]
    assert found.measurements["major_px"][2] == 10
    np.testing.assert_array_equal(found.measurements["track_id"][[2, 3]], [np.nan, 3])


@pytest.mark.parametrize("slash", ["/", "\\"])
def test_labels_in_a_folder_of_their_own(tmp_path: Path, slash: str) -> None:
    for name in ("a", "b"):
        image_path = f"..{slash}images{slash}{name}.png"
        box = shape("black dot", "rectangle", [[12, 8], [2, 3]])
        file = write(tmp_path / f"labels/{name}.json", box, imagePath=image_path)
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("L", (30, 20)).save(tmp_path / f"images/{name}.png")
    names = ["images/a.png", "images/b.png"]
    for path, expected in ((tmp_path / "labels", names), (tmp_path, names), (file, names[1:])):
        dataset = load(path)
        assert [image.file_name for image in dataset.images] == expected
        assert dataset.folder == tmp_path
    # Only the folder beside: annotations come from strangers.
    write(tmp_path / "labels/b.json", imagePath="../../b.png")
    with pytest.raises(FormatError, match=r"b\.json.*more than one folder up.*--from labelme"):
        load(tmp_path / "labels")


def png(bitmap: Any) -> str:
    out = io.BytesIO()
    # labelme keeps ones, not 255.
    Image.fromarray(np.asarray(bitmap, np.uint8)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def test_masks_stand_between_two_corners_that_belong_to_them(tmp_path: Path) -> None:
    bitmap = np.array([[1, 0, 0], [1, 1, 1]])
    path = write(
        tmp_path / "a.json",
        shape("dot", "mask", [[4, 6], [6, 7]], mask=png(bitmap)),
        shape("dot", "mask", [[4.5, 6.5], [6.5, 7.5]], mask=png(bitmap)),  # as after a move
        shape("dot", "mask", [[28, 18], [30, 19]], mask=png(bitmap)),  # over the rim
        shape("dot", "rectangle", [[1, 1], [2, 2]]),
    )
    loaded = load(path)
    found = loaded.images[0].instances
    assert found.boxes.tolist() == [[4, 6, 7, 8], [5, 7, 8, 9], [28, 18, 30, 20], [1, 1, 2, 2]]
    assert found.masks is not None
    assert [mask.area_px for mask in found.masks] == [4, 4, 3, 0]
    assert np.array_equal(found.masks[0].to_dense((20, 30))[6:8, 4:7], bitmap == 1)
    assert loaded.warnings == ("boxes that reached over the rim of their image, cut there: 1",)


def test_polygons_of_a_group_are_one_instance(tmp_path: Path) -> None:
    first, second = [[1, 1], [4, 1], [4, 4], [1, 4]], [[6, 1], [9, 1], [9, 4], [6, 4]]
    path = write(
        tmp_path / "a.json",
        shape("loop", "polygon", first, group_id=1),
        shape("loop", "polygon", second, group_id=1),
        shape("loop", "polygon", second, group_id=2),
        shape("dot", "polygon", second, group_id=1),
    )
    found = load(path).images[0].instances
    assert found.defect_types.tolist() == ["loop", "loop", "dot"]
    assert found.boxes.tolist() == [[1, 1, 9, 4], [6, 1, 9, 4], [6, 1, 9, 4]]
    assert found.masks is not None
    assert [mask.area_px for mask in found.masks] == [18, 9, 9]


def test_folders_are_read_in_natural_order_with_images_elsewhere_inside(tmp_path: Path) -> None:
    for number in (10, 9):
        write(tmp_path / f"labels/f{number}.json", imagePath=f"..\\images\\f{number}.png")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "f1.json").write_text('{"shapes": [], "imagePath": "f1.png", "imageHeight": 5,'
                                      '"imageWidth": 6}')  # fmt: skip
    assert LabelMe().accepts(tmp_path)
    names = [image.file_name for image in load(tmp_path).images]
    assert names == ["f1.png", "images/f9.png", "images/f10.png"]


def test_size_comes_from_the_image_where_it_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", imageHeight=None, imageWidth=None)
    with pytest.raises(FormatError, match=r"are missing, and there is no image a\.png"):
        load(path)
    Image.new("L", (33, 22)).save(tmp_path / "a.png")
    assert load(path).images[0].instances.image_shape == (22, 33)
    write(path)
    with pytest.raises(FormatError, match="30 x 20 px, but the image has 33 x 22 px"):
        load(path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (shape("x", "rectangle", [[1, 1], [1, 5]]), "positive width and height, found 0 x 4"),
        (shape("x", "circle", [[1, 1], [1, 1]]), "positive width and height"),
        (shape("x", "polygon", [[1, 1], [1, 5]]), "expected at least 3 points, found 2"),
        (shape("x", "rectangle", [[1, 1], [1, None]]), "expected a number, found null"),
        (shape("", "rectangle", [[1, 1], [2, 2]]), "'label': expected a name, found the text ''"),
        (shape("x", "rectangle", "1 2"), "expected points"),
        (shape("x", "mask", [[1, 1], [2, 2]]), "the key 'mask' is missing"),
        (shape("x", "mask", [[1, 1], [2, 2]], mask=3), "'mask': expected a PNG image in base"),
        (shape("x", "mask", [[1, 1], [2, 2]], mask="a"), "'mask': expected a PNG image in base64"),
        (shape("x", "mask", [[1, 1], [2, 2]], mask="abcd"), "'mask': expected a PNG image in base"),
        (shape("x", "mask", [[1, 1], [2, 3]], mask=png(np.ones((2, 2)))),
         "an image of 2 x 3 px, as 'points' say, found 2 x 2 px"),
        (shape("x", "mask", [[1, 1], [2, 2]], mask=png(np.ones((2, 2)))[:60]), "'mask': expect"),
        (shape("x", "mask", [[1, 1], [2, 2]], mask=png(np.zeros((2, 2)))), "positive width and h"),
        (shape("x", "mask", [[0, 0], [1e9, 1e9]], mask=""), "cannot be read"),
        ({"label": "x"}, "the key 'points' is missing"),
        (3, "expected an object, found 3"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_shape(tmp_path: Path, entry: Any, message: str) -> None:
    good = shape("x", "rectangle", [[1, 1], [2, 2]])
    with pytest.raises(FormatError, match=message) as caught:
        load(write(tmp_path / "a.json", good, entry))
    assert "a.json: shape at position 1" in str(caught.value)


@pytest.mark.parametrize("name", ["../../b.png", "/b.png", "C:\\b.png", "x/../../../b.png"])
def test_images_outside_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match=r"leads out of|more than one folder up"):
        load(write(tmp_path / "a.json", imagePath=name))


def test_folder_without_labels(tmp_path: Path) -> None:
    assert not LabelMe().accepts(tmp_path)
    with pytest.raises(FormatError, match=r"holds no labelme \.json file"):
        load(tmp_path)


def dataset_of(*names: str) -> Dataset:
    ellipse = dict(zip(ELLIPSE_UNITS, [[10.0], [9.0], [8.0], [4.0], [30.0]], strict=True))
    found = Instances((20, 30), [[6, 6, 14, 12]], None, ["x"], None, None, None, ellipse)
    return Dataset([LabelledImage(name, found) for name in names])


def test_ellipses_become_polygons_with_a_warning(tmp_path: Path) -> None:
    assert LabelMe().save(dataset_of("a.png"), tmp_path / "out")[:-1] == [
        "ellipses written as polygons of 64 points: 1",
        "boxes changed, because the format takes them from the shapes, by up to 0.39 px: 1",
    ]
    document = json.loads((tmp_path / "out/a.json").read_text())
    assert document["imageData"] is None
    assert document["shapes"][0]["shape_type"] == "polygon"
    assert len(document["shapes"][0]["points"]) == 64


def test_what_a_shape_cannot_hold_is_counted(tmp_path: Path) -> None:
    ellipse = dict(zip(ELLIPSE_UNITS, np.array([[10.0], [9], [8], [4], [30]]), strict=True))
    mask = Mask(6, 6, np.ones((6, 8), bool))
    found = Instances((20, 30), [[6, 6.75, 14, 12]], None, ["x"], None, [mask], None, ellipse)
    assert LabelMe().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "a")[:-1] == [
        "ellipses of instances that have a mask or a line, left out: 1",
        "boxes changed, because the format takes them from the shapes, by up to 0.75 px: 1",
    ]
    found = replace(found, lines=(np.array([[6.5, 7.25], [13.5, 11.5]]),))
    assert LabelMe().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "b")[:-1] == [
        "ellipses of instances that have a mask or a line, left out: 1",
        "masks of instances that have a line, left out: 1",
    ]


def test_names_in_folders_keep_their_place(tmp_path: Path) -> None:
    LabelMe().save(dataset_of("a/1.png", "b/1.png"), tmp_path / "out")
    assert json.loads((tmp_path / "out/a/1.json").read_text())["imagePath"] == "1.png"
    assert [image.file_name for image in load(tmp_path / "out").images] == ["a/1.png", "b/1.png"]


def test_single_file_holds_a_single_image(tmp_path: Path) -> None:
    LabelMe().save(dataset_of("a/1.png"), tmp_path / "one.json")
    assert load(tmp_path / "one.json").images[0].file_name == "a/1.png"
    with pytest.raises(OutputError, match=r"one file an image, but there are 2 images"):
        LabelMe().save(dataset_of("a.png", "b.png"), tmp_path / "two.json")


def test_images_that_would_share_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a\.png and a\.jpg would share the file a\.json"):
        LabelMe().save(dataset_of("a.png", "a.jpg"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", ["A.png", "B/a.png"])
def test_images_whose_names_differ_in_capitals_alone_are_refused(
    tmp_path: Path, other: str
) -> None:
    """Windows and macOS would put one over the other."""
    with pytest.raises(FormatError, match=r"the file .* where capitals make no difference; rename"):
        LabelMe().save(dataset_of(other.lower(), other), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_left_over_files_of_an_earlier_conversion_are_named(tmp_path: Path) -> None:
    LabelMe().save(dataset_of("a.png", "b.png"), tmp_path / "out")
    warnings = LabelMe().save(dataset_of("a.png"), tmp_path / "out")
    assert any("still holds another .json file, b.json" in text for text in warnings)


def test_labels_without_their_images_say_what_is_missing(tmp_path: Path) -> None:
    image = LabelledImage("a.png", Instances.empty((20, 30)))
    stack = LabelledImage("a.tif#3", Instances.empty((20, 30)))
    said = LabelMe().save(Dataset([image]), tmp_path / "out")
    assert said[0].endswith("out, or convert again with --copy-images")
    assert "save the pages of stacks" in LabelMe().save(Dataset([stack]), tmp_path / "two")[0]
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(folder / "a.png")
    for target in (tmp_path / "three", tmp_path / "one" / "a.json"):
        writer = LabelMe(LabelMe.Options(copy_images=True))
        assert writer.save(Dataset([image], folder), target) == []
