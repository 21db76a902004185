"""The moving stage: drift, jumps, and a background that moves with it exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.generators.insitu_options import InSituLoopsOptions
from defectscope.generators.insitu_stage import grain, move_stage, shifted


def stage(length=50, seed=0, **options):
    return move_stage(InSituLoopsOptions(**options), length, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_offsets_are_drift_and_jumps(seed):
    moved = stage(seed=seed, drift_px_per_frame=0.4, jump_probability=0.2)
    assert np.hypot(*moved.velocity) == pytest.approx(0.4)
    steps = np.diff(moved.offsets, axis=0)
    np.testing.assert_allclose(steps, moved.velocity + moved.jumps[1:], atol=1e-12)
    sizes = np.hypot(*moved.jumps.T)
    jumped = sizes > 0
    assert not jumped[0]
    assert 2 <= jumped.sum() <= 20
    assert ((sizes[jumped] >= 3) & (sizes[jumped] <= 15)).all()
    events = moved.events()
    assert [e["frame"] for e in events] == np.flatnonzero(jumped).tolist()
    for event in events:
        assert event["moved_px"] == moved.jumps[event["frame"]].tolist()


def test_jumps_are_as_frequent_as_the_option_says():
    jumped = stage(20_000, jump_probability=0.05).jumps.any(axis=1)
    assert jumped.mean() == pytest.approx(0.05, abs=0.005)
    assert not stage(200).jumps.any()


def test_the_field_holds_every_view():
    moved = stage(drift_px_per_frame=2.0, jump_probability=0.1)
    low, high = moved.field((40, 60))
    for offset in moved.offsets:
        assert (low <= -offset + 1e-9).all()
        assert (high >= np.array([60, 40]) - offset - 1e-9).all()
    low, high = stage(1).field((40, 60))
    assert low.tolist() == [0, 0]
    assert high.tolist() == [60, 40]


@settings(max_examples=30)
@given(x=st.floats(-90, 90), y=st.floats(-90, 90))
def test_a_smooth_pattern_arrives_where_it_should(x, y):
    row, column = np.mgrid[:160, :180] + 0.5

    def pattern(dx, dy):
        return 0.5 + 0.2 * np.sin((column - dx) / 6) * np.cos((row - dy) / 5)

    moved = shifted(pattern(0, 0).astype(np.float32), np.array([x, y]))
    # Beyond the rim it goes on mirrored, which is another pattern.
    top, left = (max(0, int(np.ceil(v))) + 6 for v in (y, x))
    bottom, right = (side + min(0, int(v)) - 6 for side, v in ((160, y), (180, x)))
    inner = np.s_[top:bottom, left:right]
    np.testing.assert_allclose(moved[inner], pattern(x, y)[inner], rtol=0, atol=2e-6)


def test_whole_steps_change_no_value():
    canvas = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    np.testing.assert_array_equal(shifted(canvas, np.zeros(2)), canvas)
    moved = shifted(canvas, np.array([3.0, -2.0]))
    np.testing.assert_array_equal(moved[:18, 3:], canvas[2:, :27])
    # Mirrored at the rim, rim included, as often as needed.
    np.testing.assert_array_equal(moved[:18, :3], canvas[2:, 2::-1])
    np.testing.assert_array_equal(shifted(canvas, np.array([60.0, 400.0])), canvas)


def test_a_fraction_of_a_pixel_keeps_the_grain():
    canvas = grain((300, 300), 1.5, np.random.default_rng(0)).astype(np.float32)
    for part in (0.25, 0.5, 0.75):
        assert shifted(canvas, np.array([part, 0.5])).std() == pytest.approx(canvas.std(), rel=0.01)


def test_smooth_noise_has_unit_variance_and_neighbours_in_common():
    rng = np.random.default_rng(0)
    for sigma in (0.0, 0.8, 2.5):
        noise = grain((400, 400), sigma, rng)
        assert noise.std() == pytest.approx(1, abs=0.03)
        shared = float((noise[:, 1:] * noise[:, :-1]).mean())
        expected = np.exp(-1 / (4 * sigma**2)) if sigma else 0.0
        assert shared == pytest.approx(expected, abs=0.04)
