"""What belongs together, from pairs that do."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["joined", "ways_through"]


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the groups of 0 ... count - 1 that pairs make, directly or over others.

    Parameters
    ----------
    count
        How many there are.
    pairs
        Two that belong together.

    Returns
    -------
    list of list of int
        Each in ascending order, in the order of their first members.
    """
    group = list(range(count))
    for a, b in pairs:
        old, new = max(group[a], group[b]), min(group[a], group[b])
        group = [new if own == old else own for own in group]
    return [[k for k in range(count) if group[k] == name] for name in dict.fromkeys(group)]


def ways_through(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[tuple[int, bool]]]:
    """Return the ways through things with two ends each, of which some are joined.

    Parameters
    ----------
    count
        How many there are; thing k has the ends 2k and 2k + 1.
    pairs
        Two ends to join, the best first. Where one is taken, or a ring would close, they are not.

    Returns
    -------
    list of list of (int, bool)
        For each way its things in order, and whether it runs through them backwards.
    """
    partner = [-1] * (2 * count)
    # The other end of the way that a free end belongs to.
    far = [end ^ 1 for end in range(2 * count)]
    for a, b in pairs:
        if partner[a] < 0 and partner[b] < 0 and far[a] != b:
            partner[a], partner[b] = b, a
            first, last = far[a], far[b]
            far[first], far[last] = last, first
    seen = [False] * count
    ways = []
    for end in range(2 * count):
        if partner[end] >= 0 or seen[end // 2]:
            continue
        way, here = [], end
        while here >= 0:
            thing = here // 2
            seen[thing] = True
            # Entered through its last end, a thing is run through backwards.
            way.append((thing, bool(here % 2)))
            here = partner[here ^ 1]
        ways.append(way)
    return ways
