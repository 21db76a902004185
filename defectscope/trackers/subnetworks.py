"""Large subnetworks of trackpy's linking, solved in polynomial time.

trackpy's own solvers try combinations of links one after the other, which takes ever longer where
particles are crowded. From a dozen particles on, the same least sum of squares is found as a linear
assignment here.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np
from trackpy.linking import SubnetOversizeException

__all__ = ["assigned_links"]

_creation = attrgetter("uuid")


def assigned_links(
    sources: list[Any], destinations: set[Any], search_range: float, max_size: int
) -> tuple[list[Any], list[Any]]:
    """Return the linked points of a subnetwork, paired; None stands for an end or a beginning.

    Parameters
    ----------
    sources
        Points of the frame before, in a fixed order, with their ``forward_cands``.
    destinations
        Points of the frame.
    search_range
        What a particle that ends costs, before squaring.
    max_size
        Most sources.

    Raises
    ------
    SubnetOversizeException
        There are more.
    """
    from scipy.optimize import linear_sum_assignment

    if len(sources) > max_size:
        raise SubnetOversizeException(f"Subnetwork contains {len(sources)} points")
    ordered = sorted(destinations, key=_creation)
    column = {point: k for k, point in enumerate(ordered)}
    # Every source may also end: a column of its own, at the cost of trackpy's null candidate.
    cost = np.full((len(sources), len(ordered) + len(sources)), np.inf)
    ends = np.arange(len(sources))
    cost[ends, len(ordered) + ends] = search_range**2
    for row, source in enumerate(sources):
        for point, distance in source.forward_cands:
            cost[row, column[point]] = distance**2
    rows, columns = linear_sum_assignment(cost)
    goes_to = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    linked = [ordered[goes_to[k]] if goes_to[k] < len(ordered) else None for k in goes_to]
    reached = {point for point in linked if point is not None}
    begun = [point for point in ordered if point not in reached]
    return [sources[k] for k in goes_to] + [None] * len(begun), linked + begun
