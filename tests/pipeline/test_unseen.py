"""What a run did not look at."""

from __future__ import annotations

import numpy as np

from defectscope.pipeline.unseen import unseen_outlines, unseen_pixels


def test_outside_of_the_region_and_masked():
    masked = np.zeros((6, 8), bool)
    masked[2:4, 3:5] = True
    unseen = unseen_pixels((6, 8), (1, 1, 7, 5), masked)
    assert unseen.sum() == 6 * 8 - 6 * 4 + 4
    assert unseen[0, 0]
    assert unseen[2, 3]
    assert not unseen[1, 1]
    assert unseen_pixels((6, 8), None, None) is None
    assert unseen_outlines(None) == []


def test_a_mask_of_another_size_is_cut_to_the_frame():
    assert unseen_pixels((3, 9), None, np.ones((6, 4), bool)).sum() == 12
    # A region reaches out of a smaller frame, in which all was looked at.
    assert unseen_pixels((5, 5), (0, 0, 20, 20), None) is None


def test_rims_are_where_pixels_end():
    unseen = np.zeros((10, 12), bool)
    unseen[2:5, 3:9] = True
    (rim,) = unseen_outlines(unseen)
    x, y = np.array(rim).T
    assert (x.min(), x.max(), y.min(), y.max()) == (3, 9, 2, 5)


def test_a_region_leaves_a_hole():
    assert len(unseen_outlines(unseen_pixels((20, 30), (5, 5, 20, 15), None))) == 2
