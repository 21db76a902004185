"""Worst frames: the right ones, and drawn where and as what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.pipeline.benchmark_pictures import (
    COLOURS,
    GAP_PX,
    HEADER_PX,
    TITLE_PX,
    comparison_picture,
    worst_frames,
)
from defectscope.pipeline.outcomes import Outcome
from defectscope.plugins.shipped_types import SHIPPED

FOUND, MISSED = COLOURS[Outcome.FOUND], COLOURS[Outcome.MISSED]
FALSE_ALARM, IGNORED = COLOURS[Outcome.FALSE_ALARM], COLOURS[Outcome.NOT_COUNTED]
SHAPE = (120, 160)
TOP = HEADER_PX + TITLE_PX
ZOOM = 4  # of frames of 160 px


def squares(*corners, size=16.0, **more):
    boxes = np.array([[x, y, x + size, y + size] for x, y in corners], float).reshape(-1, 4)
    return ds.Instances(SHAPE, boxes, defect_types="loop", **more)


def table(*rows):
    columns = ["name", "f1", "false_positives", "false_negatives"]
    return pd.DataFrame(list(rows), columns=columns).astype({"f1": float})


def test_the_worst_come_first_and_frames_without_defects_never():
    frames = table(
        ("a", 0.9, 1, 1), ("empty", None, 0, 0), ("b", 0.5, 1, 0), ("c", 0.5, 3, 4), ("d", 0, 0, 1),
        ("alarms", None, 2, 0),
    )  # fmt: skip
    assert worst_frames(frames, 3) == [5, 4, 3]
    assert worst_frames(frames, 9) == [5, 4, 3, 2, 0]
    assert worst_frames(frames, 0) == []


def test_frames_with_lines_go_by_the_score_of_lines():
    # Boxes of steep lines overlap by nothing where they are a pixel apart.
    frames = table(
        ("near", 0.0, 5, 5), ("short", 1, 0, 0), ("loops", 0.6, 1, 1), ("invented", None, 1, 0),
        ("alarms", 0.9, 0, 1),
    ).assign(
        line_score=[0.9, 0.3, np.nan, np.nan, 0.9], true_lines=[5, 2, 0, 0, 5],
        predicted_lines=[5, 2, 0, 1, 8], matched_lines=[5, 2, 0, 0, 5],
    )  # fmt: skip
    assert worst_frames(frames, 9) == [3, 1, 2, 4, 0]


@pytest.fixture
def picture():
    """One found, one missed, one false alarm, one not counted."""
    grey = np.full(SHAPE, 90, np.uint8)
    true = squares((10, 20), (60, 20), (110, 20), ignore=[False, False, True])
    found = squares((12, 20), (110, 22), (60, 80))
    return comparison_picture(grey, found, true, 0.15, "one on two, three")


def colours_at(picture, box, panel):
    """Return the colours on the upper side of a box in the left (0) or right (1) panel."""
    x0, y0, x1, _ = box
    left = panel * (ZOOM * SHAPE[1] + GAP_PX)
    rows = picture[TOP + ZOOM * y0 - 1 : TOP + ZOOM * y0 + 2, left + ZOOM * x0 : left + ZOOM * x1]
    middle = rows[:, rows.shape[1] // 2]
    return {tuple(int(v) for v in pixel) for pixel in middle}


@pytest.mark.parametrize(
    ("corner", "panel", "colour"),
    [
        ((10, 20), 0, FOUND),
        ((60, 20), 0, MISSED),
        ((110, 20), 0, IGNORED),
        ((12, 20), 1, FOUND),
        ((60, 20), 1, MISSED),
        ((110, 22), 1, IGNORED),
        ((60, 80), 1, FALSE_ALARM),
    ],
)
def test_every_box_has_its_place_and_colour(picture, corner, panel, colour):
    box = (*corner, corner[0] + 16, corner[1] + 16)
    assert colour in colours_at(picture, box, panel)


def test_false_alarms_are_not_drawn_on_the_truth(picture):
    height, width = ZOOM * SHAPE[0], ZOOM * SHAPE[1]
    left = picture[TOP : TOP + height, :width].reshape(-1, 3)
    right = picture[TOP : TOP + height, width + GAP_PX :].reshape(-1, 3)
    assert not (left == FALSE_ALARM).all(axis=1).any()
    assert (right == FALSE_ALARM).all(axis=1).any()
    assert picture.shape[1] == 2 * width + GAP_PX


def test_the_legend_shows_every_colour(picture):
    legend = picture[TOP + ZOOM * SHAPE[0] :].reshape(-1, 3)
    for colour in (FOUND, MISSED, FALSE_ALARM, IGNORED):
        assert (legend == colour).all(axis=1).any()


@pytest.mark.parametrize("shape", [(24, 16), (700, 1100), (3000, 2800)])
def test_pictures_are_neither_tiny_nor_huge(shape):
    pixels = np.random.default_rng(0).integers(0, 60000, shape, dtype=np.uint16)
    nothing = ds.Instances.empty(shape)
    drawn = comparison_picture(pixels, nothing, nothing, 0.15, "nothing")
    assert drawn.dtype == np.uint8
    assert 250 <= drawn.shape[1] <= 2 * 1400 + GAP_PX


def test_names_are_written_with_all_their_letters():
    nothing, grey = ds.Instances.empty(SHAPE), np.full(SHAPE, 90, np.uint8)
    pictures = [comparison_picture(grey, nothing, nothing, 0.15, letter) for letter in "éüµ–␀"]
    heads = [picture[:HEADER_PX].tobytes() for picture in pictures]
    # One that a font lacks is drawn as the same box as any other that it lacks.
    assert len(set(heads)) == 5


def test_lines_are_drawn_as_lines():
    line = np.array([[20.0, 90.0], [140.0, 30.0]])
    true = ds.Instances(SHAPE, [[20, 30, 140, 90]], defect_types="line", lines=[line])
    grey = np.full(SHAPE, 90, np.uint8)
    drawn = comparison_picture(grey, true, true, 0.15, "line")
    centre = drawn[TOP + ZOOM * 60, ZOOM * 80 - 6 : ZOOM * 80 + 6]
    assert (centre == FOUND).all(axis=1).any()


def steep(*places, **more):
    """Upright lines of 80 px at these x, in boxes of 2 px."""
    lines = [np.array([[x, 20.0], [x, 100.0]]) for x in places]
    boxes = [[x - 1, 20, x + 1, 100] for x in places]
    return ds.Instances(SHAPE, boxes, defect_types="dislocation", lines=lines, **more)


def test_lines_have_the_colours_of_their_own_matching():
    types = {kind.name: kind for kind in SHIPPED}
    grey = np.full(SHAPE, 90, np.uint8)
    true = steep(20, 60, 100, ignore=[False, False, True])
    found = steep(23, 80, 103)  # no box overlaps
    by_boxes = comparison_picture(grey, found, true, 0.15, "lines")
    by_lines = comparison_picture(grey, found, true, 0.15, "lines", types)

    def colour(picture, panel, x):
        place = panel * (ZOOM * SHAPE[1] + GAP_PX) + ZOOM * x
        return tuple(int(v) for v in picture[TOP + ZOOM * 60, place - 1])

    places = [(0, 20), (0, 60), (0, 100), (1, 23), (1, 80), (1, 103)]
    assert [colour(by_lines, *place) for place in places] == [
        FOUND, MISSED, IGNORED, FOUND, FALSE_ALARM, IGNORED,
    ]  # fmt: skip
    assert [colour(by_boxes, *place) for place in places[:4]] == [
        MISSED, MISSED, IGNORED, FALSE_ALARM,
    ]  # fmt: skip
    # Their boxes are not drawn.
    assert colour(by_lines, 0, 19) == (90, 90, 90)
    assert colour(by_boxes, 0, 19) == MISSED
