"""What runs in the process of a detector: open it, find, and measure time and memory.

Started as ``python -m defectscope.pipeline.benchmark_worker FOLDER`` by ``benchmark_process``.
"""

from __future__ import annotations

import pickle
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from defectscope.core.errors import DefectscopeError, InputError
from defectscope.pipeline.benchmark_process import (
    ANSWER,
    JOB,
    PROGRESS,
    FrameMeasurement,
    Measurement,
)

# All of it at once: what is imported later would be counted as the detector's.
from defectscope.pipeline.found_checks import check_found
from defectscope.pipeline.named import NamedComponent, guarded

if TYPE_CHECKING:
    from defectscope.core.base import Detector
    from defectscope.core.frames import Frame, FrameSequence
    from defectscope.core.instances import Instances

__all__ = ["main", "peak_memory_mib"]

STATUS = Path("/proc/self/status")


def peak_memory_mib() -> float | None:
    """Return the largest resident size of this process so far, or None where it is not known.

    Linux tells it in ``/proc``. ``getrusage``, which serves elsewhere, also counts what the
    starting process held when this one was made of it.
    """
    if STATUS.is_file():
        for line in STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:
        return None
    # In bytes on macOS, in KiB on the others.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class _Watch:
    """Seconds since it was last asked."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        spent, self._last = now - self._last, now
        return spent


def _measured(job: dict[str, Any], progress: Path) -> Measurement:
    cv2.setNumThreads(job["threads"])
    frames: FrameSequence = pickle.loads(job["frames"])
    first = _read_first(frames)
    before = peak_memory_mib()
    watch = _Watch()
    named: NamedComponent = pickle.loads(job["detector"])
    import_s = watch.lap()
    with _opened(named):
        open_s = watch.lap()
        _detect(named, first)
        warm_up_s = watch.lap()
        measured = []
        with progress.open("ab", buffering=0) as ticks:
            for position in range(len(frames)):
                measured.append(_frame(named, frames, position))
                ticks.write(b".")
        peak = peak_memory_mib()
        name, declared = _device_name(named), tuple(named.component.defect_types)
    return Measurement(
        tuple(measured), import_s, open_s, warm_up_s, before, peak, name, tuple(frames.warnings),
        declared,
    )  # fmt: skip


@contextmanager
def _opened(named: NamedComponent) -> Iterator[None]:
    guarded(named, "while it opened", named.component.__enter__)
    try:
        yield
    finally:
        named.component.__exit__(None, None, None)


def _read(frames: FrameSequence, position: int) -> Frame:
    frame = frames[position]
    # A component that changes its input would change what the next pass sees. A view, so that
    # the reader's own array is left alone.
    frame = replace(frame, pixels=frame.pixels[:])
    frame.pixels.flags.writeable = False
    return frame


def _read_first(frames: FrameSequence) -> Frame:
    error: InputError | None = None
    for position in range(len(frames)):
        try:
            return _read(frames, position)
        except InputError as failure:
            error = failure
    raise InputError(f"no frame of {len(frames)} can be read; the last one: {error}")


def _detect(named: NamedComponent, frame: Frame) -> Instances:
    detector: Detector = named.component
    found = guarded(named, f"on {frame.source}", detector.detect, [frame])
    check_found(named, found, [frame])
    return found[0]


def _frame(named: NamedComponent, frames: FrameSequence, position: int) -> FrameMeasurement:
    watch = _Watch()
    try:
        frame = _read(frames, position)
    except InputError as error:
        return FrameMeasurement(position, watch.lap(), error=str(error))
    read_s = watch.lap()
    instances = _detect(named, frame)
    return FrameMeasurement(position, read_s, instances, watch.lap())


def _device_name(named: NamedComponent) -> str | None:
    torch: Any = sys.modules.get("torch")
    if named.component.runtime.device == "cpu" or torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())


def main(folder: Path) -> None:
    """Do the job in `folder`, and leave the answer there."""
    job = pickle.loads((folder / JOB).read_bytes())
    answer: tuple[str, Any]
    try:
        answer = ("done", _measured(job, folder / PROGRESS))
    except DefectscopeError as error:
        traceback.print_exc()
        answer = ("failed", str(error))
    except Exception as error:
        traceback.print_exc()
        text = " ".join(str(error).split())
        answer = ("failed", f"{job['alias']!r} cannot be used: {type(error).__name__}: {text}")
    temporary = folder / f"{ANSWER}.part"
    temporary.write_bytes(pickle.dumps(answer))
    temporary.replace(folder / ANSWER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
