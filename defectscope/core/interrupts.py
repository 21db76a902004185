"""What Ctrl-C must not break: other processes of the terminal, and what is being written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "HANGUP", "ctrl_c_ignored", "deaf_to_terminal", "heeded_signals", "ignore_hangup",
    "uninterrupted",
]  # fmt: skip

# The terminal is closed, as where a connection is lost. A shell tells all of its programs, and
# the kernel may tell them once more. Windows has none.
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
# Of Windows.
CTRL_BREAK: signal.Signals | None = getattr(signal, "SIGBREAK", None)
# Those that reach every process of a terminal.
OF_TERMINAL = tuple(n for n in (signal.SIGINT, HANGUP, CTRL_BREAK) if n is not None)
# With the end of a batch job.
STOPPING = (*OF_TERMINAL, signal.SIGTERM)


def heeded_signals() -> list[signal.Signals]:
    """Return the signals that shall end the program, but for those it is deaf to on purpose.

    A shell starts programs in the background deaf to Ctrl-C, and ``nohup`` to the end of the
    terminal. Handlers that were not set from Python are None, and cannot be put back.
    """
    deaf = (signal.SIG_IGN, None)
    return [number for number in STOPPING if signal.getsignal(number) not in deaf]


def ignore_hangup() -> None:
    """Ignore from now on that the terminal is closed: the program is being stopped already.

    Told of it once more, it must not break off what it keeps for that sake.
    """
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_IGN)


def deaf_to_terminal() -> None:
    """Ignore, in a process that works for another, what the other one decides about."""
    for number in OF_TERMINAL:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """Let processes be started that Ctrl-C does not reach, nor the end of their terminal.

    Their parent decides what to do. Children that Python starts by itself are among them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, signal.SIG_IGN) for number in OF_TERMINAL}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler or signal.SIG_DFL)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and its like wait until what was finished is written, and take effect then."""
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
    if HANGUP in waiting:
        ignore_hangup()
    if waiting:
        raise KeyboardInterrupt
