"""Mask files: what is written is what every reader gives back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from defectscope.core.masks import Mask
from defectscope.pipeline.mask_files import write_masks
from defectscope.pipeline.png_files import image_png, mask_png

bitmaps = arrays(bool, st.tuples(st.integers(0, 12), st.integers(0, 20)))


@given(bitmaps, *[st.integers(0, 17)] * 4)
def test_a_mask_comes_back(bitmap, x, y, right, below):
    shape = (bitmap.shape[0] + y + below + 1, bitmap.shape[1] + x + right + 1)
    mask = Mask(x, y, bitmap)
    stored = cv2.imdecode(np.frombuffer(mask_png(mask, shape), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, mask.to_dense(shape).astype(np.uint8) * 255)


def test_a_folder_of_masks(tmp_path):
    shape = (30, 41)
    masks = [
        Mask(3, 4, np.ones((5, 6), bool)),
        Mask(38, -2, np.ones((9, 9), bool)),  # beyond the rim
        Mask(0, 0, np.zeros((0, 0), bool)),
        Mask(5, 6, np.eye(20, dtype=bool)),
    ]
    folder = tmp_path / "masks" / "000000"
    folder.mkdir(parents=True)
    (folder / "007.png").write_bytes(b"of a former run")
    write_masks(folder, masks, shape)
    assert sorted(path.name for path in folder.iterdir()) == [
        "000.png", "001.png", "002.png", "003.png", "all.png",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["000000"]
    expected = [mask.to_dense(shape) for mask in masks]
    for position, dense in enumerate(expected):
        with Image.open(folder / f"{position:03d}.png") as image:
            assert image.mode == "1"
            np.testing.assert_array_equal(np.array(image), dense)
    with Image.open(folder / "all.png") as image:
        np.testing.assert_array_equal(np.array(image), np.any(expected, axis=0))


def test_a_failure_leaves_the_former_masks(tmp_path, monkeypatch):
    write_masks(tmp_path / "a", [Mask(0, 0, np.ones((2, 2), bool))], (4, 4))
    monkeypatch.setattr("defectscope.pipeline.mask_files.mask_png", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_masks(tmp_path / "a", [Mask(0, 0, np.ones((2, 2), bool))], (4, 4))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["000.png", "all.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from([np.uint8, np.uint16]), st.booleans()
)
def test_an_image_comes_back(height, width, kind, noisy):
    top = np.iinfo(kind).max
    pixels = np.random.default_rng(height).integers(0, top, (height, width), kind, endpoint=True)
    pixels = pixels if noisy else np.full_like(pixels, pixels[0, 0])
    stored = cv2.imdecode(np.frombuffer(image_png(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == kind
    np.testing.assert_array_equal(stored, pixels)


def test_only_images_that_shrink_are_compressed():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    assert 90_000 < len(image_png(noise)) < 91_000
    assert len(image_png(np.sort(noise, axis=1))) < 45_000
