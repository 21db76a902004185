"""K/N: what is a vote, and what it needs where frames are missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.errors import OptionError
from defectscope.core.votes import Vote


@pytest.mark.parametrize("given_as", ["6/9", " 6 / 9 ", (6, 9), [6, 9], Vote(6, 9)])
def test_ways_to_write_a_vote(given_as):
    vote = Vote.parse(given_as)
    assert vote == Vote(6, 9)
    assert str(vote) == "6/9"


@pytest.mark.parametrize("text", ["9/6", "0/3", "6", "6/9/2", "a/b", "", "-1/3", (1,), (0, 0), 5])
def test_what_is_no_vote(text):
    with pytest.raises(OptionError, match=r"K/N, with 1 <= K <= N.*such as 6/9; found"):
        Vote.parse(text)


@pytest.mark.parametrize(
    ("window", "before", "after"), [(1, 0, 0), (2, 1, 0), (3, 1, 1), (8, 4, 3), (9, 4, 4)]
)
def test_an_even_window_has_one_more_before(window, before, after):
    vote = Vote(1, window)
    assert (vote.before, vote.after) == (before, after)
    assert before + after + 1 == window


@pytest.mark.parametrize(("frames", "needed"), [(9, 6), (8, 6), (5, 4), (4, 3), (2, 2), (1, 1)])
def test_needed_shrinks_with_the_window_and_is_rounded_up(frames, needed):
    assert Vote(6, 9).needed_of(frames) == needed


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_needed_is_possible_in_every_window(pair):
    vote = Vote(*pair)
    assert vote.needed_of(vote.window) == vote.needed
    assert all(1 <= vote.needed_of(n) <= n for n in range(1, vote.window + 1))
