"""Scripts that run again in the processes that they start."""

from __future__ import annotations

import multiprocessing

from defectscope.core.errors import UsageError

__all__ = ["GUARD", "expect_guard"]

GUARD = 'put what a script does below if __name__ == "__main__":'


def expect_guard() -> None:
    """Refuse to work in a process that is still importing the script which started it.

    It would do all over again what the script does, in the folder in which its parent is at work.

    Raises
    ------
    UsageError
        This is such a process.
    """
    # What multiprocessing goes by itself, when such a process is about to start another.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(f"a process that the script started runs the script again; {GUARD}")
