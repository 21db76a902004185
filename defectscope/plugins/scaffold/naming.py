"""Names of new plugins: which are possible, and what is made of them."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from defectscope.core.errors import UsageError
from defectscope.plugins.markers import PROJECT
from defectscope.plugins.records import FAMILIES, normalized

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost

__all__ = ["camel_case", "checked_name", "distribution_of"]

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 40
PREFIX = f"{PROJECT}-"
# Words that have a meaning of their own on the command line or in a project.
RESERVED = frozenset((PROJECT, "plugin", "plugins", "testing", "test", "tests", "core", "cli"))


def distribution_of(name: str) -> str:
    """Return what the distribution of a new plugin is called."""
    return f"{PREFIX}{name}"


def checked_name(family: str, name: str, host: PluginHost, commands: Collection[str] = ()) -> str:
    """Return the name of a new component, where it is possible.

    Parameters
    ----------
    family
        Plural, or ``commands``.
    name
        As the user gave it; ``defectscope-`` before it is left out.
    host
        What is installed.
    commands
        Names of commands that are taken.

    Raises
    ------
    UsageError
        It is not kebab-case, too long, reserved, or taken.
    """
    bare = name.removeprefix(PREFIX)
    if not NAME.fullmatch(bare):
        near = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", bare).lower())
        near = near.strip("-").lstrip("0123456789-")
        hint = f", such as {near!r}" if NAME.fullmatch(near) else ""
        raise UsageError(
            f"a name must be kebab-case{hint}: a letter first, then letters a-z, digits and "
            f"single hyphens; found {name!r}"
        )
    if len(bare) > LONGEST_NAME:
        raise UsageError(
            f"a name has at most {LONGEST_NAME} characters, found {len(bare)} in {name!r}"
        )
    _expect_free(family, bare, host)
    if family == "commands" and bare in commands:
        raise UsageError(f"there is a command {bare!r} already; choose another name")
    return bare


def _expect_free(family: str, name: str, host: PluginHost) -> None:
    families = {*FAMILIES, *(word.removesuffix("s") for word in FAMILIES), "command", "commands"}
    if name in RESERVED or name in families:
        raise UsageError(f"the name {name!r} is reserved; choose one that says what it does")
    for record in host.plugins:
        # --no-plugin NAME must mean one plugin.
        if normalized(record.name) == name or normalized(record.distribution) == name:
            raise UsageError(f"the name {name!r} is taken by {record.label}; choose another")
    if family in FAMILIES:
        taken = next((e for e in host.registered(family) if e.name == name), None)
        if taken is not None:
            raise UsageError(
                f"the name {name!r} is taken in {family} by {taken.plugin.label}; choose another"
            )
    reader = host.shipped_suffixes().get(f".{name}") if family == "readers" else None
    if reader is not None:
        raise UsageError(
            f"files ending in .{name} are read by the shipped reader {reader!r}, and no other one "
            "is asked; choose another name"
        )
    try:
        version = importlib.metadata.version(distribution_of(name))
    except importlib.metadata.PackageNotFoundError:
        return
    raise UsageError(f"{distribution_of(name)} {version} is installed already; choose another name")


def camel_case(name: str) -> str:
    """Return ``DarkPixels`` for ``dark-pixels``."""
    return "".join(part.capitalize() for part in name.split("-"))
