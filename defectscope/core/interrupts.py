"""What Ctrl-C must not break: other processes of the terminal, and what is being written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ctrl_c_ignored", "uninterrupted"]


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


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until what was finished is written, and take effect then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    watched = (signal.SIGINT, signal.SIGTERM)
    former = [signal.signal(number, lambda *given: waiting.append(given[0])) for number in watched]
    try:
        yield
    finally:
        for number, handler in zip(watched, former, strict=True):
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt
