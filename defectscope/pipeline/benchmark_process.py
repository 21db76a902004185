"""A process of its own for a detector on a dataset: started, watched, and its end explained."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from defectscope.core.errors import ComponentError

if TYPE_CHECKING:
    from defectscope.core.frames import FrameSequence
    from defectscope.core.instances import Instances
    from defectscope.pipeline.named import NamedComponent

__all__ = ["FrameMeasurement", "Measurement", "ProcessFailedError", "end_of_process", "measure"]

WORKER = "defectscope.pipeline.benchmark_worker"
# Files by which both sides talk, in a folder of their own.
JOB, ANSWER, PROGRESS, LOG = "job.pickle", "answer.pickle", "progress", "log.txt"
LOOK_S = 0.1
LOG_LINES = 40
# Libraries read these when they are imported: the same number of threads for everybody.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip


@dataclass(frozen=True)
class FrameMeasurement:
    """What a detector made of one frame; `error` is set where the frame is damaged."""

    position: int
    read_s: float
    instances: Instances | None = None
    detect_s: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Measurement:
    """What was measured in the process.

    Parameters
    ----------
    frames
        Results and times of every frame.
    import_s, open_s, warm_up_s
        Seconds to import the detector, to open it, and for one frame before the others.
    memory_before_mib, peak_memory_mib
        Peak of the process before the detector was imported, and at the end.
    device_name
        Name of the accelerator, where the detector's framework tells it.
    warnings
        What was to be said about the frames.
    defect_types
        What the detector says it finds.
    """

    frames: tuple[FrameMeasurement, ...]
    import_s: float
    open_s: float
    warm_up_s: float
    memory_before_mib: float | None
    peak_memory_mib: float | None
    device_name: str | None = None
    warnings: tuple[str, ...] = field(default=())
    defect_types: tuple[str, ...] = ()


class ProcessFailedError(ComponentError):
    """The process ended without a result.

    Parameters
    ----------
    sentence
        Why.
    log
        The last lines that the process wrote.
    """

    def __init__(self, sentence: str, log: str = "") -> None:
        super().__init__(sentence)
        self.log = log


def measure(
    detector: NamedComponent,
    frames: FrameSequence,
    threads: int,
    progress: Callable[[int], None] = lambda done: None,
    time_limit_s: float | None = None,
) -> Measurement:
    """Run a detector on every frame of a series, in a new process.

    Parameters
    ----------
    detector
        Built, not opened.
    frames
        The series; it and the detector are pickled.
    threads
        Threads that the libraries in the process may use.
    progress
        Called now and then with the number of finished frames.
    time_limit_s
        Longest time without a finished frame; the process is then ended.

    Raises
    ------
    ProcessFailedError
        The detector raised, cannot be pickled, or its process was ended.
    """
    with tempfile.TemporaryDirectory(prefix="defectscope-benchmark-") as name:
        folder = Path(name)
        _write_job(folder, detector, frames, threads)
        code = _wait(folder, threads, progress, time_limit_s)
        log = _last_lines(folder / LOG)
        answer = folder / ANSWER
        if code is None:
            raise ProcessFailedError(
                f"{detector.label}: it finished no frame in {time_limit_s:g} s after "
                f"{_done(folder)} of {len(frames)}, and was ended; --time-limit gives it longer",
                log,
            )
        if code != 0 or not answer.is_file():
            raise ProcessFailedError(
                f"{detector.label}: {end_of_process(code, _done(folder), log)}", log
            )
        status, value = pickle.loads(answer.read_bytes())
    if status != "done":
        raise ProcessFailedError(str(value), log)
    measured: Measurement = value
    return measured


def _write_job(folder: Path, detector: NamedComponent, frames: FrameSequence, threads: int) -> None:
    try:
        # Apart, so that unpickling the detector, which imports it, can be timed.
        parts = {"frames": pickle.dumps(frames), "detector": pickle.dumps(detector)}
    except Exception as error:
        raise ProcessFailedError(
            f"{detector.label} cannot be sent to a process of its own: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    (folder / JOB).write_bytes(pickle.dumps({**parts, "alias": detector.alias, "threads": threads}))
    (folder / PROGRESS).touch()


def _wait(
    folder: Path, threads: int, progress: Callable[[int], None], time_limit_s: float | None
) -> int | None:
    """Return the exit code of the process, or None where it took too long over a frame."""
    environment = {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        # Everything is found there that is found here, and nothing else (-P).
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "PYTHONFAULTHANDLER": "1",
    }
    command = [sys.executable, "-P", "-m", WORKER, str(folder)]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        done, since = 0, time.monotonic()
        try:
            while True:
                try:
                    return process.wait(LOOK_S)
                except subprocess.TimeoutExpired:
                    now = _done(folder)
                    progress(now)
                if now > done:
                    done, since = now, time.monotonic()
                elif time_limit_s is not None and time.monotonic() - since > time_limit_s:
                    return None
        finally:
            process.kill()
            process.wait()


def _done(folder: Path) -> int:
    """Return how many frames are finished: the worker writes a byte for each."""
    return (folder / PROGRESS).stat().st_size


def _last_lines(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_LINES:])


def end_of_process(code: int, done: int, log: str) -> str:
    """Return how a process ended that left no answer, as a clause.

    Parameters
    ----------
    code
        Its exit code; that of a signal is negative.
    done
        Frames that were finished.
    log
        What it wrote.
    """
    frames = "1 finished frame" if done == 1 else f"{done} finished frames"
    after = f"after {frames}" if done else "before its first frame was finished"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        memory = " (perhaps for want of memory)" if name == "SIGKILL" else ""
        return f"its process was ended by {name} {after}{memory}"
    last = log.splitlines()[-1].strip() if log.strip() else ""
    return f"its process ended with exit code {code} {after}{': ' if last else ''}{last}"
