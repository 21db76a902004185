"""Keeping what plugins print away from stdout, where data goes."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO, cast

__all__ = ["quiet_stdout"]

_lock = threading.Lock()


class _Noticed:
    """True once something was printed."""

    written = False

    def __bool__(self) -> bool:
        return self.written


class _Lost(io.TextIOBase):
    """Takes what is printed by a program without a console, which has no streams."""

    def write(self, text: str) -> int:
        return len(text)


class _Quiet:
    """Stands in the place of stdout: hands on to stderr while anybody asks for that.

    Several threads share one, for each would put back what it found, in any order.
    """

    def __init__(self, before: TextIO | None) -> None:
        self.before = before
        self.asking: list[_Noticed] = []

    def write(self, text: str) -> int:
        for noticed in tuple(self.asking):
            noticed.written = noticed.written or bool(text)
        return self._stream().write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)

    def _stream(self) -> TextIO | _Lost:
        # Somebody else may have kept this as the stdout to put back.
        stream = sys.stderr if self.asking else self.before
        return _Lost() if stream is None else stream


@contextlib.contextmanager
def quiet_stdout() -> Iterator[_Noticed]:
    """Send what plugins print to stderr: it must not mix with data on stdout.

    Yields
    ------
    object
        True once something was printed.
    """
    noticed = _Noticed()
    with _lock:
        found: Any = sys.stdout
        quiet = found if isinstance(found, _Quiet) else _Quiet(found)
        quiet.asking.append(noticed)
        sys.stdout = cast("TextIO", quiet)
    try:
        yield noticed
    finally:
        with _lock:
            quiet.asking = [other for other in quiet.asking if other is not noticed]
            if not quiet.asking and cast("Any", sys.stdout) is quiet:
                sys.stdout = quiet.before
