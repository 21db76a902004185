"""Arrays of several sizes, one below the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from defectscope.postproc.stacking import Stacking

sizes = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6)


def stacked(arrays):
    stacking = Stacking(*np.array([a.shape for a in arrays]).T)
    stack = np.zeros(stacking.shape, arrays[0].dtype)
    for place, array in zip(stacking.places, arrays, strict=True):
        stack[place] = array
    return stacking, stack


@given(sizes, st.integers(0, 99))
def test_each_array_has_its_place(shapes, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(1, 99, shape).astype(np.uint8) for shape in shapes]
    stacking, stack = stacked(arrays)
    for place, array in zip(stacking.places, arrays, strict=True):
        np.testing.assert_array_equal(stack[place], array)
    np.testing.assert_array_equal(stacking.filled, stack > 0)
    chosen = (stack > 50) & stacking.filled
    counts = stacking.count(chosen)
    assert counts.tolist() == [np.count_nonzero(a > 50) for a in arrays]
    for own, array in zip(stacking.split(stack[chosen], counts), arrays, strict=True):
        np.testing.assert_array_equal(own, array[array > 50])
    values = stacking.a_row(np.arange(len(arrays)))
    assert [values[place[0]].mean() for place in stacking.places] == list(range(len(arrays)))


@given(sizes)
def test_apart_there_is_a_rim_around_each(shapes):
    stacking, stack = stacked([np.ones(shape, np.uint8) for shape in shapes])
    wide = stacking.apart(stack)
    np.testing.assert_array_equal(stacking.together(wide), stack)
    assert wide.sum() == stack.sum()
    assert not wide[[0, -1]].any()
    assert not wide[:, [0, -1]].any()
    full = (wide.any(axis=1)).astype(int)
    assert np.count_nonzero(np.diff(full) == 1) == len(shapes)
