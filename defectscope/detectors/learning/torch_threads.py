"""How many threads torch uses in this process; apart, because only the import needs torch."""

from __future__ import annotations

import torch

from defectscope.core.thread_counts import ThreadCount

__all__ = ["torch_threads"]

torch_threads = ThreadCount(torch.get_num_threads, torch.set_num_threads)
