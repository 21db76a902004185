"""What belongs together, from pairs that do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["joined", "walked"]


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


def walked(partner: Sequence[int]) -> list[list[tuple[int, bool]]]:
    """Return the ways through things with two ends each, of which some are joined.

    Parameters
    ----------
    partner
        (2n,) the end that an end is joined to, or -1; thing k has the ends 2k and 2k + 1. Joins
        make no rings.

    Returns
    -------
    list of list of (int, bool)
        For each way its things in order, and whether it runs through them backwards.
    """
    seen = [False] * (len(partner) // 2)
    ways = []
    for end in range(len(partner)):
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
