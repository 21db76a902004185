"""Scripts that run again in the processes that they start, and what these cannot import."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from defectscope.core.errors import UsageError
from defectscope.core.frames import FrameSelection

if TYPE_CHECKING:
    from defectscope.core.frames import FrameSequence
    from defectscope.pipeline.named import NamedComponent

__all__ = [
    "GUARD",
    "expect_guard",
    "expect_importable",
    "expect_no_standard_input",
    "main_file",
]

GUARD = 'put what a script does below if __name__ == "__main__":'
# What Python calls the file of a script that it reads from there.
STANDARD_INPUT = "<stdin>"


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


def main_file() -> str | None:
    """Return the file that other processes import first.

    Notebooks, ``python -c``, and scripts from standard input have none.
    """
    file: str | None = getattr(sys.modules["__main__"], "__file__", None)
    return None if file == STANDARD_INPUT else file


def expect_no_standard_input() -> None:
    """Refuse to start other processes from a script that none of them can import.

    Raises
    ------
    UsageError
        Python reads the script from its standard input.
    """
    if getattr(sys.modules["__main__"], "__file__", None) == STANDARD_INPUT:
        raise UsageError(
            "other processes cannot import a script that is read from standard input; put it into "
            "a file, or leave out --workers"
        )


def expect_importable(
    components: Iterable[NamedComponent],
    frames: FrameSequence | None = None,
    *,
    spawned: bool = False,
) -> None:
    """Refuse to hand components and frames to other processes that cannot import their classes.

    Parameters
    ----------
    components, frames
        What is handed over.
    spawned
        Whether this process starts the others.

    Raises
    ------
    UsageError
        The class of one was typed into a notebook or an interactive session, or the others could
        not import the script.
    """
    if spawned:
        expect_no_standard_input()
    if main_file() is not None:
        return  # a script, which other processes import
    while isinstance(frames, FrameSelection):
        frames = frames.whole
    handed = {repr(named.alias): named.component for named in components}
    for called, instance in (handed | {"the frames": frames}).items():
        if type(instance).__module__ == "__main__":
            raise UsageError(
                f"the class of {called} stands in a notebook or an interactive session, "
                "where other processes cannot import it; put it into a module, or leave out "
                "--workers and --dask"
            )
