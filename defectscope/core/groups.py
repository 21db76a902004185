"""What belongs together, from pairs that do."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["joined"]


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
