"""Programs that need torch, without waiting for it each time; files as on another system."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

# A third of the usual examples where a test names no number; HYPOTHESIS_EXAMPLES=1000 for more.
# How long one takes depends on what else the machine does.
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "30"))
settings.register_profile("tests", max_examples=EXAMPLES, deadline=None)
settings.load_profile("tests")

# One process of several on a machine: threads would only be in each other's way.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# Published images and labels, no part of the repository; docs/measurements.md says which.
BESIDE = Path(__file__).parents[2] / "shared/data"
REAL_DATA = Path(os.environ.get("DEFECTSCOPE_DATA") or BESIDE).resolve()


class Done(NamedTuple):
    """How a program ended; the code of one that a signal ended is negative."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Program:
    """A program that goes on."""

    server: Preloaded
    pid: int
    out: Path
    error: Path

    def wait(self, seconds: float = 300) -> Done:
        """Return how it ended."""
        end = time.monotonic() + seconds
        while (code := self.server.ask({"ended": self.pid})) is None:
            assert time.monotonic() < end, f"it goes on: {self.error.read_text()}"
            time.sleep(0.05)
        return Done(code, self.out.read_text(), self.error.read_text())


class Preloaded:
    """Starts ``defectscope`` in processes that have imported torch and Lightning already."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("preloaded.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT},
        )

    def ask(self, request: object) -> int | None:
        """Return the server's answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def start(self, *arguments: object, before: str = "", folder: Path | None = None) -> Program:
        """Start a program; `before` is Python that it runs first."""
        self._count += 1
        out, error = (self._folder / f"{self._count}.{name}" for name in ("out", "error"))
        request = {
            "arguments": [str(a) for a in arguments], "before": before,
            "folder": str(folder or self._folder), "out": str(out), "error": str(error),
        }  # fmt: skip
        pid = self.ask(request)
        assert pid
        return Program(self, pid, out, error)

    def call(self, *arguments: object, before: str = "", folder: Path | None = None) -> Done:
        """Return how a program ended."""
        return self.start(*arguments, before=before, folder=folder).wait()

    def close(self) -> None:
        """End the server."""
        self._process.communicate(timeout=60)


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Return what starts programs that train."""
    for package in ("torch", "lightning", "onnx"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked here")
    server = Preloaded(tmp_path_factory.mktemp("programs"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return what gives the folder of published data; a test that wants it is skipped without."""

    def folder(name: str) -> Path:
        if not (REAL_DATA / name).is_dir():
            pytest.skip(f"there is no {name} in {REAL_DATA}; DEFECTSCOPE_DATA names the folder")
        return REAL_DATA / name

    return folder


# A shell that starts the tests in the background lets them ignore Ctrl-C, and so every process
# that they start; tests of interruptions need it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with the end of the terminal.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the documentation begin: it takes minutes, and at the end nothing would be beside it."""
    items.sort(key=lambda item: item.path.name != "test_docs.py")


@pytest.fixture
def as_on_windows(monkeypatch):
    """Let text files that are opened for writing end their lines as Windows does."""
    opened = Path.open

    def with_its_lines(self, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
        if newline is None and "b" not in mode and "r" not in mode:
            newline = "\r\n"
        return opened(self, mode, buffering, encoding, errors, newline)

    monkeypatch.setattr(Path, "open", with_its_lines)
