"""Datasets of a benchmark: each label with its frame, whatever they are called."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import tifffile

import defectscope as ds
from defectscope.pipeline.benchmark_data import open_benchmark_data
from defectscope.plugins.testing import isolated_host
from defectscope.readers import plugin

SHAPE = (40, 60)


@pytest.fixture(scope="module")
def host():
    return isolated_host(plugin)


def pixels(number):
    return np.random.default_rng(number).integers(0, 255, SHAPE, dtype=np.uint8)


def write(folder, names, missing=(), **more):
    """Write a dataset; image k holds k + 1 defects."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for k, name in enumerate(names):
        if name not in missing and "#" not in name:
            path = folder / "images" / name
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), pixels(k))
        images.append(
            {"id": k, "file_name": name, "width": SHAPE[1], "height": SHAPE[0],
             **{key: values[k] for key, values in more.items()}}
        )  # fmt: skip
        annotations += [
            {"id": len(annotations) + j, "image_id": k, "category_id": 1, "bbox": [5 * j, 3, 4, 4]}
            for j in range(k + 1)
        ]
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "loop"}],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def opened(host, *paths, **more):
    return open_benchmark_data(list(paths), host, **more)


def test_each_label_has_its_own_frame(host, tmp_path):
    # By number the files come in another order than by label.
    (data,) = opened(host, write(tmp_path / "set", ["f9.png", "f10.png", "f2.png"]))
    assert [image.file_name for image in data.truth.images] == ["f9.png", "f10.png", "f2.png"]
    for position in range(3):
        np.testing.assert_array_equal(data.frames[position].pixels, pixels(position))
        assert len(data.truth.images[position].instances) == position + 1
    assert (data.name, data.defects, data.truth.warnings) == ("set", 6, ())
    assert set(data.as_dict()["inputs"]) == {"annotations.json", "f9.png", "f10.png", "f2.png"}


def test_names_with_marks_are_found_however_they_are_spelled(host, tmp_path):
    folder = write(tmp_path / "set", ["\xfc.png"])
    image = folder / "images" / "\xfc.png"
    image.rename(image.with_name("u\N{COMBINING DIAERESIS}.png"))
    (data,) = opened(host, folder)
    np.testing.assert_array_equal(data.frames[0].pixels, pixels(0))
    assert data.truth.warnings == ()


def test_a_file_of_labels_is_named_after_itself(host, tmp_path):
    folder = write(tmp_path / "set", ["a.png"])
    (folder / "annotations.json").rename(folder / "expert 1.json")
    assert [d.name for d in opened(host, folder / "expert 1.json")] == ["expert-1"]


def test_datasets_of_one_name_are_told_apart(host, tmp_path):
    paths = [write(tmp_path / day / "set", ["a.png"]) for day in ("monday", "tuesday")]
    assert [d.name for d in opened(host, *paths)] == ["monday-set", "tuesday-set"]
    files = [path / "annotations.json" for path in paths]
    assert [d.name for d in opened(host, *files)] == ["monday-set", "tuesday-set"]
    with pytest.raises(ds.UsageError, match="given twice"):
        opened(host, paths[0], tmp_path / "monday" / ".." / "monday" / "set")


def test_pages_of_a_stack_are_found(host, tmp_path):
    folder = write(tmp_path / "set", ["s.tif#2", "s.tif#0"])
    stack = np.stack([pixels(k + 10) for k in range(4)])
    tifffile.imwrite(folder / "images/s.tif", stack, photometric="minisblack")
    (data,) = opened(host, folder)
    np.testing.assert_array_equal(data.frames[0].pixels, pixels(12))
    np.testing.assert_array_equal(data.frames[1].pixels, pixels(10))
    assert data.frames.warnings == []


def test_frames_are_chosen_by_index(host, tmp_path):
    folder = write(tmp_path / "named", ["f3.png", "f5.png", "f8.png"])
    (data,) = opened(host, folder, frames="4:")
    assert [image.file_name for image in data.truth.images] == ["f5.png", "f8.png"]
    assert len(data.frames) == 2
    other = write(tmp_path / "given", ["x.png", "y.png", "z.png"], frame=[12, 10, 11])
    (data,) = opened(host, other, frames="10:13:2")
    assert [image.file_name for image in data.truth.images] == ["x.png", "y.png"]
    np.testing.assert_array_equal(data.frames[1].pixels, pixels(1))
    with pytest.raises(ds.UsageError, match=r"lies in 20:; its frames are 12, 10, 11"):
        opened(host, other, frames="20:")


def test_a_pixel_size_in_the_labels_is_that_of_the_frames(host, tmp_path):
    folder = write(tmp_path / "one", ["a.png", "b.png"], pixel_size_nm=[0.5, 0.5])
    assert opened(host, folder)[0].frames[1].calibration.pixel_size_nm == 0.5
    folder = write(tmp_path / "two", ["a.png", "b.png"], pixel_size_nm=[0.5, 0.6])
    assert opened(host, folder)[0].frames[1].calibration.pixel_size_nm is None


def test_labels_without_an_image_are_left_out_and_said(host, tmp_path):
    folder = write(tmp_path / "set", ["a.png", "b.png", "c.png"], missing=["b.png"])
    (data,) = opened(host, folder)
    assert [image.file_name for image in data.truth.images] == ["a.png", "c.png"]
    np.testing.assert_array_equal(data.frames[1].pixels, pixels(2))
    (text,) = data.truth.warnings
    assert text == "1 labelled image of set is not there and is left out: b.png"


def test_what_cannot_be_compared_is_one_sentence(host, tmp_path):
    with pytest.raises(ds.UsageError, match="name at least one dataset"):
        opened(host)
    with pytest.raises(ds.InputError, match="there is no file or folder"):
        opened(host, tmp_path / "nowhere")
    with pytest.raises(ds.InputError, match=r"empty holds no labelled image"):
        opened(host, write(tmp_path / "empty", []))
    with pytest.raises(ds.InputError, match=r"none of the images .* looked for a\.png, b\.png in"):
        opened(host, write(tmp_path / "bare", ["a.png", "b.png"], missing=["a.png", "b.png"]))
    with pytest.raises(ds.FormatError, match="two images share the name 'a'"):
        opened(host, write(tmp_path / "twice", ["1/a.png", "2/a.png"]))
    folder = write(tmp_path / "pages", ["s.tif"], missing=["s.tif"])
    tifffile.imwrite(
        folder / "images/s.tif", np.stack([pixels(0), pixels(1)]), photometric="minisblack"
    )
    with pytest.raises(ds.InputError, match=r"pages of stacks .* are named like stack\.tif#3"):
        opened(host, folder)
