import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.detectors.learning.suppression import Found, suppressed


def one_by_one(boxes, scores, most_iou):
    """Take the best, drop what overlaps it more, and go on: positions of what is left."""
    left = sorted(range(len(boxes)), key=lambda k: (-scores[k], boxes[k, 1], boxes[k, 0]))
    kept = []
    while left:
        kept.append(left.pop(0))
        overlaps = box_iou_matrix(boxes[kept[-1:]], boxes[left])[0]
        left = [k for k, iou in zip(left, overlaps, strict=True) if iou <= most_iou]
    return kept


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([0.15, 0.35, 0.6]))
def test_the_best_of_overlapping_boxes_stays(seed, count, most_iou):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 120, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(2, 60, (count, 2))]).astype(np.float32)
    # Few levels, so that there are ties.
    scores = rng.integers(1, 20, count).astype(np.float32) / 20
    classes = np.arange(count)
    found = suppressed(Found(boxes, scores, classes), most_iou)
    kept = one_by_one(boxes, scores, most_iou)
    assert found.classes.tolist() == kept
    np.testing.assert_array_equal(found.boxes, boxes[kept])
    np.testing.assert_array_equal(found.scores, scores[kept])
