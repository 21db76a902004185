"""Finds at the rims of tiles and of frames."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.detectors.learning.rims import counted, settled
from defectscope.detectors.learning.suppression import Found
from defectscope.detectors.learning.tiles import tiles_of

SHAPE = 239, 239


def found(*boxes):
    scores = np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)
    return Found(np.array(boxes, np.float32).reshape(-1, 4), scores, np.zeros(len(boxes), np.intp))


def reported(boxes, shape=SHAPE, given=SHAPE, tile_px=256):
    """Return what is left of boxes that the network sees in every tile."""
    parts = []
    for tile in tiles_of(given, tile_px, 64, 32):
        local = np.array(boxes, float) - [tile.x_min, tile.y_min] * 2
        parts.append(counted(found(*local), tile, given))
    return settled(parts, given, shape, 0.4).boxes.tolist()


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ([228, 100, 248, 120], [228, 100, 239, 120]),
        ([100, 228, 120, 248], [100, 228, 120, 239]),
        ([-8, 100, 12, 120], [0, 100, 12, 120]),
    ],
)
def test_a_defect_at_the_rim_is_cut(box, cut):
    assert reported([box]) == [cut]


def test_a_defect_whose_centre_lies_beyond_the_frame_is_not_counted_on_any_side():
    beyond = [[230, 100, 249, 120], [100, 230, 120, 249], [-11, 50, 8, 60], [50, -11, 60, 8]]
    assert reported(beyond) == []


def test_what_lies_in_the_padding_alone_is_nothing():
    assert reported([[239, 100, 255, 116], [238.5, 100, 255, 116]]) == []


def test_a_tile_cuts_nothing_where_the_frame_goes_on():
    given = 239, 384
    assert [tile.core[::2] for tile in tiles_of(given, 256, 64, 32)] == [(0, 192), (192, 384)]
    # Over the border, beyond the end of the first tile, at the frame's rim.
    across, beyond, rim = [180, 100, 200, 130], [180, 10, 270, 40], [370, 200, 396, 220]
    whole = reported([across, beyond, rim], given, given)
    assert sorted(whole) == sorted([across, beyond, [370, 200, 384, 220]])


def test_boxes_that_are_one_at_the_rim_are_one_find():
    # Whole, they overlap by half; what of them is in the frame by more.
    assert reported([[229, 100, 247, 130], [233, 102, 244, 128]]) == [[229, 100, 239, 130]]


def test_least_sides_are_those_of_the_frame():
    given = 478, 478
    thin, fine = [477.2, 10, 478.6, 30], [475.5, 60, 479, 80]
    assert reported([thin, fine], SHAPE, given, 512) == [[237.75, 30, 239, 40]]
