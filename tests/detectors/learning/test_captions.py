"""Letters are told from defects by edges that no camera sees, bars by their constant grey."""

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


def with_bar(level, blur_px=0.0, dtype=np.uint8):
    """Return loops above a bar that a caption is written in."""
    canvas = frame(text=False)
    cv2.rectangle(canvas, (120, 112), (239, 159), level, -1)
    cv2.putText(canvas, "5 nm", (140, 145), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255 - level, 2)
    canvas = cv2.GaussianBlur(canvas, (0, 0), blur_px) if blur_px else canvas
    factors = {np.uint8: 1, np.uint16: 257, np.float32: 1e-3}
    return canvas.astype(dtype) * dtype(factors[dtype])


# In the bar, on its edge, on what is written there, and loops a few px off it.
ON_BAR = np.array([[205, 120, 230, 150], [115, 120, 135, 150], [180, 130, 197, 147]], float)
BESIDE_BAR = np.array([[180, 84, 200, 109], [97, 130, 117, 150]], float)


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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("blur_px", [0.0, 1.0])
@pytest.mark.parametrize("level", [0, 255])
def test_what_lies_on_a_bar_goes_and_loops_beside_it_stay(level, blur_px, dtype):
    every = np.concatenate([boxes(), BESIDE_BAR, ON_BAR])
    found = in_captions(with_bar(level, blur_px, dtype), every)
    assert found.tolist() == [False] * (len(CENTRES) + len(BESIDE_BAR)) + [True] * len(ON_BAR)


def test_bars_in_a_jpeg():
    coded = cv2.imencode(".jpg", with_bar(0), [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    found = in_captions(
        cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.concatenate([boxes(), ON_BAR])
    )
    assert found.tolist() == [False] * len(CENTRES) + [True] * len(ON_BAR)


@pytest.mark.parametrize("blur_px", [0.0, 1.5])
@pytest.mark.parametrize("grain", [0, 40])
def test_where_a_frame_has_no_noise_its_background_is_no_bar(blur_px, grain):
    pixels = frame(blur_px, noise=0, text=False)
    pixels[:, :120] -= grain
    assert not in_captions(pixels, boxes()).any()


def test_loops_that_the_grey_range_cuts_off_stay():
    pixels = frame(text=False).astype(float)
    clipped = np.clip((pixels - 130) * 3 + 30, 0, 255).astype(np.uint8)
    assert (clipped == 0).sum() > 300
    assert not in_captions(clipped, boxes()).any()


def test_of_a_hole_in_the_specimen_only_what_lies_within_goes():
    pixels = frame(text=False)
    cv2.fillPoly(pixels, [np.array([[239, 60], [239, 159], [150, 159], [170, 120]])], 255)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 1)
    hole = np.array([[200, 120, 220, 140], [165, 105, 185, 125]], float)
    loops = boxes()[:-1]
    found = in_captions(pixels, np.concatenate([loops, hole]))
    assert found.tolist() == [False] * len(loops) + [True, False]


def test_what_is_nearly_as_sharp_goes_where_it_lies_on_a_letter():
    canvas = frame(text=False, dtype=np.float32) * 1e3
    places = [(52, 122), (160, 120)]
    for place in places:
        spot = np.zeros(SHAPE, np.float32)
        cv2.circle(spot, place, 5, 0.40, -1)
        canvas -= cv2.GaussianBlur(spot, (0, 0), 0.8)
    letters = frame()
    pixels = np.round(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    pixels[letters == 255], pixels[letters == 0] = 255, 0
    spots = np.array([[x - 7, y - 7, x + 7, y + 9] for x, y in places], float)
    found = in_captions(pixels, np.concatenate([boxes(), LETTERS, spots]))
    assert found.tolist() == [False] * len(CENTRES) + [True, True, True, False]


def test_blurred_letters_go_where_several_stand_in_a_row():
    soft = frame(2.0, text=False)
    for left in (66, 90, 114):
        cv2.putText(soft, "5", (left, 150), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2, cv2.LINE_AA)
    soft[124:] = cv2.GaussianBlur(soft, (0, 0), 1.8)[124:]
    letters = np.array([[left, 129, left + 18, 152] for left in (66, 90, 114)], float)
    found = in_captions(soft, np.concatenate([boxes(), letters]))
    assert found.tolist() == [False] * len(CENTRES) + [True] * 3
    alone = in_captions(soft, np.concatenate([boxes(), letters[:2]]))
    assert not alone.any()


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (3, 3), (160, 240)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_frames_that_are_tiny_or_constant(shape, dtype):
    box = np.array([[0, 0, 1, 1]], float)
    assert not in_captions(np.zeros(shape, dtype), box).any()
    pixels = np.zeros(shape, dtype)
    pixels[0, 0] = 9
    assert not in_captions(pixels, box).any()
