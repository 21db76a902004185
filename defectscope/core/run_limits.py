"""What a run, or linking anew, may be asked for, on the command line and from Python alike."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

from defectscope.core.errors import OptionError

__all__ = ["DEVICES", "LEAST", "TABLE_FORMATS", "one_of", "whole_number"]

DEVICES = ("cpu", "cuda")
TABLE_FORMATS = ("parquet", "csv")
# 0 threads share the cores.
LEAST = {"threads": 0, "batch_size": 1, "workers": 1, "frame_step": 1}


def whole_number(name: str, value: Any) -> int:
    """Return the value of a setting of `LEAST`, such as ``workers``, as an int.

    Raises
    ------
    OptionError
        It is no whole number, or below its limit.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < LEAST[name]:
        raise OptionError(
            f"{name} must be a whole number of at least {LEAST[name]}, found {value!r}"
        )
    return number


def one_of(name: str, value: Any, known: Collection[str]) -> str:
    """Return the value of a setting that is one of a few words; OptionError says which."""
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} must be {' or '.join(known)}, found {value!r}")
    return value
