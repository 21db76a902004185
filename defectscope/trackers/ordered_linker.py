"""trackpy's linker, made to give one result for one table.

trackpy keeps its points in Python sets, which are ordered by memory address. Where two ways of
linking cost the same (positions on a half-pixel grid do this often), the order decides, and
the same table links differently from run to run. Only two of those orders reach the result:

- the order of the source points of a subnetwork, in which their candidates are tried;
- the order in which remembered points join the source points of the next frame.

Both are put into the order of the rows here, through what trackpy's ``Linker`` offers for it: a
callable link strategy, and a method that subclasses may override. No class of trackpy is changed.

trackpy's own solvers try combinations of links one after the other, which takes ever longer where
particles are crowded. From a dozen particles on, the same least sum of squares is found as a linear
assignment here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from trackpy.linking import Linker, SubnetOversizeException
from trackpy.linking.subnetlinker import subnet_linker_nonrecursive

from defectscope.core.errors import OptionError
from defectscope.core.frame_steps import steps_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OrderedLinker", "link_positions"]

# trackpy numbers points and tracks with counters of their classes, which every linker resets:
# two threads that link at once would share them, and merge each other's tracks.
_COUNTERS = threading.Lock()
_creation = attrgetter("uuid")
# More sources than this are assigned at once; up to here trackpy's way is quick, and ties are
# decided as it decides them.
TRIED_ONE_BY_ONE = 12
# An assignment of so many takes about a second.
LARGEST_SUBNETWORK = 1000


def link_positions(
    frames: NDArray[np.int64],
    positions: NDArray[np.float64],
    search_range: float,
    frame_step: int = 1,
    **settings: Any,
) -> NDArray[np.int64]:
    """Return the track of each position; tracks count from 0 by first appearance.

    Parameters
    ----------
    frames
        (n,) frame indices in ascending order; a step that is left out is an empty frame.
    positions
        (n, 2) positions in px.
    search_range
        How far a particle may move from one frame to the next, in px.
    frame_step
        Difference of the indices of two successive frames.
    **settings
        ``memory`` (frames), ``adaptive_stop`` (px) and ``adaptive_step`` of trackpy.

    Raises
    ------
    OptionError
        Too many particles of one frame compete for the same places.
    """
    tracks = np.empty(len(frames), np.int64)
    with _COUNTERS:
        linker = OrderedLinker(search_range, **settings)
        for start, stop in _levels(frames, linker.memory, frame_step):
            step = linker.next_level if start else linker.init_level
            try:
                step(positions[start:stop], None)
            except SubnetOversizeException as error:
                raise OptionError(_crowded(int(frames[start]), search_range)) from error
            tracks[start:stop] = linker.particle_ids
    # trackpy numbers the tracks that begin in one frame in the order of a set.
    return pd.factorize(tracks)[0].astype(np.int64, copy=False)


class OrderedLinker(Linker):  # type: ignore[misc]
    """trackpy's ``Linker``, whose result depends on the order of the points alone.

    trackpy's other solvers find the same links, except where two ways of linking cost exactly the
    same: its recursive one then decides by rounding errors that it has piled up on the way.
    """

    mem_set: Any

    def __init__(self, search_range: float, **settings: Any) -> None:
        super().__init__(search_range, link_strategy=_solve_in_order, **settings)

    def update_hash(self, coords: NDArray[np.float64], t: Any, extra_data: Any = None) -> Any:
        """Take up a frame; return the points before it, with remembered ones in their order."""
        remembered = self.mem_set
        self.mem_set = sorted(remembered, key=_creation)
        previous = super().update_hash(coords, t, extra_data)
        self.mem_set = remembered
        return previous


def _solve_in_order(
    sources: set[Any], destinations: set[Any], search_range: float, max_size: int
) -> tuple[list[Any], list[Any]]:
    """Return the linked points of a subnetwork, paired; None stands for an end or a beginning.

    The set of destinations needs no order: those left over only start tracks of their own.
    """
    if len(sources) == 1 == len(destinations):  # nearly all are, so this is worth a short cut
        return [*sources], [*destinations]
    ordered = sorted(sources, key=_creation)
    if len(ordered) > TRIED_ONE_BY_ONE and max_size == Linker.MAX_SUB_NET_SIZE:
        return _assigned(ordered, destinations, search_range, LARGEST_SUBNETWORK)
    links: tuple[list[Any], list[Any]] = subnet_linker_nonrecursive(
        ordered, destinations, search_range, max_size=max_size
    )
    return links


def _assigned(
    sources: list[Any], destinations: set[Any], search_range: float, max_size: int
) -> tuple[list[Any], list[Any]]:
    """Return what :func:`_solve_in_order` does, in polynomial time.

    `sources`, in a fixed order, know their ``forward_cands``; one that ends costs `search_range`,
    before squaring.
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


def _levels(frames: NDArray[np.int64], memory: int, frame_step: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the rows of every frame, also of empty frames in between.

    Once a gap is longer than the memory nothing is remembered, so more empty frames of it
    would change nothing; there may be billions of them.
    """
    if not len(frames):
        return
    changes = (np.flatnonzero(frames[1:] != frames[:-1]) + 1).tolist()
    for start, stop in zip([0, *changes], [*changes, len(frames)], strict=True):
        # Of Python's own numbers: the difference of two indices may be larger than numpy's.
        apart = int(frames[start]) - int(frames[start - 1]) if start else 0
        for _ in range(min(steps_between(apart, frame_step) - 1, memory + 1)):
            yield start, start
        yield start, stop


def _crowded(frame: int, search_range: float) -> str:
    return (
        f"too many particles compete for the same links in frame {frame} within "
        f"search_range_px = {search_range:g}; make that smaller, or set adaptive_stop_px so that "
        "it shrinks by itself where particles are crowded"
    )
