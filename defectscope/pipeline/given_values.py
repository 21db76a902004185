"""What scripts give in more than one way, or wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from defectscope.core.errors import OptionError, UsageError
from defectscope.pipeline.choices import Choice

__all__ = ["expected_path", "expected_paths", "expected_table", "expected_tables", "several"]

# Longer ones, and those of tables and arrays, are no part of a sentence.
LONGEST_SHOWN = 100


def several(given: Any) -> list[Any]:
    """Return what is given as a list: one name, path or choice is no sequence of letters.

    Raises
    ------
    UsageError
        It is neither one of these nor several of anything.
    """
    if isinstance(given, str | PathLike | Choice):
        return [given]
    if not isinstance(given, Iterable):
        raise UsageError(f"expected one name, or several as a list; found {_shown(given)}")
    return list(given)


def expected_path(given: Any, what: str = "the path of a file or folder") -> Path:
    """Return one path; UsageError where it is none, which says `what` was expected."""
    try:
        return Path(given)
    except TypeError as error:
        raise UsageError(f"expected {what}; found {_shown(given)}") from error


def expected_paths(given: Any) -> list[Path]:
    """Return one path or several as a list; UsageError where it is neither."""
    try:
        return [Path(path) for path in several(given)]
    except (TypeError, UsageError) as error:
        raise UsageError(
            f"expected the path of a file or folder, or several; found {_shown(given)}"
        ) from error


def expected_table(options: Any) -> Mapping[str, Any]:
    """Return options of one component, none where there are none; OptionError if no table."""
    if isinstance(options, Mapping | None):
        return options or {}
    raise OptionError(
        f"options are a table, such as {{'copy_images': True}}; found {_shown(options)}"
    )


def expected_tables(options: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return options of components, none where there are none.

    Raises
    ------
    OptionError
        They are not one table a component.
    """
    tables: Mapping[str, Mapping[str, Any]] = {} if options is None else options
    if isinstance(options, Mapping | None) and all(isinstance(t, Mapping) for t in tables.values()):
        return tables
    raise OptionError(
        "options are one table a component, such as {'dark-blobs': {'min_area_px': 60}}; "
        f"found {_shown(options)}"
    )


def _shown(given: Any) -> str:
    text = repr(given)
    fits = len(text) <= LONGEST_SHOWN and "\n" not in text
    return text if fits else f"something of type {type(given).__name__}"
