"""A synthetic sample while it is drawn: one frame at a time, however long a sequence is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.instances import Instances

__all__ = ["DrawnFrame", "Sample"]


@dataclass(frozen=True)
class DrawnFrame:
    """One image of a sample and its truth.

    Parameters
    ----------
    name
        File name without suffix.
    pixels
        (H, W) uint8 or uint16.
    truth
        What was drawn and is to be found.
    frame
        Index in a sequence, or None.
    pixel_size_nm, dose_dpa
        Where they are known.
    """

    name: str
    pixels: NDArray[Any]
    truth: Instances
    frame: int | None = None
    pixel_size_nm: float | None = None
    dose_dpa: float | None = None


class Sample:
    """The frames of a sample, drawn as they are read; they can be read once.

    Parameters
    ----------
    record
        What makes the sample; complete when `frames` is at its end.
    frames
        Draws one frame after the other.
    """

    def __init__(self, record: dict[str, Any], frames: Iterator[DrawnFrame]) -> None:
        self.number = int(record["number"])
        self._record, self._frames = record, frames

    def __iter__(self) -> Iterator[DrawnFrame]:
        digest = hashlib.sha256()
        for frame in self._frames:
            digest.update(frame.pixels.tobytes())
            yield frame
        self._record.setdefault("pixels_sha256", digest.hexdigest())

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything that made the sample, and the digest of its pixels.

        Raises
        ------
        RuntimeError
            Not all frames were drawn, so that not everything is known.
        """
        if "pixels_sha256" not in self._record:
            raise RuntimeError("the parameters of a sample are complete after its last frame")
        return self._record
