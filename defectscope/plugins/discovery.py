"""Which plugins are installed, and which of them the user lets in."""

from __future__ import annotations

import importlib.metadata
import os
import re
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
FIELD = re.compile(r"^(Name|Version):(.*)$", re.MULTILINE | re.IGNORECASE)


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
        return self._allowed is None or record.is_shipped or bool(names & self._allowed.keys())

    def unmatched_blocks(self) -> list[str]:
        """Return names that were to be blocked but belong to no plugin seen."""
        return sorted(raw for name, raw in self._blocked.items() if name not in self._met)

    def unmatched_allowed(self) -> list[str]:
        """Return names on the allow-list that belong to no plugin seen."""
        listed = self._allowed or {}
        return sorted(raw for name, raw in listed.items() if name not in self._met)


def installed_entry_points() -> tuple[list[EntryPoint], list[PluginRecord]]:
    """Return the installed entry points, and a record of each distribution that is left out.

    Left out is one whose entry points cannot be read, and one that is hidden by another version
    of itself, which comes earlier on ``sys.path``.
    """
    readable: list[EntryPoint] = []
    left_out: list[PluginRecord] = []
    seen: set[tuple[str, str]] = set()
    for distribution in importlib.metadata.distributions():
        # Most distributions have none of ours: only their text is looked at.
        if f"[{PROJECT}]" not in (_text(distribution, "entry_points.txt") or ""):
            continue
        name, version = _name_and_version(distribution)
        place = str(distribution.locate_file(""))
        if (normalized(name), place) in seen:
            continue  # a folder that stands twice on sys.path
        seen.add((normalized(name), place))
        try:
            points = list(distribution.entry_points.select(group=PROJECT))
        except Exception as error:
            reason = f"its entry points cannot be read: {one_line(error)}"
            left_out.append(PluginRecord("?", name, version, "?", "failed", reason))
            continue
        first = _first_of(name)
        if first is None or first == (version, place):
            readable += points
        elif points and first[0] != version:
            reason = (
                f"version {first[0]} of it comes earlier on the path ({first[1]}) and is used; "
                f"remove one of the two"
            )
            names, values = (
                ", ".join(getattr(p, key) for p in points) for key in ("name", "value")
            )
            left_out.append(PluginRecord(names, name, version, values, "hidden", reason))
    return readable, left_out


def _text(distribution: Distribution, name: str) -> str | None:
    try:
        return distribution.read_text(name)
    except (OSError, UnicodeDecodeError):
        return None


def _first_of(name: str) -> tuple[str, str] | None:
    """Return version and place of the distribution that Python finds under a name."""
    try:
        found = importlib.metadata.distribution(name)
    except Exception:  # damaged metadata, or none
        return None
    return _name_and_version(found)[1], str(found.locate_file(""))


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
    # Read line by line: parsing all the metadata as mail takes most of the time of listing.
    text = None if distribution is None else _text(distribution, "METADATA")
    if text is None:
        text = (None if distribution is None else _text(distribution, "PKG-INFO")) or ""
    head = text.partition("\n\n")[0]
    fields = {key.lower(): value.strip() for key, value in FIELD.findall(head)}
    return fields.get("name") or "unknown", fields.get("version") or "?"


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
