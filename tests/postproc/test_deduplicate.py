"""``deduplicate``: one instance for each line."""

from __future__ import annotations

import numpy as np

from defectscope import DefectType, Frame, Instances, Mask, Runtime
from defectscope.core.line_masks import mask_of_line
from defectscope.plugins.testing import PostProcessorConformance
from defectscope.postproc.deduplicate import Deduplicate, DeduplicateOptions

SHAPE = (60, 100)
FRAME = Frame(np.eye(*SHAPE, dtype=np.uint8), 0)
TYPES = {n: DefectType(n, n, s) for n, s in (("dislocation", "line"), ("loop", "ellipse"))}


class TestConformance(PostProcessorConformance):
    component = Deduplicate


def row(y, start=5, stop=90):
    return np.linspace([start, y], [stop, y], 30)


def processed(lines=None, masks=None, scores=None, names="dislocation", **options):
    n = len(lines if lines is not None else masks)
    instances = Instances(
        SHAPE, [[k, 0, k + 9, 9] for k in range(n)], scores, names, None, masks, lines
    )
    found = Deduplicate(DeduplicateOptions(**options), Runtime(defect_types=TYPES)).process(
        FRAME, instances
    )
    return found.boxes[:, 0].astype(int).tolist()


def test_of_masks_that_are_the_same_line_the_best_stays():
    masks = [mask_of_line(row(y), 5) for y in (10, 11, 40)]
    assert processed(masks=masks, scores=[0.5, 0.8, 0.6]) == [1, 2]
    assert processed(masks=masks, scores=[0.8, 0.8, 0.6]) == [0, 2]


def test_lines_side_by_side_and_parts_are_kept():
    masks = [mask_of_line(row(10), 5), mask_of_line(row(15), 5), mask_of_line(row(10, 5, 30), 5)]
    assert processed(masks=masks) == [0, 1, 2]


def test_empty_and_tiny_masks_go():
    masks = [Mask(0, 0, np.zeros((0, 0), bool)), Mask(3, 3, np.ones((3, 3), bool)),
             mask_of_line(row(30), 5)]  # fmt: skip
    assert processed(masks=masks) == [2]
    assert processed(masks=masks, least_area_px=5) == [1, 2]


def test_lines_without_masks_are_compared_as_if_drawn():
    assert processed([row(10), row(11), row(30)], scores=[0.9, 0.8, 0.7]) == [0, 2]


def test_what_has_neither_stays_and_so_do_other_shapes():
    assert processed([np.zeros((0, 2)), row(10)]) == [0, 1]
    assert processed([row(10), row(10)], names=["loop", "loop"]) == [0, 1]
