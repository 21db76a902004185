"""Tracks and figures of a watch, brought up to date by another process."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from defectscope.core.calibration import Calibration
from defectscope.core.errors import DefectscopeError
from defectscope.core.files import half_written
from defectscope.core.interrupts import ctrl_c_ignored, deaf_to_terminal
from defectscope.pipeline.finishing import track_detections, write_findings
from defectscope.pipeline.named import NamedComponent
from defectscope.pipeline.results import Result

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

__all__ = ["Update", "Updater"]

# Figures may take this share of the time at most, so that frames are not kept waiting.
FIGURES_SHARE = 0.2
# An update that is told to end is given so long, in which it takes back half a file.
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Update:
    """What is brought up to date in a run folder; goes to another process."""

    folder: Path
    tracker: NamedComponent | None
    analyses: Sequence[NamedComponent]
    calibration: Calibration
    table_format: str
    figures: bool

    def __call__(self, sender: Connection) -> None:
        """Link what is there, and draw; behind the frames when there is not enough time.

        Names of figures are sent before they are written.
        """
        deaf_to_terminal()
        try:
            signal.signal(signal.SIGTERM, _end)
            if hasattr(os, "nice"):
                os.nice(10)
            self.bring_up_to_date(sender.send)
        except (DefectscopeError, KeyboardInterrupt):
            # At the end the same is done again, and said where it fails.
            return
        except BrokenPipeError:
            # The parent was killed: nobody is there to draw for.
            return

    def bring_up_to_date(self, note: Callable[[list[str]], None]) -> None:
        """Write the tracks and the figures, whose names `note` is told before."""
        if self.tracker is not None:
            track_detections(self.folder, self.tracker, self.calibration, self.table_format)
        if self.figures:
            analyses = list(self.analyses)
            write_findings(Result(self.folder), analyses, lambda stage, done, total: None, [], note)


def _end(*_: Any) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Not SystemExit, which is taken for a component's own that tries to end the program.
    raise KeyboardInterrupt


class Updater:
    """Runs updates one at a time, the longer they take the more seldom.

    Parameters
    ----------
    update
        What to do.
    every_s
        Seconds between two updates at least.
    now
        Seconds of a clock that only rises.
    note
        Called with names of figures that an update writes.
    """

    def __init__(
        self,
        update: Update,
        every_s: float,
        now: float,
        note: Callable[[list[str]], None] = lambda names: None,
    ) -> None:
        self._update, self._every_s, self._last = update, every_s, now
        self._note = note
        self._process: BaseProcess | None = None
        self._receiver: Connection | None = None

    def is_due(self, now: float) -> bool:
        """Return whether an update may begin now."""
        if self._process is None:
            return now - self._last >= self._every_s
        self._pass_on()
        if not self._process.is_alive():
            self._process.join()
            self._forget()
            self._every_s = max(self._every_s, (now - self._last) / FIGURES_SHARE)
            self._last = now
        return False

    def start(self, now: float) -> None:
        """Begin an update."""
        self._last = now
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=self._update, args=(sender,), daemon=True)
        with ctrl_c_ignored():
            self._process.start()
        # Open in the child alone, so that its end is seen.
        sender.close()

    def _pass_on(self) -> None:
        """Pass on what the update has sent."""
        with suppress(EOFError, OSError):
            while self._receiver is not None and self._receiver.poll():
                self._note(self._receiver.recv())

    def _forget(self) -> None:
        self._pass_on()
        if self._receiver is not None:
            self._receiver.close()
        self._process = self._receiver = None

    def stop(self) -> None:
        """End an update that is under way; it leaves no half of a file behind."""
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join(PATIENCE_S)
            self._process.kill()
            self._process.join()
            for folder in (self._update.folder, self._update.folder / "figures"):
                for path in half_written(folder):
                    path.unlink(missing_ok=True)
        self._forget()
