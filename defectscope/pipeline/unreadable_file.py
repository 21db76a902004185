"""A file that is one damaged frame, because it cannot be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from defectscope.core.errors import DamagedFrameError
from defectscope.core.frames import FrameSequence

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["UnreadableFile"]


class UnreadableFile(FrameSequence):
    """One frame that cannot be read.

    Parameters
    ----------
    name
        The file's.
    reason
        What is said when it is read.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.indices, self.names, self.warnings = (0,), (name,), []
        self._reason = reason

    def read(self, position: int) -> NDArray[Any]:
        """Say why it cannot be read."""
        raise DamagedFrameError(self._reason)
