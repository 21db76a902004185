"""Letters are told from defects by edges that no camera sees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from defectscope.detectors.learning.captions import in_captions

SHAPE = 160, 240
CENTRES = [(30, 30), (80, 40), (140, 35), (200, 30), (60, 90), (120, 80), (190, 95)]
LETTERS = np.array([[5, 130, 23, 152], [29, 130, 46, 152]], float)


def frame(blur_px=1.5, noise=0.01, text=True, dtype=np.uint8):
    """Return dark loops as a camera sees them, and letters that it has not seen."""
    canvas = np.full(SHAPE, 0.7, np.float32)
    for x, y in CENTRES:
        cv2.ellipse(canvas, (x, y), (8, 5), 30, 0, 360, 0.4, -1)
    canvas = cv2.GaussianBlur(canvas, (0, 0), blur_px) if blur_px else canvas
    canvas += noise * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    canvas = np.clip(canvas, 0, 1)
    if text:
        for level, width in ((1, 6), (0, 2)):
            strokes = np.zeros(SHAPE, np.uint8)
            cv2.putText(strokes, "0.5", (6, 150), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 1, width)
            canvas[strokes > 0] = level
    if dtype == np.float32:
        return canvas * 1e-3
    return np.round(canvas * np.iinfo(dtype).max).astype(dtype)


def boxes():
    return np.array([[x - 9, y - 8, x + 9, y + 8] for x, y in CENTRES], float)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("blur_px", [1.0, 1.5, 3.0])
def test_letters_go_and_loops_stay(dtype, blur_px):
    both = np.concatenate([boxes(), LETTERS])
    found = in_captions(frame(blur_px, dtype=dtype), both)
    assert found.tolist() == [False] * len(CENTRES) + [True, True]


@pytest.mark.parametrize("blur_px", [0.0, 0.5])
def test_where_every_edge_is_sharp_nothing_goes(blur_px):
    assert not in_captions(frame(blur_px, text=False), boxes()).any()


def test_noise_is_no_caption():
    assert not in_captions(frame(noise=0.2, text=False), boxes()).any()


def test_where_there_is_nothing_to_compare_with_nothing_goes():
    assert not in_captions(frame(), LETTERS).any()
    assert in_captions(frame(), np.zeros((0, 4))).tolist() == []
    assert not in_captions(np.full(SHAPE, 7, np.uint8), boxes()).any()


def test_boxes_beyond_the_frame_and_empty_ones():
    odd = np.array([[-20, -20, 5, 5], [230, 150, 300, 200], [500, 500, 510, 510], [9, 9, 9, 9]])
    assert in_captions(frame(), odd.astype(float)).shape == (4,)
