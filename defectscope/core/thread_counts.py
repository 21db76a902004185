"""Numbers of threads that packages keep for the whole process, changed for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["ThreadCount"]


class ThreadCount:
    """How many threads a package uses in this process.

    Parameters
    ----------
    tell, change
        The package's own functions.
    """

    def __init__(self, tell: Callable[[], int], change: Callable[[int], object]) -> None:
        self._tell, self._change = tell, change
        # The garbage collector may end a use in the middle of another one's beginning.
        self._lock = threading.RLock()
        self._users = self._former = 0

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        """Change the number until the last of those who changed it at the same time is done.

        They may end in any order and in other threads than they began in: the lanes of a run do.
        """
        with self._lock:
            if not self._users:
                self._former = self._tell()
            self._users += 1
            self._change(count)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._change(self._former)
