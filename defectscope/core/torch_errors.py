"""What torch says where it refuses a file, without what it advises."""

from __future__ import annotations

import re

__all__ = ["what_was_refused"]

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def what_was_refused(error: Exception) -> str:
    """Return the kind of an error of ``torch.load`` and, where known, what it refused to import.

    Its text advises to open the file in a way that runs whatever code it holds.
    """
    found = _GLOBAL.search(str(error))
    kind = type(error).__name__
    return f"{kind}: it asks for {found[1]}" if found else kind
