from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import trackpy
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.errors import OptionError
from defectscope.trackers.ordered_linker import link_positions

CROWDED = """
import numpy as np
def crowded(seed=0, frames=40, count=60, side=110, grid=0.5):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, side, (frames * count, 2))
    if grid:
        positions = np.round(positions / grid) * grid
    return np.repeat(np.arange(frames), count), positions
"""
exec(CROWDED)  # the same table in this process and in others


def numbered(tracks):
    """Tracks numbered by first appearance, so that results can be compared."""
    return pd.factorize(np.asarray(tracks))[0]


def bare(frames, positions, search_range, **options):
    """What trackpy itself does; empty frames included."""
    trackpy.quiet()
    levels = (positions[frames == f] for f in range(frames.min(), frames.max() + 1))
    linked = trackpy.link_iter(levels, search_range, **options)
    return numbered([i for _, ids in linked for i in ids])


def repeats(link, count):
    """Distinct results of repeated linking, while objects move about in memory."""
    rng = np.random.default_rng(1)
    results, junk = set(), []
    for _ in range(count):
        junk.append([object() for _ in range(int(rng.integers(20_000)))])
        if len(junk) > 2:
            del junk[int(rng.integers(len(junk)))]
        results.add(link().tobytes())
    return len(results)


def test_equal_costs_are_decided_the_same_way_every_time():
    frames, positions = crowded()  # noqa: F821
    options = {"memory": 3}
    # The control: without order, the very same table gives different tracks.
    assert repeats(lambda: bare(frames, positions, 5.0, **options), 8) > 1
    assert repeats(lambda: numbered(link_positions(frames, positions, 5.0, **options)), 8) == 1


def test_adaptive_search_is_repeatable_too():
    frames, positions = crowded(count=110)  # noqa: F821
    options = {"memory": 2, "adaptive_stop": 1.0, "adaptive_step": 0.9}
    assert repeats(lambda: numbered(link_positions(frames, positions, 6.0, **options)), 5) == 1


def test_remembered_particles_compete_in_the_same_order_every_time():
    # Twelve at equal distance around each of twenty places; trackpy considers the ten nearest.
    near = [(3, 4), (4, 3), (5, 0), (0, 5)]
    ring = {(a * x, b * y) for x, y in near for a in (1, -1) for b in (1, -1)}
    places = np.array([(50 * k, 0) for k in range(20)])
    rings = np.concatenate([place + sorted(ring) for place in places])
    positions = np.concatenate([rings, [[0, 500]], places]).astype(float)
    frames = np.repeat([0, 1, 2], [len(rings), 1, len(places)])
    assert len(ring) == 12
    assert repeats(lambda: link_positions(frames, positions, 6.0, memory=3), 8) == 1


PROGRAM = (
    CROWDED
    + """
import hashlib
junk = [object() for _ in range(int(np.random.default_rng().integers(200_000)))]
from defectscope.trackers.ordered_linker import link_positions
print(hashlib.sha256(link_positions(*crowded(), 5.0, memory=3).tobytes()).hexdigest())
"""
)


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_processes_agree(seed):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    here = link_positions(*crowded(), 5.0, memory=3).tobytes()  # noqa: F821
    assert done.stdout.strip() == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize("strategy", ["recursive", "nonrecursive"])
@pytest.mark.parametrize("seed", range(4))
def test_the_links_are_those_of_trackpy_where_no_costs_are_equal(strategy, seed):
    frames, positions = crowded(seed, grid=None)  # noqa: F821
    ours = numbered(link_positions(frames, positions, 5.0, memory=3))
    expected = bare(frames, positions, 5.0, memory=3, link_strategy=strategy)
    np.testing.assert_array_equal(ours, expected)
    assert len(set(ours)) < len(ours)


@settings(max_examples=40)
@given(
    gaps=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    memory=st.integers(0, 4),
    seed=st.integers(0, 1000),
)
def test_long_gaps_are_cut_short_without_a_difference(gaps, memory, seed):
    rng = np.random.default_rng(seed)
    indices = np.cumsum([-3, *gaps])
    frames = np.repeat(indices, rng.integers(1, 6, len(indices)))
    positions = rng.uniform(0, 12, (len(frames), 2))
    ours = numbered(link_positions(frames, positions, 4.0, memory=memory))
    np.testing.assert_array_equal(ours, bare(frames, positions, 4.0, memory=memory))


def test_memory_bridges_exactly_its_frames_whatever_the_numbers():
    here = np.zeros((2, 2))
    for start in (0, -(2**62), 2**62):
        bridged = link_positions(np.array([start, start + 4]), here, 5.0, memory=3)
        ended = link_positions(np.array([start, start + 5]), here, 5.0, memory=3)
        assert bridged[0] == bridged[1]
        assert ended[0] != ended[1]
    far = link_positions(np.array([-(2**62), 2**62]), here, 5.0, memory=3)
    assert far[0] != far[1]


def test_threads_do_not_mix_their_tracks():
    tables = [crowded(seed, frames=15) for seed in range(6)]  # noqa: F821
    alone = [link_positions(*table, 5.0, memory=3) for table in tables]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(6) as pool:
            together = list(pool.map(lambda table: link_positions(*table, 5.0, memory=3), tables))
    finally:
        sys.setswitchinterval(before)
    for expected, found in zip(alone, together, strict=True):
        np.testing.assert_array_equal(numbered(expected), numbered(found))


def test_crowds_are_named_by_frame_and_adaptive_search_gets_through(monkeypatch):
    monkeypatch.setattr("defectscope.trackers.ordered_linker.LARGEST_SUBNETWORK", 40)
    rng = np.random.default_rng(0)
    few, many = rng.uniform(0, 500, (5, 2)), rng.uniform(0, 20, (60, 2))
    frames = np.repeat([3, 7, 8], [5, 60, 60])
    positions = np.concatenate([few, many, many + 0.1])
    with pytest.raises(OptionError, match=r"frame 8 .*search_range_px = 9; .*adaptive_stop_px"):
        link_positions(frames, positions, 9.0)
    tracks = link_positions(frames, positions, 9.0, adaptive_stop=0.2)
    np.testing.assert_array_equal(tracks[5:65], tracks[65:])


def test_nothing_gives_nothing():
    assert link_positions(np.zeros(0, np.int64), np.zeros((0, 2)), 5.0).tolist() == []
