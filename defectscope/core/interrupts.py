"""What Ctrl-C must not break: other processes of the terminal, and what is being written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ctrl_c_ignored", "heeded_signals", "uninterrupted"]

# Ctrl-C, and the end of a batch job.
STOPPING = (signal.SIGINT, signal.SIGTERM)


def heeded_signals() -> list[signal.Signals]:
    """Return the signals that shall end the program, but for those it is deaf to on purpose.

    A shell starts programs in the background deaf to Ctrl-C. Handlers that were not set from
    Python are None, and cannot be put back.
    """
    deaf = (signal.SIG_IGN, None)
    return [number for number in STOPPING if signal.getsignal(number) not in deaf]


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
    former = {number: signal.getsignal(number) for number in heeded_signals()}
    for number in former:
        signal.signal(number, lambda *given: waiting.append(given[0]))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt
