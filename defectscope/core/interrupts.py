"""Processes that Ctrl-C must not reach: it is sent to every one of a terminal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ctrl_c_ignored"]


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """Let processes be started that Ctrl-C does not reach: their parent decides what to do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former or signal.SIG_DFL)
