"""Where images lie and how large they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError
from defectscope.core.instances import Instances
from defectscope.readers.formats.image_files import (
    copy_images,
    image_size,
    list_images,
    page_count,
    relative_name,
    resting_place,
)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_size_comes_from_the_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("L", (31, 17)).save(path)
    assert image_size(path) == (17, 31)
    assert page_count(path) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("imagej", [True, False])
def test_pages_of_a_stack(tmp_path: Path, dtype: type, imagej: bool) -> None:
    path = tmp_path / "s.tif"
    data = np.zeros((5, 17, 31), dtype)
    tifffile.imwrite(path, data, imagej=imagej, photometric="minisblack")
    assert (image_size(path), page_count(path)) == ((17, 31), 5)


def test_thumbnails_are_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = np.zeros((24, 32), np.uint8)
    with tifffile.TiffWriter(path) as writer:
        writer.write(data[::3, ::3], metadata=None, subfiletype=1)
        writer.write(data, metadata=None)
    assert (image_size(path), page_count(path)) == ((24, 32), 1)


def test_large_images_are_no_bombs_because_only_headers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (12_000, 10_000)).save(path)
    assert image_size(path) == (10_000, 12_000)


@pytest.mark.parametrize(
    ("name", "pages"), [("a.png", 1), ("a.tif", None), ("a.dm3", None), ("a.avi", None)]
)
def test_other_files_have_no_size(tmp_path: Path, name: str, pages: int | None) -> None:
    (tmp_path / name).write_bytes(b"no image at all")
    assert image_size(tmp_path / name) is None
    assert page_count(tmp_path / name) == pages


def test_images_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("Frame10.png", "Frame9.PNG", "notes.txt", "Frame100.png"):
        (tmp_path / name).touch()
    assert [p.name for p in list_images(tmp_path)] == ["Frame9.PNG", "Frame10.png", "Frame100.png"]
    assert list_images(tmp_path / "none") == []


def test_most_images_decide_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "images/a.png", "images/b.png"):
        (tmp_path / name).touch()
    below = ("images", "frames")
    assert resting_place(tmp_path, ["a.png", "b.png"], below) == tmp_path / "images"
    assert resting_place(tmp_path, ["a.png"], below) == tmp_path
    assert resting_place(tmp_path, [], below) == tmp_path


def test_names_are_relative_with_forward_slashes() -> None:
    assert relative_name("a\\b.png") == "a/b.png"
    assert relative_name("../images/b.png", "labels") == "images/b.png"
    with pytest.raises(FormatError, match=r"f\.json: the file name '\.\./\.\./b\.png' leads out"):
        relative_name("../../b.png", "labels", "f.json")


def test_copies_must_not_share_a_file_on_any_system(tmp_path: Path) -> None:
    for name in ("A.png", "a.png", "b.png"):
        (tmp_path / name).write_text(name)
    if (tmp_path / "A.png").read_text() != "A.png":
        pytest.skip("files cannot have such names here")

    def dataset(*names: str) -> Dataset:
        nothing = Instances.empty((8, 8))
        return Dataset(tuple(LabelledImage(name, nothing) for name in names), folder=tmp_path)

    with pytest.raises(FormatError, match=r"of A\.png and a\.png would share a file where"):
        copy_images(dataset("A.png", "a.png"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    copy_images(dataset("a.png", "./a.png", "b.png"), tmp_path / "out")
    assert [path.name for path in list_images(tmp_path / "out")] == ["a.png", "b.png"]
