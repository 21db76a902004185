"""How sizes of loops change: laws in pieces, each begun by an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LAWS", "Growth", "Segment"]

# By the power of the major axis that changes steadily; the first is no such law.
LAWS = {"saturating": 0, "linear": 1, "parabolic": 2}
RATES = {"linear": "rate_px_per_frame", "parabolic": "rate_px2_per_frame"}


@dataclass(frozen=True)
class Segment:
    """One law that a loop's major axis d follows until the next begins.

    With t in frames and age = t - start:
    ``saturating``: d = start_px + (final_px - start_px)·(1 - exp(-age / tau));
    ``linear``: d = start_px + rate·age;  ``parabolic``: d² = start_px² + rate·age.
    A negative rate is shrinkage, and d is never below 0.

    Parameters
    ----------
    law
        A key of `LAWS`.
    start
        Time at which it begins, frames; need not be whole, and is negative before the sequence.
    start_px
        Major axis then, px.
    final_px, tau
        Approached size in px, and time constant in frames, of ``saturating``.
    rate
        In px a frame (``linear``) or px² a frame (``parabolic``).
    """

    law: str
    start: float
    start_px: float
    final_px: float = np.nan
    tau: float = np.nan
    rate: float = np.nan

    @classmethod
    def reaching(
        cls, law: str, start: float, start_px: float, end_px: float, span: float
    ) -> Segment:
        """Return the ``linear`` or ``parabolic`` law that leads to `end_px` after `span` frames."""
        power = LAWS[law]
        return cls(law, start, start_px, rate=(end_px**power - start_px**power) / span)

    def resized(self, time: float, now_px: float, before_px: float) -> Segment:
        """Return what the law becomes when a meeting changes the size at `time`.

        Rates and time constants stay; a final size gains or loses the same area.
        """
        final = np.sqrt(self.final_px**2 + now_px**2 - before_px**2)
        return Segment(self.law, time, now_px, float(final), self.tau, self.rate)

    def as_dict(self) -> dict[str, Any]:
        """Return the constants that the law has, with their units."""
        record: dict[str, Any] = {
            "law": self.law, "start_frame": self.start, "start_px": self.start_px,
        }  # fmt: skip
        if self.law == "saturating":
            return record | {"final_px": self.final_px, "tau_frames": self.tau}
        return record | {RATES[self.law]: self.rate}


class Growth:
    """The major axes of n loops.

    Parameters
    ----------
    segments
        The first law of each loop.
    """

    def __init__(self, segments: list[Segment]) -> None:
        self.history = [[segment] for segment in segments]
        # The laws that hold now, as arrays: all sizes of a frame come from them at once.
        self._power = np.array([LAWS[s.law] for s in segments], int)
        columns = [[s.start, s.start_px, s.final_px, s.tau, s.rate] for s in segments]
        self._values = np.array(columns, float).reshape(-1, 5)

    def begin(self, loop: int, segment: Segment) -> None:
        """Let a loop follow another law from now on."""
        self.history[loop].append(segment)
        self._power[loop] = LAWS[segment.law]
        self._values[loop] = (
            segment.start, segment.start_px, segment.final_px, segment.tau, segment.rate,
        )  # fmt: skip

    def resize(self, loop: int, time: float, major_px: float) -> None:
        """Change the size of a loop at once, as when it takes another one in."""
        before = float(self.major(time, loop))
        self.begin(loop, self.history[loop][-1].resized(time, major_px, before))

    def major(
        self, time: float, loops: int | NDArray[np.intp] | slice = slice(None)
    ) -> NDArray[np.float64]:
        """Return the full major axes at `time`, px: 0 before birth and after shrinkage."""
        power = self._power[loops]
        start, first, final, tau, rate = self._values[loops].T
        age = np.maximum(time - start, 0)
        saturating = first - (final - first) * np.expm1(-age / tau)
        linear = np.maximum(first + rate * age, 0)
        parabolic = np.sqrt(np.maximum(first**2 + rate * age, 0))
        return np.asarray(np.choose(power, (saturating, linear, parabolic)), float)

    def vanishing_time(self, loop: int) -> float:
        """Return when a shrinking loop's size is 0, frames."""
        law = self.history[loop][-1]
        return law.start + law.start_px ** LAWS[law.law] / -law.rate
