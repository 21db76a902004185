"""Gaps between pieces of lines."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from defectscope.detectors.line_tracer.joining import JoinRules, join_chains


def always(start, stop):
    return np.ones(len(start))


def dashes(count, y=10.0, gap_px=8.0):
    """Return pieces of 20 px of one straight line."""
    starts = np.arange(count) * (20 + gap_px)
    return [np.stack([x + np.arange(0, 21, 2.0), np.full(11, y)], axis=1) for x in starts]


def test_pieces_of_one_line_are_joined_in_order_whichever_way_they_run():
    pieces = dashes(5)
    given = [pieces[3], pieces[0][::-1], pieces[4], pieces[2], pieces[1][::-1]]
    (line,) = join_chains(given, always, JoinRules())
    found = [given[k][::-1] if back else given[k] for k, back in line]
    x = np.concatenate(found)[:, 0]
    assert (np.diff(x) > 0).all() or (np.diff(x) < 0).all()


@pytest.mark.parametrize(("gap_px", "lines"), [(9.0, 1), (8.0, 1), (7.9, 3)])
def test_gaps_up_to_the_limit_are_closed(gap_px, lines):
    assert len(join_chains(dashes(3), always, JoinRules(gap_px=gap_px))) == lines


def test_a_circle_of_pieces_stays_open_at_one_place():
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    pieces = [
        200 + 100 * np.stack([np.cos(t), np.sin(t)], axis=1)
        for t in (np.linspace(a, a + 0.7, 40) for a in angles)
    ]
    (line,) = join_chains(pieces, always, JoinRules())
    assert sorted(k for k, _ in line) == list(range(8))


def test_memory_does_not_grow_with_the_square_of_the_number_of_pieces():
    pieces = [piece for y in range(1500) for piece in dashes(2, 20.0 * y)]
    tracemalloc.start()
    try:
        assert len(join_chains(pieces, always, JoinRules())) == 1500
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()
