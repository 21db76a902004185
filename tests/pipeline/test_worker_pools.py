"""The processes of a run."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from defectscope.pipeline.worker_pools import worker_pool


def test_windows_gets_as_many_processes_as_it_allows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    # Python refuses more than 61 by itself, before any process is started.
    worker_pool(100, print).shutdown()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "program.py").write_text(
        "import os, signal, time\n"
        "from defectscope.pipeline.worker_pools import worker_pool\n"
        "if __name__ == '__main__':\n"
        "    pool = worker_pool(2, print)\n"
        # One is at work, the other waits for some.
        "    pool.submit(time.sleep, 600)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The workers hold the other end of its stdout, which is at its end when they are.
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE, check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_the_end_of_the_terminal_leaves_the_process_that_keeps_account_alone(tmp_path):
    (tmp_path / "program.py").write_text(
        "import os, signal\n"
        "from multiprocessing import resource_tracker\n"
        "from defectscope.pipeline.worker_pools import worker_pool\n"
        "if __name__ == '__main__':\n"
        "    pool = worker_pool(1, int)\n"
        # Its answer shows that it has started, and the process before it.
        "    pool.submit(os.getpid).result()\n"
        "    tracker = resource_tracker._resource_tracker\n"
        "    os.kill(tracker._pid, signal.SIGHUP)\n"
        "    pool.shutdown()\n"
        "    tracker._stop()\n"
        "    print(tracker._pid)\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")
