"""Which process is at work in a folder, told to others by a small file."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

__all__ = ["other_owner", "write_owner"]


def write_owner(path: Path) -> None:
    """Write into a file that this process is at work."""
    path.write_text(f"{os.getpid()} {platform.node()}\n", encoding="utf-8")


def other_owner(path: Path) -> str | None:
    """Return which other process is at work, as far as is known; None where there is none.

    Of one on another host nobody can say here whether it still is.
    """
    try:
        pid, _, host = path.read_text(encoding="utf-8").strip().partition(" ")
        number = int(pid)
    except (OSError, ValueError):
        return None  # not there, or half written when the program was killed
    if host == platform.node() and (number == os.getpid() or not _is_alive(number)):
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
    return True
