"""COCO files: the standard's forms, our additions, and every way to get them wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, InputError
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.readers.formats.coco import Coco

PLAIN: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "a.png", "width": 30, "height": 20}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [2, 3, 10, 5]}],
    "categories": [{"id": 3, "name": "black dot"}, {"id": 9, "name": "uncertain"}],
}


def load(tmp_path: Path, document: Any, **options: Any) -> Dataset:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    loaded = Coco(Coco.Options(**options)).load(path)
    assert isinstance(loaded, Dataset)
    return loaded


def with_annotation(**values: Any) -> dict[str, Any]:
    document = copy.deepcopy(PLAIN)
    document["annotations"][0].update(values)
    return document


def only(tmp_path: Path, **values: Any) -> Instances:
    return load(tmp_path, with_annotation(**values)).images[0].instances


def dense(instances: Instances) -> np.ndarray:
    assert instances.masks is not None
    return instances.masks[0].to_dense(instances.image_shape)


def test_plain_file(tmp_path: Path) -> None:
    dataset = load(tmp_path, PLAIN)
    (image,) = dataset.images
    assert dataset.defect_types == ("black dot", "uncertain")
    assert dataset.folder == tmp_path
    assert dataset.warnings == ()
    assert image.instances.image_shape == (20, 30)
    assert image.instances.boxes.tolist() == [[2, 3, 12, 8]]
    assert image.instances.scores.tolist() == [1]
    assert image.instances.masks is None
    assert image.instances.lines is None


def test_segmentations_of_all_forms_are_the_same(tmp_path: Path) -> None:
    expected = np.zeros((20, 30), bool)
    expected[3:8, 2:12] = True
    runs = [43, *[5, 15] * 9, 5, 372]
    forms = {
        "polygon": [[2, 3, 12, 3, 12, 8, 2, 8]],
        "two polygons": [[2, 3, 8, 3, 8, 8, 2, 8], [6, 3, 12, 3, 12, 8, 6, 8]],
        "runs": {"size": [20, 30], "counts": runs},
        # As pycocotools writes it.
        "compressed": {"size": [20, 30], "counts": "[15?00000000000000000U;"},
    }
    for name, form in forms.items():
        assert np.array_equal(dense(only(tmp_path, segmentation=form)), expected), name


def test_empty_polygons_are_none(tmp_path: Path) -> None:
    for nothing in ([[]], [[], []], [], None):
        assert only(tmp_path, segmentation=nothing).masks is None
    square = [2, 3, 12, 3, 12, 8, 2, 8]
    assert np.count_nonzero(dense(only(tmp_path, segmentation=[[], square]))) == 50


def test_crowds_ignored_and_uncertain_annotations_count_neither_way(tmp_path: Path) -> None:
    assert only(tmp_path, iscrowd=1).ignore.tolist() == [True]
    assert only(tmp_path, ignore=True).ignore.tolist() == [True]
    assert only(tmp_path, category_id=9).ignore.tolist() == [True]
    assert only(tmp_path, iscrowd=0, ignore=0).ignore.tolist() == [False]


def test_crowds_are_counted_or_instances_where_asked(tmp_path: Path) -> None:
    crowd = with_annotation(iscrowd=1)
    (warning,) = load(tmp_path, crowd).warnings
    assert warning.startswith("annotations with iscrowd, which count as neither hit nor miss")
    assert warning.endswith(": 1")
    plain = load(tmp_path, crowd, crowd="instances")
    assert (plain.images[0].instances.ignore.tolist(), plain.warnings) == ([False], ())
    ignored = load(tmp_path, with_annotation(iscrowd=1, ignore=1), crowd="instances")
    assert ignored.images[0].instances.ignore.tolist() == [True]


def test_additions_are_read(tmp_path: Path) -> None:
    ellipse = {"cx": 7, "cy": 5.5, "major": 10, "minor": 5, "angle_deg": 30}
    found = only(
        tmp_path, ellipse=ellipse, line=[[2, 3], [12, 8]], score=0.25, track_id=4, segmentation=[]
    )
    assert found.scores.tolist() == [0.25]
    assert found.lines is not None
    assert found.lines[0].tolist() == [[2, 3], [12, 8]]
    values = {name: column.tolist() for name, column in found.measurements.items()}
    assert values == {
        "x": [7], "y": [5.5], "major_px": [10], "minor_px": [5], "angle_deg": [30], "track_id": [4],
    }  # fmt: skip
    assert found.units["major_px"] == "px"
    assert found.units["angle_deg"] == "deg"


def test_frame_pixel_size_and_dose_are_read(tmp_path: Path) -> None:
    document = copy.deepcopy(PLAIN)
    document["images"][0].update(frame=126, pixel_size_nm=0.25, dose_dpa=1.5)
    (image,) = load(tmp_path, document).images
    assert (image.frame, image.pixel_size_nm, image.dose_dpa) == (126, 0.25, 1.5)
    document["images"][0].update(frame=None, pixel_size_nm=None, dose_dpa=None)
    (image,) = load(tmp_path, document).images
    assert (image.frame, image.pixel_size_nm, image.dose_dpa) == (None, None, None)


@pytest.mark.parametrize(
    ("values", "box"),
    [
        ({"line": [[2, 3], [12, 3]]}, [1.5, 2.5, 12.5, 3.5]),
        ({"line": [[2, 3], [12, 3]], "bbox": [2, 3, 10, 0]}, [1.5, 2.5, 12.5, 3.5]),
        (
            {"ellipse": {"cx": 9, "cy": 9, "major": 8, "minor": 4, "angle_deg": 0}},
            [5, 7, 13, 11],
        ),
        ({"segmentation": [[2, 3, 12, 3, 12, 8, 2, 8]]}, [2, 3, 12, 8]),
    ],
)
def test_missing_boxes_come_from_the_shape(
    tmp_path: Path, values: dict[str, Any], box: list[float]
) -> None:
    np.testing.assert_allclose(only(tmp_path, **{"bbox": None, **values}).boxes, [box])


def test_boxes_are_cut_at_the_rim_or_left_out_with_counts(tmp_path: Path) -> None:
    document = copy.deepcopy(PLAIN)
    document["annotations"] = [
        {"id": i, "image_id": 7, "category_id": 3, "bbox": box}
        for i, box in enumerate([[-4, 3, 10, 5], [25, 15, 10, 10], [40, 3, 5, 5], [1, 1, 2, 2]])
    ]
    dataset = load(tmp_path, document)
    boxes = dataset.images[0].instances.boxes.tolist()
    assert boxes == [[0, 3, 6, 8], [25, 15, 30, 20], [1, 1, 3, 3]]
    assert dataset.warnings == (
        "boxes that reached over the rim of their image, cut there: 2",
        "boxes outside of their image, left out: 1",
    )


@pytest.mark.parametrize(
    ("below", "name"), [("", "a.png"), ("images", "a.png"), ("frames", "a.png")]
)
def test_images_are_found_beside_and_below(tmp_path: Path, below: str, name: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / below).mkdir(exist_ok=True)
    Image.new("L", (30, 20)).save(tmp_path / below / name)
    assert load(tmp_path, PLAIN).folder == tmp_path / below


def test_names_below_images_become_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    document = copy.deepcopy(PLAIN)
    document["images"][0]["file_name"] = "images/a.png"
    dataset = load(tmp_path, document)
    assert (dataset.folder, dataset.images[0].file_name) == (tmp_path / "images", "a.png")


def test_missing_size_comes_from_the_image(tmp_path: Path) -> None:
    document = copy.deepcopy(PLAIN)
    del document["images"][0]["width"], document["images"][0]["height"]
    with pytest.raises(FormatError, match="'width' and 'height' are missing, and there is no"):
        load(tmp_path, document)
    Image.new("L", (33, 22)).save(tmp_path / "a.png")
    assert load(tmp_path, document).images[0].instances.image_shape == (22, 33)


def test_size_that_contradicts_the_image(tmp_path: Path) -> None:
    Image.new("L", (33, 22)).save(tmp_path / "a.png")
    with pytest.raises(FormatError, match=r"a\.png is given as 30 x 20 px, but .* has 33 x 22 px"):
        load(tmp_path, PLAIN)


Change = Callable[[dict[str, Any]], Any]
MISTAKES: dict[str, tuple[Change, str]] = {
    "no images": (lambda d: d.pop("images"), "the key 'images' is missing"),
    "no categories": (lambda d: d.pop("categories"), "the key 'categories' is missing"),
    "images no list": (lambda d: d.update(images={}), "'images': expected a list, found an object"),
    "image no object": (lambda d: d["images"].append(3), "image at position 1: expected an object"),
    "two images": (lambda d: d["images"].append(d["images"][0]), "two entries .* have the id 7"),
    "two categories": (
        lambda d: d["categories"].append({"id": 3, "name": "x"}),
        "two entries of 'categories' have the id 3",
    ),
    "no name": (lambda d: d["images"][0].pop("file_name"), "image 7: the key 'file_name' is miss"),
    "climbing": (
        lambda d: d["images"][0].update(file_name="../a.png"),
        "image 7: the file .* leads out of",
    ),
    "absolute": (lambda d: d["images"][0].update(file_name="/etc/a.png"), "leads out of"),
    "windows": (lambda d: d["images"][0].update(file_name="C:\\a.png"), "leads out of"),
    "huge": (lambda d: d["images"][0].update(width=10**9, height=10**9), "expected an image size"),
    "flat": (lambda d: d["images"][0].update(height=0), "expected an image size from 1 x 1"),
    "negative frame": (lambda d: d["images"][0].update(frame=-1), "'frame': expected 0 or more"),
    "negative dose": (lambda d: d["images"][0].update(dose_dpa=-1), "'dose_dpa': expected 0 or"),
    "pixel size": (lambda d: d["images"][0].update(pixel_size_nm=0), "expected more than 0"),
}
WRONG_ANNOTATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "image": ({"image_id": 8}, "annotation 1: there is no image with the id 8"),
    "category": ({"category_id": 4}, "annotation 1: there is no category with the id 4"),
    "no box": ({"bbox": None}, "annotation 1: the key 'bbox' is missing"),
    "short box": ({"bbox": [1, 2, 3]}, r"'bbox': expected \[x, y, width, height\], found 3"),
    "empty": ({"bbox": [1, 2, 0, 3]}, "positive width and height, found 0 x 3 px"),
    "negative": ({"bbox": [9, 2, -4, 3]}, "positive width and height, found -4 x 3 px"),
    "text": ({"bbox": [1, 2, "3", 4]}, "'bbox': expected a number, found the text '3'"),
    "true": ({"bbox": [1, 2, True, 4]}, "'bbox': expected a number, found True"),
    "too large": ({"bbox": [1, 2, 10**400, 4]}, "expected a finite number, found inf"),
    "overflow": ({"bbox": [1e308, 2, 1e308, 4]}, "a box of finite numbers"),
    "score": ({"score": "high"}, "'score': expected a number"),
    "huge score": ({"score": 1e300}, "expected a score from 0 to 1, found 1e"),
    "track": ({"track_id": 1.5}, "'track_id': expected a whole number"),
    "huge track": ({"track_id": 2**60}, "'track_id': expected less than"),
    "one vertex": ({"line": [[1, 2]]}, "'line': expected at least 2 points, found 1"),
    "line": ({"line": [1, 2, 3, 4]}, "'line': expected points"),
    "ellipse": ({"ellipse": {"cx": 1, "cy": 1, "major": 3, "minor": 2}}, "key 'angle_deg' is miss"),
    "flat ellipse": (
        {"ellipse": {"cx": 1, "cy": 1, "major": 3, "minor": 0, "angle_deg": 0}},
        "'ellipse': expected axes above 0, found 3 and 0",
    ),
    "polygon": ({"segmentation": [[1, 2, 3, 4, 5]]}, "'segmentation': expected polygons"),
    "polygon text": ({"segmentation": "x"}, "expected polygons or run lengths, found the text 'x'"),
    "run size": ({"segmentation": {"size": [30, 20], "counts": [600]}}, r"expected \[20, 30\]"),
    "run sum": ({"segmentation": {"size": [20, 30], "counts": [5]}}, "found a sum of 5$"),
    "run sign": ({"segmentation": {"size": [20, 30], "counts": [-5, 605]}}, "of 0 or more"),
    "run text": ({"segmentation": {"size": [20, 30], "counts": "~"}}, "character '~' at pos"),
    "cut": ({"segmentation": {"size": [20, 30], "counts": "P"}}, "ends inside a number"),
    "no counts": ({"segmentation": {"size": [20, 30]}}, "the key 'counts' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_documents_are_one_sentence(tmp_path: Path, name: str) -> None:
    change, message = MISTAKES[name]
    document = copy.deepcopy(PLAIN)
    change(document)
    with pytest.raises(FormatError, match=message):
        load(tmp_path, document)


@pytest.mark.parametrize("name", WRONG_ANNOTATIONS)
def test_mistakes_in_annotations_name_file_and_entry(tmp_path: Path, name: str) -> None:
    values, message = WRONG_ANNOTATIONS[name]
    with pytest.raises(FormatError, match=message) as caught:
        load(tmp_path, with_annotation(**values))
    assert "labels.json: annotation 1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [\n1, 2,,]}', "malformed JSON in line 2, column 6: "),
        ('{"images": [NaN]}', "expected finite numbers, found NaN"),
        ('{"images": [-Infinity]}', "expected finite numbers, found -Infinity"),
        ("[" * 100_000, "malformed JSON"),
        ('{"x": ' + "9" * 5000 + "}", "malformed JSON"),
        ("", "malformed JSON in line 1, column 1"),
        ("3", "expected an object, found 3"),
    ],
)
def test_broken_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        Coco().load(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(FormatError, match="expected text in UTF-8, found the byte 0xe9"):
        Coco().load(path)


def test_a_guessed_size_stays_one_and_contradicts_no_image(tmp_path: Path) -> None:
    found = Instances((20, 30), [[2, 3, 12, 8]], defect_types="black dot")
    dataset = Dataset([LabelledImage("a.png", found, size_is_guessed=True)])
    Coco(Coco.Options()).save(dataset, tmp_path / "labels.json")
    Image.new("L", (31, 20)).save(tmp_path / "a.png")
    (image,) = Coco(Coco.Options()).load(tmp_path / "labels.json").images
    assert image.size_is_guessed
    assert image.instances.image_shape == (20, 30)


def test_bare_results_are_refused_with_advice(tmp_path: Path) -> None:
    results = [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]
    with pytest.raises(FormatError, match=r"bare list of COCO results.*'images' and 'categories'"):
        load(tmp_path, results)


def test_folder_without_annotations(tmp_path: Path) -> None:
    assert not Coco().accepts(tmp_path)
    with pytest.raises(InputError, match=r"there is no .*annotations\.json"):
        Coco().load(tmp_path)


def test_written_file_is_plain_coco(tmp_path: Path) -> None:
    mask = Mask(2, 3, np.ones((5, 10), bool))
    found = Instances((20, 30), [mask.box], [0.5], ["black dot"], masks=[mask])
    image = LabelledImage("a.png", found, 4, 0.5, 1.25)
    assert Coco().save(Dataset([image], None, ("uncertain",)), tmp_path / "out") == []
    document = json.loads((tmp_path / "out/annotations.json").read_text())
    assert document == {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 30, "height": 20, "frame": 4,
             "pixel_size_nm": 0.5, "dose_dpa": 1.25}
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 2, "bbox": [2.0, 3.0, 10.0, 5.0], "area": 50,
             "iscrowd": 0, "ignore": 0, "score": 0.5,
             "segmentation": {"size": [20, 30], "counts": "[15?00000000000000000U;"}}
        ],
        "categories": [{"id": 1, "name": "uncertain"}, {"id": 2, "name": "black dot"}],
    }  # fmt: skip


def test_the_area_is_that_of_the_ellipse_where_there_is_no_mask(tmp_path: Path) -> None:
    columns = {"x": [9.0], "y": [9.0], "major_px": [8.0], "minor_px": [4.0], "angle_deg": [0.0]}
    found = Instances((20, 30), [[5, 7, 13, 11]], None, ["x"], measurements=columns)
    Coco().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "a.json")
    (entry,) = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert entry["area"] == pytest.approx(np.pi * 8)


def test_measurements_without_a_place_are_counted(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 3, 4]], None, ["x"]).with_measurements(
        {"curvature_per_px": [0.1]}, {"curvature_per_px": "1/px"}
    )
    assert Coco().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "a.json") == [
        "values of 'curvature_per_px' that the format has no place for, left out: 1"
    ]


def test_images_are_copied_when_asked(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    dataset = load(tmp_path, PLAIN)
    writer = Coco(Coco.Options(copy_images=True))
    writer.save(dataset, tmp_path / "out")
    assert (tmp_path / "out/images/a.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    assert Coco().load(tmp_path / "out").folder == tmp_path / "out/images"
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match=r"cannot copy the image a\.png: it is not in"):
        writer.save(dataset, tmp_path / "again")
    assert not (tmp_path / "again/annotations.json").exists()


@pytest.mark.real_data
def test_boxes_of_the_in_situ_frames(real_data: Any) -> None:
    dataset = Coco().load(real_data("insitu-loops"))
    assert [image.frame for image in dataset.images] == [126, 329, 480, 707, 888, 1166]
    assert sum(len(image.instances) for image in dataset.images) == 608
    assert dataset.folder is not None
    assert all((dataset.folder / image.file_name).is_file() for image in dataset.images)
    assert {image.instances.image_shape for image in dataset.images} == {(710, 1120)}
    assert {image.pixel_size_nm for image in dataset.images} == {0.371968}


@pytest.mark.real_data
def test_ellipses_of_the_stem_images(tmp_path: Path, real_data: Any) -> None:
    dataset = Coco().load(real_data("stem-multitype"))
    found = [image.instances for image in dataset.images]
    assert sum(map(len, found)) == 139
    assert dataset.defect_types == ("a/2<111> loop", "black dot", "a<100> loop", "uncertain")
    for instances in found:
        assert (instances.ignore == (instances.defect_types == "uncertain")).all()
        assert np.isfinite(instances.measurements["major_px"]).all()
    assert found[0].measurements["angle_deg"][0] == 123.194
    Coco().save(dataset, tmp_path / "again.json")
    again = Coco().load(tmp_path / "again.json")
    for instances, image in zip(found, again.images, strict=True):
        np.testing.assert_array_equal(instances.boxes, image.instances.boxes)
        for name, column in instances.measurements.items():
            np.testing.assert_array_equal(column, image.instances.measurements[name])
