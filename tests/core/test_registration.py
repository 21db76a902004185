"""Registration against shifts that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from defectscope.core.errors import OptionError
from defectscope.core.registration import Registrar, RegistrationOptions, common_field


def scene(seed=0, side=420):
    """Grain of several sizes, as a specimen has."""
    import cv2

    rng = np.random.default_rng(seed)
    layers = [
        weight * cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), sigma) * sigma
        for sigma, weight in ((1.5, 1), (4, 2), (12, 2))
    ]
    picture = sum(layers)
    return (picture - picture.min()) / np.ptp(picture)


def seen(picture, x, y, shape=(256, 300), noise=0.02, seed=0):
    """What a camera shows when the specimen is shifted by (x, y) px."""
    import cv2

    move = np.float32([[1, 0, x - 60], [0, 1, y - 60]])
    view = cv2.warpAffine(picture, move, shape[::-1], flags=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0, noise, shape)
    return np.clip(255 * (view + grain), 0, 255).astype(np.uint8)


def test_drift_below_a_pixel_is_found():
    picture = scene()
    registrar = Registrar(RegistrationOptions(batch=4))
    true = [(0.3 * k, -0.55 * k) for k in range(12)]
    found = [registrar.add(seen(picture, x, y, seed=k)) for k, (x, y) in enumerate(true)]
    error = np.array([(shift.x, shift.y) for shift in found]) - true
    assert np.abs(error).max() < 0.35  # three references were carried on
    assert not any(shift.jump for shift in found)


def test_a_jump_is_marked_once_and_what_follows_is_not():
    picture = scene(1)
    registrar = Registrar()
    true = [(0, 0), (0.2, 0), (35, -22), (35.2, -22), (35, -22.3), (0, 0)]
    found = [registrar.add(seen(picture, x, y, seed=k)) for k, (x, y) in enumerate(true)]
    assert [shift.jump for shift in found] == [False, False, True, False, False, True]
    np.testing.assert_allclose([(s.x, s.y) for s in found], true, atol=0.25)


def test_large_frames_are_reduced_and_found_all_the_same():
    picture = scene(2, 1100)
    registrar = Registrar()
    registrar.add(seen(picture, 0, 0, (900, 900)))
    shift = registrar.add(seen(picture, 13.0, -7.5, (900, 900), seed=1))
    assert (shift.x, shift.y) == pytest.approx((13, -7.5), abs=0.3)


def test_a_frame_of_something_else_keeps_the_drift_of_the_one_before():
    picture = scene(3)
    registrar = Registrar()
    registrar.add(seen(picture, 0, 0))
    registrar.add(seen(picture, 2, 1, seed=1))
    other = registrar.add(seen(scene(99), 0, 0, seed=2))
    assert math.isnan(other.correlation)
    assert (other.x, other.y) == pytest.approx((2, 1), abs=0.2)
    after = registrar.add(seen(picture, 3, 1, seed=3))
    assert (after.x, after.y) == pytest.approx((3, 1), abs=0.2)


def test_a_fixed_pattern_of_the_camera_does_not_hold_the_specimen():
    picture = scene(4, 1100)
    rng = np.random.default_rng(0)
    pattern = rng.normal(0, 12, (800, 800))
    registrar = Registrar()
    frames = [
        np.clip(seen(picture, x, 0, (800, 800), 0.01, k) + pattern, 0, 255).astype(np.uint8)
        for k, x in enumerate((0, 9))
    ]
    registrar.add(frames[0])
    assert registrar.add(frames[1]).x == pytest.approx(9, abs=0.5)


STEPS = [(0, 0), (2, 4), (4, 8), (6, 12), (8, 16), (10, 20)]
DARK = None


def series(places):
    """Small frames (found within 1 px) of a scene at these places, of noise, or of a scale bar."""
    picture, shape = scene(6, 700), (160, 200)
    for k, place in enumerate(places):
        if isinstance(place, int):
            yield np.random.default_rng(place).integers(0, 12, shape, dtype=np.uint8)
        elif place is DARK:
            dark = np.random.default_rng(k).integers(0, 4, shape, dtype=np.uint8)
            dark[140:150, 20:90] = 255
            yield dark
        else:
            yield seen(picture, *place, shape, seed=k)


def registered(places, options=None):
    """Return the shifts, after a check that it can be gone on with at any of the frames."""
    options = options or RegistrationOptions()
    frames = list(series(places))
    registrar = Registrar(options)
    found = [registrar.add(frame) for frame in frames]
    for cut in range(1, len(frames)):
        other = Registrar.after(options, found[:cut], frames.__getitem__)
        # What a reference decides shows in the frames that follow.
        end = cut + 4
        assert repr([other.add(frame) for frame in frames[cut:end]]) == repr(found[cut:end])
    return found, np.array([shift[:2] for shift in found])


def test_a_first_frame_that_shows_nothing_leaves_the_origin_to_the_second():
    found, at = registered([77, *STEPS])
    np.testing.assert_allclose(at[1:], STEPS, atol=1)
    assert [math.isnan(shift.correlation) for shift in found] == [False, True] + [False] * 5
    assert not any(shift.jump for shift in found)
    # Of two that show nothing alike, the first leaves it to the third.
    np.testing.assert_allclose(registered([77, 78, *STEPS])[1][2:], STEPS, atol=1)


def test_a_second_frame_that_shows_nothing_is_passed_over():
    found, at = registered([STEPS[0], 77, *STEPS[1:]])
    np.testing.assert_allclose(at, [STEPS[0], STEPS[0], *STEPS[1:]], atol=1)
    assert not any(shift.jump for shift in found)


@pytest.mark.parametrize("batch", [2, 20])
def test_after_a_jump_of_more_than_half_a_frame_registration_goes_on(batch):
    far = [(x - 300, y - 250) for x, y in STEPS]
    found, at = registered([*STEPS[:3], *far, *STEPS[:2]], RegistrationOptions(batch=batch))
    lost = [math.isnan(shift.correlation) for shift in found]
    assert lost == [False] * 3 + [True] * 3 + [False] * 5
    # The third frame there is taken to lie where the last one before lay.
    np.testing.assert_allclose(at[3:6], [STEPS[2]] * 3, atol=1)
    np.testing.assert_allclose(at[5:9] - at[5], np.array(STEPS[2:]) - STEPS[2], atol=1)
    # The stage comes back.
    np.testing.assert_allclose(at[9:], STEPS[:2], atol=1)
    assert np.flatnonzero([shift.jump for shift in found]).tolist() == [5, 9]


def test_a_closed_shutter_that_shows_a_scale_bar_does_not_lose_the_place():
    given = [*STEPS[:2], *[DARK] * 7, *STEPS[2:4], *[DARK] * 2, *STEPS[4:]]
    found, at = registered(given, RegistrationOptions(batch=3))
    true = [(k, place) for k, place in enumerate(given) if place is not DARK]
    np.testing.assert_allclose(at[[k for k, _ in true]], [place for _, place in true], atol=1)
    assert np.flatnonzero([shift.jump for shift in found]).tolist() == [4, 9, 11, 13]


def test_lost_frames_that_are_not_alike_are_no_reference():
    found, at = registered([*STEPS[:2], 71, 72, 73, 74, *STEPS[2:]])
    np.testing.assert_allclose(at[6:], STEPS[2:], atol=1)
    assert not any(shift.jump for shift in found)


def test_frames_of_another_size_and_bad_options_are_refused():
    registrar = Registrar()
    registrar.add(np.eye(64))
    with pytest.raises(OptionError, match="one size; found 64 x 32"):
        registrar.add(np.eye(32, 64))
    with pytest.raises(OptionError, match="at least 1 frame"):
        RegistrationOptions(batch=0)
    with pytest.raises(OptionError, match="longer than 0 px"):
        RegistrationOptions(jump_px=0)


def test_the_common_field_is_what_all_frames_show():
    shifts = np.array([[0.0, 0.0], [10.0, -4.0], [-3.0, 2.0]])
    assert common_field(shifts, (0, 0, 100, 80)) == (3.0, 4.0, 90.0, 78.0)
    assert common_field(np.array([[0.0, 0], [200, 0]]), (0, 0, 100, 80)) is None
