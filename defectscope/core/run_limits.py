"""What a run or another long task may be asked for, on the command line and from Python alike."""

from __future__ import annotations

import operator
from collections.abc import Collection
from numbers import Real
from typing import Any

from defectscope.core.errors import OptionError

__all__ = ["DEVICES", "LEAST", "TABLE_FORMATS", "one_of", "positive_number", "whole_number"]

DEVICES = ("cpu", "cuda")
TABLE_FORMATS = ("parquet", "csv")
# 0 threads share the cores; 0 workers are as many as are worth it.
LEAST = {
    "threads": 0, "batch_size": 1, "workers": 0, "frame_step": 1,
    "count": 1, "length": 1, "seed": 0, "steps": 1, "worst": 0,
}  # fmt: skip


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """Return the value of a setting of `LEAST`, such as ``workers``, as an int.

    `least` stands in for its limit, where that is another one.

    Raises
    ------
    OptionError
        It is no whole number, or below its limit.
    """
    least = LEAST[name] if least is None else least
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise OptionError(f"{name} must be a whole number of at least {least}, found {value!r}")
    return number


def positive_number(name: str, value: Any) -> float:
    """Return the value of a setting such as ``time_limit_s``; OptionError if it is not above 0."""
    if not (isinstance(value, Real) and float(value) > 0):
        raise OptionError(f"{name} must be a number above 0, found {value!r}")
    return float(value)


def one_of(name: str, value: Any, known: Collection[str]) -> str:
    """Return the value of a setting that is one of a few words; OptionError says which."""
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} must be {' or '.join(known)}, found {value!r}")
    return value
