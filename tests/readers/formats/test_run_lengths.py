"""COCO's compressed run lengths."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from defectscope.core.masks import Mask
from defectscope.readers.formats.run_lengths import (
    compressed_counts,
    counts_from_text,
    counts_to_texts,
    mask_from_counts,
)

BLOCK = np.pad(np.ones((30, 20), bool), ((400, 300), (500, 100)))
# What pycocotools 2.0 writes.
REFERENCE = [
    (np.eye(4, 6, dtype=bool), "014000004"),
    (np.ones((3, 300), bool), "0Tl0"),
    (np.zeros((5, 7), bool), "S1"),
    (BLOCK, "hjT;n0le00000000000000000000000000000000000000hlV2"),
]
bitmaps = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def slow_counts(image):
    """Return run lengths, column by column, background first."""
    runs = [(value, len(list(run))) for value, run in groupby(image.ravel(order="F"))]
    return [0] * bool(runs and runs[0][0]) + [length for _, length in runs]


@pytest.mark.parametrize(("dense", "text"), REFERENCE)
def test_same_text_as_pycocotools(dense: np.ndarray, text: str) -> None:
    assert compressed_counts([Mask.from_dense(dense)], dense.shape) == [text]
    back = mask_from_counts(counts_from_text(text), dense.shape)
    assert np.array_equal(back.to_dense(dense.shape), dense)


@given(st.lists(st.lists(st.integers(0, 2**40), max_size=12), max_size=4))
def test_numbers_come_back(lists: list[list[int]]) -> None:
    assert [counts_from_text(text) for text in counts_to_texts(lists)] == lists


@given(bitmaps, st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
def test_masks_come_back(bitmap: np.ndarray, x: int, y: int, right: int, below: int) -> None:
    shape = (bitmap.shape[0] + y + below, bitmap.shape[1] + x + right)
    mask = Mask(x, y, bitmap)
    counts = counts_from_text(*compressed_counts([mask], shape))
    assert counts == slow_counts(mask.to_dense(shape))
    back = mask_from_counts(counts, shape)
    assert np.array_equal(back.to_dense(shape), mask.to_dense(shape))
    assert back.area_px == mask.area_px


def test_empty_runs_between_are_possible() -> None:
    mask = mask_from_counts([0, 0, 3, 0, 1, 2, 0, 1, 2], (3, 3))
    assert mask.to_dense((3, 3)).ravel(order="F").astype(int).tolist() == [
        0, 0, 0, 0, 1, 1, 1, 0, 0,
    ]  # fmt: skip


def test_a_small_mask_of_a_large_frame_needs_little_memory() -> None:
    # The dense image would have 10^10 pixels.
    shape = (100_000, 100_000)
    mask = mask_from_counts([5 * 10**9 + 7, 4, shape[0] * shape[1] - 5 * 10**9 - 11], shape)
    assert mask.box == (50_000, 7, 50_001, 11)
    assert counts_from_text(*compressed_counts([mask], shape))[:2] == [5 * 10**9 + 7, 4]


@pytest.mark.parametrize("text", ["P" * 14 + "0", " ", "é", "p"])
def test_text_of_another_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not possible"):
        counts_from_text(text)
