"""How many cores there are to work with."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["available_cores"]

CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return how many cores this process may use: by its affinity, and by its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else min(cores, max(1, math.ceil(quota)))


def _quota() -> float | None:
    """Return how many cores' time a control group allows, as of ``docker --cpus=2``."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = [w for n in names for w in (CGROUPS / n).read_text(encoding="ascii").split()]
            allowed, period = (int(word) for word in words)
        except (OSError, ValueError):
            # Version 2 says "max" where there is no limit; version 1, below, -1.
            continue
        if allowed > 0 and period > 0:
            return allowed / period
    return None
