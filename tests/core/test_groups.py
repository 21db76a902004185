"""Groups from pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.groups import joined, ways_through


def test_what_is_joined_over_others_is_one_group():
    assert joined(6, [(4, 1), (3, 5), (1, 5)]) == [[0], [1, 3, 4, 5], [2]]
    assert joined(0, []) == []


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8))))
def test_every_number_is_in_one_group_and_pairs_are_together(pairs):
    groups = joined(9, pairs)
    assert sorted(k for group in groups for k in group) == list(range(9))
    of = {k: n for n, group in enumerate(groups) for k in group}
    assert all(of[a] == of[b] for a, b in pairs)
    assert joined(9, reversed(pairs)) == groups


def test_ways_take_the_first_joins_and_close_no_ring():
    # 0, 1, 2 end to end, the last backwards; what closes the ring or takes an end twice is left.
    ways = ways_through(4, [(1, 2), (3, 5), (4, 0), (1, 6)])
    assert ways == [[(0, False), (1, False), (2, True)], [(3, False)]]
    assert ways_through(0, []) == []
