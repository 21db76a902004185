"""Where lines are cut back to the ends that the network sees."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.geometry.polylines import polyline_length
from defectscope.detectors.line_tracer.stopping import StopRules, along, stopped
from defectscope.detectors.line_tracer.targets import line_targets

SHAPE = (160, 160)
LINE = np.linspace([20.0, 80.0], [100.0, 80.0], 81)
# What a tracer that went on along a slip trace gives: 40 px too much, with a turn of 45°.
TRACE = np.linspace([100.7, 80.7], [128.0, 108.0], 40)


def seen(true, along_trace=0.0):
    """Return probabilities of ends and of lines."""
    targets = line_targets(true, SHAPE, 16)
    evidence = np.maximum(
        targets.presence.max(axis=0),
        along_trace * line_targets([TRACE], SHAPE, 16).presence.max(axis=0),
    )
    return targets.ends[0], evidence


@pytest.mark.parametrize("backwards", [False, True])
def test_what_goes_on_along_a_slip_trace_is_cut_off(backwards):
    ends, evidence = seen([LINE], along_trace=0.5)
    line = np.concatenate([LINE, TRACE])
    kept = stopped(line[::-1] if backwards else line, ends, evidence, StopRules())
    assert polyline_length(kept) == pytest.approx(80, abs=2)
    assert kept[0 if backwards else -1] == pytest.approx(LINE[-1], abs=1.5)


def test_a_line_that_runs_too_far_by_a_few_pixels_is_cut_to_its_end():
    ends, evidence = seen([LINE])
    line = np.linspace([16.0, 80.0], [104.0, 80.0], 60)
    assert polyline_length(stopped(line, ends, evidence, StopRules())) == pytest.approx(80, abs=1.5)


@pytest.mark.parametrize("too_far", [0.5, 2, 4])
def test_however_near_the_end_is_nothing_of_the_line_is_cut_off(too_far):
    ends, evidence = seen([LINE])
    line = np.linspace([20.0 - too_far, 80.0], [100.0, 80.0], 60)
    kept = stopped(line, ends, evidence, StopRules())
    assert kept[0, 0] == pytest.approx(20, abs=0.6)


def test_the_end_of_another_line_on_the_way_cuts_nothing():
    # It touches the line at two thirds of its way.
    other = np.linspace([75.0, 20.0], [75.0, 79.0], 60)
    ends, evidence = seen([LINE, other])
    assert ends[39:41, 36:39].max() > 0.5
    assert polyline_length(stopped(LINE, ends, evidence, StopRules())) == pytest.approx(80, abs=2.5)


def test_lines_without_ends_and_very_short_ones_stay_as_they_are():
    nothing = np.zeros((80, 80), np.float32)
    assert stopped(LINE, nothing, nothing + 1, StopRules()) is LINE
    short = LINE[:5]
    assert stopped(short, nothing + 1, nothing, StopRules()) is short


@pytest.mark.parametrize("count", [1, 1024, 40_000])
def test_values_are_looked_up_at_any_number_of_places(count):
    values = np.arange(40, dtype=np.float32) + np.zeros((30, 1), np.float32)
    x = np.random.default_rng(0).uniform(1, 79, count)
    found = along(values, np.stack([x, np.full(count, 20.0)], axis=1))
    # The centre of a cell of 2 px lies 1 px from its side.
    np.testing.assert_allclose(found, x / 2 - 0.5, atol=0.02)
