"""Sheets of small pictures of labelled images, whatever the size of these."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.defect_types import DefectType
from defectscope.core.instances import Instances
from defectscope.pipeline.caption import ROW_PX
from defectscope.pipeline.contact_sheet import contact_sheet, draw_truth

TYPES = {
    "black dot": DefectType("black dot", "Black dot", "ellipse", colour="#0000ff"),
    "crack": DefectType("crack", "Crack", "line", colour="#00ff00"),
}
BLUE, GREEN, SHAPE = (0, 0, 255), (0, 255, 0), (100, 120)


@pytest.mark.parametrize(
    ("shape", "height", "width"),
    [((64, 64), 100, 100), ((50, 200), 25, 100), ((16, 16384), 1, 100), ((16384, 16), 100, 1)],
)
def test_the_longer_side_of_pictures_is_as_asked(shape, height, width):
    truth = Instances(shape, [[4, 3, 12, 9]], defect_types="black dot")
    sheet = contact_sheet([(np.full(shape, 90, np.uint8), truth)], TYPES, 2, 100)
    assert sheet.shape == (ROW_PX + height, 2 * width, 3)


def drawn(picture, colour):
    """Return how many pixels are nearer to a colour than to grey."""
    return int((picture[..., list(colour).index(255)] - picture.astype(int).min(axis=2) > 90).sum())


def one_dot(ignore=False):
    return Instances(SHAPE, [[20, 20, 80, 60]], defect_types="black dot", ignore=[ignore])


def test_truth_has_the_colours_of_its_types():
    crack = np.array([[5.0, 90.0], [110.0, 92.0]])
    truth = Instances(
        SHAPE, [[20, 20, 80, 60], [5, 90, 110, 92]], defect_types=["black dot", "crack"],
        lines=[np.empty((0, 2)), crack],
    )  # fmt: skip
    picture = draw_truth(np.full(SHAPE, 90, np.uint8), truth, TYPES)
    assert drawn(picture[:70], BLUE) > 150
    assert drawn(picture[:70], GREEN) == 0
    assert drawn(picture[85:], GREEN) > 90


def test_what_is_ignored_is_dashed():
    pixels = np.full(SHAPE, 90, np.uint8)
    whole, dashed = (
        drawn(draw_truth(pixels, one_dot(ignore), TYPES), BLUE) for ignore in (False, True)
    )
    assert 0.3 * whole < dashed < 0.8 * whole


def test_colours_and_dashes_are_explained():
    pixels = np.full(SHAPE, 90, np.uint8)
    none, plain, ignored = (
        contact_sheet([(pixels, truth)], TYPES)[:ROW_PX].astype(int)
        for truth in (one_dot()[:0], one_dot(), one_dot(ignore=True))
    )
    assert none.max() == 0
    assert (plain == BLUE).all(axis=2).any()
    assert (ignored > 0).sum() > (plain > 0).sum()
