"""The short way to the watershed gives what the public one gives."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.segmentation import watershed

from defectscope.postproc import flooding


def scene(seed, levels):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 30, 2))
    # Few levels: many pixels of one height, which are flooded in the order of their queue.
    relief = rng.integers(0, levels, shape).astype(rng.choice([np.float32, np.float64]))
    markers = np.where(rng.random(shape) < 0.1, rng.integers(1, 4, shape), 0).astype(np.int32)
    return relief, markers, rng.random(shape) < 0.8


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 1000]))
def test_it_floods_as_the_public_function_does(seed, levels):
    relief, markers, mask = scene(seed, levels)
    before = markers.copy()
    flooded = flooding.flood(relief, markers, mask)
    np.testing.assert_array_equal(flooded, watershed(relief, markers, mask=mask))
    np.testing.assert_array_equal(markers, before)


def test_the_compiled_function_is_there():
    assert flooding._compiled() is not None, "scikit-image has changed: the slow way is taken"


@pytest.mark.parametrize("missing", [True, False])
def test_without_it_the_public_function_does_it(monkeypatch, missing):
    relief, markers, mask = scene(1, 3)
    expected = watershed(relief, markers, mask=mask)
    if missing:
        monkeypatch.setattr(flooding, "_compiled", lambda: None)
        calls = []
        monkeypatch.setattr(
            flooding, "watershed", lambda *a, **k: calls.append(1) or watershed(*a, **k)
        )
    np.testing.assert_array_equal(flooding.flood(relief, markers, mask), expected)
    assert not missing or calls


def test_one_that_does_otherwise_is_not_used(monkeypatch):
    for other in (lambda *given: None, lambda one: None):
        other_version = SimpleNamespace(watershed_raveled=other)
        name = "skimage.segmentation._watershed_cy"
        monkeypatch.setitem(sys.modules, name, other_version)
        flooding._compiled.cache_clear()
        assert flooding._compiled() is None
    flooding._compiled.cache_clear()
