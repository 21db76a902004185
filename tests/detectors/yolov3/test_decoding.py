"""Outputs of the anchor-free head become boxes: as ultralytics decodes them, and without limit."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.detectors.learning.suppression import suppressed
from defectscope.detectors.yolov3.decoding import BINS, decoded


def level(shape, cells, classes=1):
    """Return logits in which `cells` are (row, column, class, logit, four whole distances)."""
    values = np.full((4 * BINS + classes, *shape), -20, np.float32)
    for row, column, kind, logit, sides in cells:
        values[4 * BINS + kind, row, column] = logit
        for k, side in enumerate(sides):
            values[k * BINS + side, row, column] = 20
    return values


def test_by_hand():
    maps = [level((4, 6), [(1, 2, 1, np.log(3), (1, 0, 2, 3))], 2), level((2, 3), [], 2)]
    found = decoded(maps, (16, 32), 0.5)
    np.testing.assert_allclose(found.boxes, [[40 - 16, 24, 40 + 32, 24 + 48]], atol=1e-4)
    assert found.scores[0] == pytest.approx(0.75)
    assert found.classes.tolist() == [1]
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_nothing_found_is_an_empty_list():
    found = suppressed(decoded([level((4, 6), []), level((2, 3), [])], (16, 32), 0.1), 0.45)
    assert found.boxes.shape == (0, 4)
    assert len(found.scores) == len(found.classes) == 0


def test_more_than_300_boxes_are_no_matter():
    cells = [(r, c, 0, 2.0, (0, 0, 1, 1)) for r in range(0, 60, 2) for c in range(0, 60, 2)]
    found = suppressed(decoded([level((60, 60), cells)], (16,), 0.5), 0.45)
    assert len(found.boxes) == 900


def test_wild_outputs_give_finite_boxes():
    maps = level((2, 2), [(0, 0, 0, 500, (1, 1, 1, 1))])
    maps[: 4 * BINS, 0, 0] *= 1e30
    maps[4 * BINS, 1, 1] = np.nan
    found = decoded([maps], (16,), 0.5)
    assert len(found.boxes) == 1
    assert np.isfinite(found.boxes).all()


def test_it_is_what_ultralytics_decodes(narrow):
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        pixels = torch.randn(1, 1, 96, 128)
        ours = decoded([m[0].numpy() for m in narrow(pixels)], (16, 32), 1e-5)
        theirs = narrow.net(pixels)[0][0].numpy()
    x, y, w, h = theirs[:4]
    np.testing.assert_allclose(
        ours.boxes, np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1), atol=2e-3
    )
    np.testing.assert_allclose(ours.scores, theirs[4:].max(axis=0), atol=1e-5)
    assert ours.classes.tolist() == theirs[4:].argmax(axis=0).tolist()
