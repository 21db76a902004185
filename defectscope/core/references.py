"""What registration compares a frame with, carried on from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from defectscope.core.registration import Shift

__all__ = ["ALIKE_LOST", "References"]

# So many frames in a row that fit nothing before them, but each other, are where the specimen is.
ALIKE_LOST = 3

View = TypeVar("View")
Other = TypeVar("Other")


@dataclass
class References(Generic[View]):
    """The frames that the next one is compared with.

    It follows from the shifts alone which these are, so that a registration can go on from a table.

    Parameters
    ----------
    batch
        Frames that are compared with one reference before the next one takes over.
    reference, reference_at
        The reference, and where it lies, px; None before the first frame.
    before, at
        The last frame that fitted, None while none has fitted the first one; and where it lies, or
        is taken to lie, px.
    former, former_at
        The reference before the last jump: a shutter opens again, a stage comes back.
    lost
        The last frames since then that fitted nothing, at most ``ALIKE_LOST - 1``.
    since
        Frames since the reference.
    """

    batch: int
    reference: View | None = None
    reference_at: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    before: View | None = None
    at: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    former: View | None = None
    former_at: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    lost: tuple[View, ...] = ()
    since: int = 0

    def take(self, view: View, shift: Shift) -> None:
        """Go on to the frame after `view`, which has this shift."""
        self.at = np.array([shift.x, shift.y])
        if self.reference is None:
            self.reference = view
            return
        self.since += 1
        fits = math.isfinite(shift.correlation)
        # The first to fit after lost ones at the beginning may fit these and not the first one.
        anew = shift.jump or (fits and self.before is None and len(self.lost) > 0)
        if not fits and not anew:
            self.lost = (*self.lost, view)[1 - ALIKE_LOST :]
            return
        if anew:
            self.former, self.former_at = self.reference, self.reference_at
        if anew or self.since >= self.batch:
            self.reference, self.reference_at, self.since = view, self.at, 0
        self.before, self.lost = view, ()

    def replaced(self, other: Callable[[View], Other]) -> References[Other]:
        """Return the same with other views, each asked for once."""
        views = [self.reference, self.before, self.former, *self.lost]
        known = {view: other(view) for view in dict.fromkeys(views) if view is not None}
        reference, before, former, *lost = (None if v is None else known[v] for v in views)
        return References(
            self.batch, reference, self.reference_at, before, self.at, former, self.former_at,
            tuple(view for view in lost if view is not None), self.since,
        )  # fmt: skip
