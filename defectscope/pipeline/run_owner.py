"""Which process is at work in a folder, told to others by a small file."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from defectscope.core.errors import OutputError

if TYPE_CHECKING:
    from defectscope.pipeline.session import Progress

__all__ = ["OWNER", "RunOwner", "other_owner", "write_owner"]

OWNER = ".run-owner"
# Of a process on another host nobody sees whether it lives, but one at work says so every minute.
QUIET_S, KEEP_S = 600.0, 60.0


class RunOwner:
    """Which process works on the run in a folder.

    Parameters
    ----------
    folder
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / OWNER
        self._taken_s = -math.inf

    def expect_no_other(self) -> None:
        """Refuse to touch a run that another process is at work on.

        Raises
        ------
        OutputError
            It is, or it was a moment ago on another host.
        """
        if other := other_owner(self._path, QUIET_S):
            raise OutputError(
                f"another run is at work in {self._folder} ({other}); wait for its end, choose "
                f"another --out, or, if it is not at work any more, delete {self._path} and run "
                "again"
            )

    def take(self) -> None:
        """Say that this process is at work."""
        self._taken_s = time.monotonic()
        with suppress(OSError):  # of a full disk: tables tell of that
            if self._is_own():
                os.utime(self._path)  # written anew, it would be empty for a moment
            else:
                write_owner(self._path)

    def keep(self) -> None:
        """Say again that it is, where that was long ago; cheap enough to be called often."""
        if time.monotonic() - self._taken_s > KEEP_S and self._is_own():
            self.take()

    def kept_by(self, progress: Progress) -> Progress:
        """Return `progress`, which keeps the folder whenever it is called."""

        def show(stage: str, done: int, total: int) -> None:
            self.keep()
            progress(stage, done, total)

        return show

    def release(self) -> None:
        """Say that it is not any more; what another process says stays."""
        with suppress(OSError):
            if self._is_own():
                self._path.unlink(missing_ok=True)

    def is_at_work(self) -> bool:
        """Whether a process is at work, this one or another, as far as is known."""
        return self._is_own() or other_owner(self._path, QUIET_S) is not None

    def _is_own(self) -> bool:
        try:
            return self._path.read_text(encoding="utf-8") == _this_process()
        except (OSError, ValueError):
            return False


def write_owner(path: Path) -> None:
    """Write into a file that this process is at work."""
    path.write_text(_this_process(), encoding="utf-8")


def _this_process() -> str:
    return f"{os.getpid()} {platform.node()}\n"


def other_owner(path: Path, quiet_s: float = math.inf) -> str | None:
    """Return which other process is at work, as far as is known; None where there is none.

    Of one on another host nobody can say here whether it still is: it is taken to be until the file
    was not written for `quiet_s`, s.
    """
    try:
        pid, _, host = path.read_text(encoding="utf-8").strip().partition(" ")
        number = int(pid)
        quiet = time.time() - path.stat().st_mtime > quiet_s
    except (OSError, ValueError):
        return None  # not there, or half written when the program was killed
    if host == platform.node() and (number == os.getpid() or not _is_alive(number)):
        return None
    if host != platform.node() and quiet:
        return None
    return f"process {number} on {host}"


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        # os.kill would end it there. One that may not be looked at counts as ended.
        import ctypes

        query, still_active, code = 0x1000, 259, ctypes.c_ulong()
        handle = ctypes.windll.kernel32.OpenProcess(query, False, pid)
        ctypes.windll.kernel32.GetExitCodeProcess(handle, ctypes.byref(code))
        ctypes.windll.kernel32.CloseHandle(handle)
        return code.value == still_active
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # of somebody else
    except (OSError, OverflowError):
        return False
    return not _is_defunct(pid)


def _is_defunct(pid: int) -> bool:
    """Whether a process has ended, and its parent never asked how, as in many containers."""
    try:
        # Behind the name of the program in brackets, which may hold any letter.
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
    except OSError:
        return False  # of a system without it
    return state.split()[:1] == ["Z"]
