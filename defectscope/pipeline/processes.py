"""Processes of their own that work on frames, each with components of its own.

An executor of Python's would wait for ever where one of its processes is killed as it sends a
result. Here each process has pipes of its own, at the end of which this one sees that it is gone.
"""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

from defectscope.core.errors import ComponentError, WorkersLostError
from defectscope.core.interrupts import ctrl_c_ignored
from defectscope.pipeline.handing_over import unpacked
from defectscope.pipeline.lanes import Submit, WorkingThreads, working
from defectscope.pipeline.script_guard import GUARD
from defectscope.pipeline.worker_pools import begin_as_worker

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameOutcome, FrameStages

__all__ = ["AT_A_TIME", "DiedError", "frame_processes", "in_processes"]

# Batches at a time: while one is worked on, the next is on its way.
AT_A_TIME = 2
# Makes of what ails a process what is raised for the batches that it had.
Lost: TypeAlias = Callable[[BaseException], Exception]


class DiedError(Exception):
    """A process is gone."""


class _Failure(NamedTuple):
    """What was raised in another process, and where."""

    error: BaseException
    where: str

    @classmethod
    def of(cls, error: BaseException) -> _Failure:
        where = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # whatever a class of somebody's own raises
            error = ComponentError(" ".join(str(error).split()) or type(error).__name__)
        return cls(error, where)

    def raised(self) -> BaseException:
        """Return the error, with its course there as its cause."""
        self.error.__cause__ = RuntimeError(f"in another process:\n{self.where}")
        return self.error


class FrameProcess:
    """A process that works on frames as soon as it is ready.

    Parameters
    ----------
    payload
        Packed stages. It may hold a whole series in memory: it goes to the process once, not with
        every batch.
    """

    def __init__(self, payload: bytes) -> None:
        # Spawned, not forked: OpenCV and torch threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(AT_A_TIME)]
        self._ends = [own for own, _ in pipes]
        others = [other for _, other in pipes]
        self._process = context.Process(target=_serve, args=(others, payload))
        self._ready = threading.Event()
        self._process.start()
        for other in others:
            other.close()  # so that the pipe ends with the process

    def take_part(self, threads: WorkingThreads[list[int]], lost: Lost) -> None:
        """Let it take batches with others, from when it is ready on."""
        begin = partial(self._begin, threads, lost)
        threading.Thread(target=begin, name="beginning", daemon=True).start()

    def _begin(self, threads: WorkingThreads[list[int]], lost: Lost) -> None:
        try:
            failure: _Failure | None = self._ends[0].recv()
        except (EOFError, OSError):
            threads.add(partial(_raise, lost(DiedError())))
            return
        self._ready.set()
        if failure is not None:
            threads.add(partial(_raise, lost(failure.raised())))
            return
        for end in self._ends:
            threads.add(partial(_work, end, lost))

    def end(self, patient: bool) -> None:
        """Let it close its components and end, with patience and if it is ready; else kill it."""
        if patient and self._ready.is_set():
            for one in self._ends:
                one.close()
            self._process.join()
        elif self._process.is_alive():
            self._process.kill()
            self._process.join(1)


def _work(end: Connection, lost: Lost, batch: list[int]) -> list[FrameOutcome]:
    answer: list[FrameOutcome] | _Failure | None = None
    with suppress(EOFError, OSError):
        end.send(batch)
        answer = end.recv()
    if answer is None:
        # Not among the exceptions of the pipe, whose frames hold buffers that Python 3.13 frees
        # with a complaint.
        raise lost(DiedError())
    if isinstance(answer, _Failure):
        raise answer.raised()
    return answer


def _raise(error: Exception, batch: list[int]) -> NoReturn:
    raise error


def _serve(ends: list[Connection], payload: bytes) -> None:
    """Work on what comes, in the other process."""
    begin_as_worker()
    # Where the pipes end, this process is not wanted any more.
    with suppress(EOFError, OSError):
        try:
            stages = unpacked(payload)
            stages.open()
        except BaseException as error:
            _send(ends[0], _Failure.of(error))
            return
        with closing(stages):
            _send(ends[0], None)
            while True:
                # The one that has waited longest goes first: what came first is done first.
                there = wait(ends)
                end = next(one for one in ends if one in there)
                ends.remove(end)
                ends.append(end)
                _send(end, _outcome(stages, end.recv()))


def _outcome(stages: FrameStages, batch: list[int]) -> list[FrameOutcome] | _Failure:
    try:
        return stages.process(batch)
    except BaseException as error:
        return _Failure.of(error)


def _send(end: Connection, what: Any) -> None:
    try:
        end.send(what)
    except OSError:
        raise
    except Exception as error:  # whatever a class of somebody's own raises when it is pickled
        text = f"what was found cannot be handed to another process: {error}"
        end.send(_Failure.of(ComponentError(text)))


@contextmanager
def frame_processes() -> Iterator[Callable[[bytes, int, WorkingThreads[list[int]], Lost], None]]:
    """Yield what starts processes that take batches from threads; they end with it."""
    started: list[FrameProcess] = []
    patient = True

    def start(payload: bytes, count: int, threads: WorkingThreads[list[int]], lost: Lost) -> None:
        # They do not heed Ctrl-C, but this process, which decides what to do.
        with ctrl_c_ignored():
            for _ in range(count):
                try:
                    started.append(FrameProcess(payload))
                except OSError as error:  # there may be too many, or too little memory
                    threads.add(partial(_raise, lost(error)))
                    return
                started[-1].take_part(threads, lost)

    try:
        yield start
    except BaseException:
        # A component that never returns must not keep an interrupted run from ending.
        patient = False
        raise
    finally:
        for one in started:
            one.end(patient)


@contextmanager
def in_processes(payload: bytes, workers: int) -> Iterator[tuple[Submit, int]]:
    """Yield what hands batches to processes, and how many may wait or be worked on."""
    threads = WorkingThreads[list[int]]([])
    with frame_processes() as start, working(threads):
        start(payload, workers, threads, _lost)
        yield threads.submit, AT_A_TIME * workers


def _lost(error: BaseException) -> Exception:
    if isinstance(error, DiedError) or not isinstance(error, Exception):
        return WorkersLostError(
            "a worker process died, for want of memory, or because the script that runs the "
            f"pipeline runs anew in it; {GUARD}, and ask for fewer --workers"
        )
    return error
