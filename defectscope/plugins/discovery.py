"""Which plugins are installed, and which of them the user lets in."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, EntryPoint

from defectscope.core.errors import PluginLoadError
from defectscope.plugins.markers import PROJECT
from defectscope.plugins.records import PluginRecord, normalized

__all__ = [
    "ALLOW_LIST_VARIABLE",
    "Gate",
    "allowed_by_environment",
    "installed_entry_points",
    "load_entry_point",
    "one_line",
    "records_of",
]

ALLOW_LIST_VARIABLE = "DEFECTSCOPE_PLUGINS"


def allowed_by_environment() -> list[str] | None:
    """Return the allow-list in ``DEFECTSCOPE_PLUGINS``, or None where the variable is not set.

    Names of plugins or distributions, separated by commas; empty means the shipped ones only.
    """
    listed = os.environ.get(ALLOW_LIST_VARIABLE)
    return None if listed is None else [n.strip() for n in listed.split(",") if n.strip()]


class Gate:
    """Decides by name, before anything is imported, which plugins may be.

    Parameters
    ----------
    blocked
        Names of plugins or distributions that must not be imported.
    allowed
        If given, only these third-party plugins or distributions are imported.
    """

    def __init__(self, blocked: Collection[str], allowed: Collection[str] | None) -> None:
        self._blocked = {normalized(name): name for name in blocked}
        self._allowed = None if allowed is None else {normalized(name): name for name in allowed}
        self._met: set[str] = set()

    def lets_in(self, record: PluginRecord) -> bool:
        """Whether a plugin may be imported; remembers the names it has seen."""
        names = {normalized(record.name), normalized(record.distribution)}
        self._met |= names
        if names & self._blocked.keys():
            return False
        shipped = normalized(record.distribution) == PROJECT
        return self._allowed is None or shipped or bool(names & self._allowed.keys())

    def unmatched_blocks(self) -> list[str]:
        """Return names that were to be blocked but belong to no plugin seen."""
        return sorted(raw for name, raw in self._blocked.items() if name not in self._met)

    def unmatched_allowed(self) -> list[str]:
        """Return names on the allow-list that belong to no plugin seen."""
        listed = self._allowed or {}
        return sorted(raw for name, raw in listed.items() if name not in self._met)


def installed_entry_points() -> tuple[list[EntryPoint], list[PluginRecord]]:
    """Return the installed entry points, and a record of each distribution with unreadable ones."""
    try:
        return list(importlib.metadata.entry_points(group=PROJECT)), []
    except Exception:
        # One malformed entry_points.txt anywhere stops that call for everybody.
        return _one_distribution_at_a_time()


def _one_distribution_at_a_time() -> tuple[list[EntryPoint], list[PluginRecord]]:
    readable: list[EntryPoint] = []
    broken: list[PluginRecord] = []
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        name, version = _name_and_version(distribution)
        if normalized(name) in seen:
            continue  # an earlier entry of sys.path hides this one
        seen.add(normalized(name))
        try:
            readable.extend(distribution.entry_points.select(group=PROJECT))
        except Exception as error:
            if f"[{PROJECT}]" in (distribution.read_text("entry_points.txt") or ""):
                reason = f"its entry points cannot be read: {one_line(error)}"
                broken.append(PluginRecord("?", name, version, "?", "failed", reason))
    return readable, broken


def records_of(entry_points: Iterable[EntryPoint]) -> list[tuple[PluginRecord, EntryPoint]]:
    """Return each entry point with a new record of it; imports nothing."""
    # Metadata is parsed at every look: once a distribution is enough.
    known: dict[int, tuple[str, str]] = {}
    pairs = []
    for point in entry_points:
        key = id(point.dist)
        if key not in known:
            known[key] = _name_and_version(point.dist)
        pairs.append((PluginRecord(point.name, *known[key], point.value), point))
    return pairs


def _name_and_version(distribution: Distribution | None) -> tuple[str, str]:
    # Left-over or damaged metadata must not stop the other plugins.
    try:
        metadata = distribution.metadata if distribution is not None else None
        name, version = (metadata["Name"], metadata["Version"]) if metadata else (None, None)
    except Exception:
        name, version = None, None
    return name or "unknown", version or "?"


def load_entry_point(entry_point: EntryPoint) -> object:
    """Import what an entry point names.

    Raises
    ------
    PluginLoadError
        It names nothing that could be imported. What the import raises is passed on.
    """
    if not entry_point.pattern.match(entry_point.value):
        raise PluginLoadError(
            f"its entry point must read 'package.module' or 'package.module:object', "
            f"found {entry_point.value!r}"
        )
    return entry_point.load()


def one_line(error: BaseException) -> str:
    """Return an error as one line: its type, unless it is ours, and its text."""
    text = " ".join(str(error).split())
    if isinstance(error, PluginLoadError):
        return text
    if isinstance(error, SystemExit):
        return f"it tried to end the program (SystemExit: {text})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
