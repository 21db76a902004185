"""Ctrl-C and processes that are started while it is ignored."""

from __future__ import annotations

import signal
import threading

from defectscope.core.interrupts import ctrl_c_ignored


def test_ctrl_c_is_ignored_meanwhile_and_as_before_afterwards():
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c_ignored():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == before


def test_other_threads_change_nothing():
    seen = []

    def look():
        with ctrl_c_ignored():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
