"""How a run ends: that is written down, and one run of two is left in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from defectscope.core.errors import InputGoneError, WorkersLostError
from defectscope.core.interrupts import uninterrupted
from defectscope.pipeline.runfolder import RunFolder

__all__ = ["recorded_end"]

# What they leave undone can be done when their cause is gone.
FOR_LATER = (InputGoneError, WorkersLostError)


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
    InputGoneError, WorkersLostError
        As inside; says how to go on.
    KeyboardInterrupt
        As inside, or as soon as all is written; a note says what is in the folder.
    """
    status, former_is_back = "complete", False
    try:
        try:
            yield
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        except BaseException as error:
            status = f"failed: {_how_to_go_on(error)}"
            raise
        finally:
            with uninterrupted():
                try:
                    record(status)
                finally:
                    # Renames alone, which a full disk allows.
                    try:
                        former_is_back = folder.settle()
                    finally:
                        folder.owner.release()
    except KeyboardInterrupt as stop:
        stop.add_note(_what_is_left(folder, status, former_is_back))
        raise
    except FOR_LATER as error:
        raise type(error)(_how_to_go_on(error, former_is_back)) from error


def _how_to_go_on(error: BaseException, former_is_back: bool = False) -> str:
    """Return what an error says, and where what is left is for later, how that is done."""
    if not isinstance(error, FOR_LATER):
        return str(error)
    if former_is_back:
        return f"{error}; the former run stays, run again with --overwrite"
    return f"{error}, and go on with --resume"


def _what_is_left(folder: RunFolder, status: str, former_is_back: bool) -> str:
    if former_is_back:
        return f"nothing was finished; the former run in {folder.path} stays as it was"
    if status == "complete":
        return f"the run in {folder.path} is complete"
    done = max(0, folder.frames_path.read_text(encoding="utf-8").count("\n") - 1)
    frames = "1 frame" if done == 1 else f"{done} frames"
    return f"{frames} finished, kept in {folder.path}; go on with --resume"
