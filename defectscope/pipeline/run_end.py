"""How a run ends: that is written down, and one run of two is left in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from defectscope.core.errors import InputGoneError
from defectscope.core.interrupts import uninterrupted
from defectscope.pipeline.runfolder import RunFolder

__all__ = ["recorded_end"]


@contextmanager
def recorded_end(folder: RunFolder, record: Callable[[str], None]) -> Iterator[None]:
    """Record how what is done inside ends, and leave one run of two in the folder.

    Parameters
    ----------
    folder
        Of the run.
    record
        Called with the status at the end, which it writes to ``run.json``.

    Raises
    ------
    InputGoneError
        As inside; says how to go on.
    """
    status = "complete"
    try:
        yield
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except InputGoneError as error:
        gone = f"{error}, and go on with --resume"
        status = f"failed: {gone}"
        raise InputGoneError(gone) from error
    except BaseException as error:
        status = f"failed: {error}"
        raise
    finally:
        with uninterrupted():
            try:
                record(status)
            finally:
                folder.settle()  # renames alone, which a full disk allows
