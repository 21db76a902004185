"""Masks as polygons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from defectscope.core.errors import FormatError
from defectscope.core.masks import Mask
from defectscope.readers.formats.outlines import (
    crossed_polygons,
    mask_polygons,
    polygon_box,
    united,
)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_filling_the_outlines_gives_the_mask_back(bitmap: np.ndarray) -> None:
    mask, shape = Mask(3, 2, bitmap), (14, 15)
    outer, holes = mask_polygons(mask)
    back = crossed_polygons([*outer, *holes], shape) if outer else Mask(0, 0, bitmap[:0, :0])
    assert np.array_equal(back.to_dense(shape), mask.to_dense(shape))
    if outer:
        assert polygon_box(outer) == mask.trimmed().box


def test_square_with_a_hole() -> None:
    bitmap = np.ones((5, 5), bool)
    bitmap[2, 2] = False
    outer, holes = mask_polygons(Mask(10, 20, bitmap))
    assert (len(outer), len(holes)) == (1, 1)
    # Eight corners, because each corner of the square is cut by half a pixel.
    assert len(outer[0]) == 8
    assert united(outer, (40, 40)).area_px == 25
    assert crossed_polygons([*outer, *holes], (40, 40)).area_px == 24


def test_polygons_beyond_any_defect_are_refused_before_memory_is_taken() -> None:
    square = np.array([[0, 0], [1e9, 0], [1e9, 1e9], [0, 1e9]])
    with pytest.raises(
        FormatError, match=r"a\.json: a polygon covers 100000 x 100000 px; masks of"
    ):
        united([square], (100_000, 100_000), "a.json")
    # Only what lies inside the image counts.
    assert united([square], (10, 20)).area_px == 200


def test_largest_part_comes_first() -> None:
    bitmap = np.zeros((5, 9), bool)
    bitmap[0, 0] = bitmap[1:4, 3:8] = True
    outer, _ = mask_polygons(Mask(0, 0, bitmap))
    assert polygon_box(outer[:1]) == (3, 1, 8, 4)
