"""Second tries where Windows denies a file that another program holds for a moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["patiently"]

T = TypeVar("T")

# Virus scanners let go after some tenths of a second.
PATIENCE_S, PAUSE_S = 2.0, 0.05


def patiently(act: Callable[[], T]) -> T:
    """Return what `act` returns; where Windows denies it, it is called again for two seconds.

    Elsewhere a file that somebody reads can be replaced and written to: a denial is final.

    Parameters
    ----------
    act
        What leaves everything as it was where it raises PermissionError.
    """
    may_pass, end = sys.platform == "win32", time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except PermissionError:
            if not may_pass or time.monotonic() >= end:
                raise
            time.sleep(PAUSE_S)
