"""What scripts give in more than one way, or wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defectscope.core.errors import OptionError, UsageError
from defectscope.pipeline.choices import Choice

__all__ = ["expected_paths", "expected_tables", "several"]


def several(given: Any) -> list[Any]:
    """Return what is given as a list: one name, path or choice is no sequence of letters."""
    if isinstance(given, str | Path | Choice):
        return [given]
    return list(given)


def expected_paths(given: Any) -> list[Path]:
    """Return one path or several as a list; UsageError where it is neither."""
    try:
        return [Path(path) for path in several(given)]
    except TypeError as error:
        raise UsageError(
            f"expected the path of a file or folder, or several; found {given!r}"
        ) from error


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
        f"found {options!r}"
    )
