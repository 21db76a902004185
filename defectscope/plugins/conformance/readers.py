"""Readers: what is asked of those that open files of frames."""

from __future__ import annotations

import pickle

import numpy as np

from defectscope.core.base import Reader
from defectscope.core.components import ReaderSpec
from defectscope.core.errors import InputError
from defectscope.core.frames import FrameSequence
from defectscope.plugins.conformance.basics import Check, NotCheckedError, Setup, expect
from defectscope.plugins.conformance.files import GARBAGE, clear_error, temporary_folder

__all__ = ["CHECKS"]


def check_declares_suffixes(component: type[Reader], setup: Setup) -> None:
    """Its suffixes are declared: lower case, with their dot."""
    suffixes = _reader_spec(setup).suffixes
    good = isinstance(suffixes, tuple) and all(
        isinstance(s, str) and len(s) > 1 and s.startswith(".") and s == s.lower() for s in suffixes
    )
    expect(
        good and len(suffixes),
        f"a ReaderSpec needs suffixes such as ('.tif', '.tiff'), lower case and with their dot; "
        f"found {suffixes!r}",
    )


def _reader_spec(setup: Setup) -> ReaderSpec:
    if not isinstance(setup.spec, ReaderSpec):
        raise NotCheckedError("the ReaderSpec is not known here")
    return setup.spec


def _suffixes(setup: Setup) -> tuple[str, ...]:
    return setup.spec.suffixes if isinstance(setup.spec, ReaderSpec) else (".unknown",)


def check_unreadable_files(component: type[Reader], setup: Setup) -> None:
    """A file that is missing, empty or garbage gives a clear error."""
    with setup.opened(component) as reader, temporary_folder() as folder:
        for suffix in _suffixes(setup):
            for name, content in (("missing", None), ("empty", b""), ("garbage", GARBAGE)):
                path = folder / f"{name}{suffix}"
                if content is not None:
                    path.write_bytes(content)
                with clear_error(f"a file that is {name} ({path.name})", must=True):
                    _first_frame(reader.read(path))


def _first_frame(frames: FrameSequence) -> None:
    try:
        if not len(frames):
            raise InputError("it holds no frames")
        frames[0]
    finally:
        frames.close()


def check_reads_the_example(component: type[Reader], setup: Setup) -> None:
    """The example file gives frames, each with an index and a name, that can be read again."""
    if setup.example is None:
        raise NotCheckedError("no example file was given")
    with setup.opened(component) as reader:
        frames = reader.read(setup.example)
        expect(
            isinstance(frames, FrameSequence),
            f"read must return a defectscope.FrameSequence, found {type(frames).__name__}",
        )
        with frames:
            expect(len(frames), f"expected frames in {setup.example.name}, found none")
            expect(
                len(frames.indices) == len(frames.names) == len(frames),
                f"indices and names need an entry for each of {len(frames)} frames, found "
                f"{len(frames.indices)} and {len(frames.names)}",
            )
            expect(isinstance(frames.warnings, list), "warnings must be a list, empty or not")
            _expect_readable_twice(frames)


def _expect_readable_twice(frames: FrameSequence) -> None:
    copy = pickle.loads(pickle.dumps(frames))
    for position in {0, len(frames) // 2, len(frames) - 1}:
        first = frames[position]
        expect(
            np.array_equal(first.pixels, frames[position].pixels),
            f"reading frame {position} twice must give the same pixels",
        )
        expect(
            np.array_equal(first.pixels, copy[position].pixels),
            f"a pickled copy must give the same pixels at position {position}",
        )
    copy.close()


CHECKS: tuple[Check, ...] = (
    check_declares_suffixes,
    check_unreadable_files,
    check_reads_the_example,
)
