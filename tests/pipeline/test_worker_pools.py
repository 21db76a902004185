"""The processes of a run."""

from __future__ import annotations

import sys

from defectscope.pipeline.worker_pools import worker_pool


def test_windows_gets_as_many_processes_as_it_allows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    # Python refuses more than 61 by itself, before any process is started.
    worker_pool(100, print).shutdown()
