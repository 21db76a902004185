"""Ctrl-C and processes that are started while it is ignored."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from defectscope.core.interrupts import OF_TERMINAL, ctrl_c_ignored, uninterrupted

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")


@pytest.fixture
def deaf():
    """Ignore Ctrl-C, as a program that a script starts in the background."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, former)


def test_ctrl_c_is_ignored_meanwhile_and_as_before_afterwards():
    before = [signal.getsignal(number) for number in OF_TERMINAL]
    with ctrl_c_ignored():
        assert {signal.getsignal(number) for number in OF_TERMINAL} == {signal.SIG_IGN}
    assert [signal.getsignal(number) for number in OF_TERMINAL] == before


def test_other_threads_change_nothing():
    seen = []

    def look():
        with ctrl_c_ignored():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_waits_for_the_end_of_what_is_written(name):
    number = getattr(signal, name)
    before, written = signal.getsignal(number), []

    def write():
        with uninterrupted():
            os.kill(os.getpid(), number)
            written.append("all")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert written == ["all"]
    assert signal.getsignal(number) == before


@posix
def test_a_closed_terminal_that_is_told_of_twice_interrupts_once():
    before, written = signal.getsignal(signal.SIGHUP), []

    def write():
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGHUP)
            written.append("all")

    try:
        with pytest.raises(KeyboardInterrupt):
            write()
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert written == ["all"]


@posix
def test_what_is_ignored_on_purpose_stays_so(deaf):
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_handlers_that_are_not_of_python_stay(monkeypatch):
    # As in a program that Python is embedded in: there is nothing to put back.
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    kept = []
    monkeypatch.setattr(signal, "signal", lambda *given: kept.append(given))
    with uninterrupted():
        pass
    assert kept == []
