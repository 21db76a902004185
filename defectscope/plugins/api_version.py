"""The version of the plugin interface, and whether a plugin fits it.

A plugin module may name the version that it was written for::

    defectscope_api = "1.0"

The first number changes when something is taken away, the second when something is added. One that
names none is taken as current.
"""

from __future__ import annotations

import re

from defectscope._version import __version__
from defectscope.core.errors import PluginLoadError

__all__ = ["API_VERSION", "ATTRIBUTE", "check_api_version"]

API_VERSION = "1.0"
ATTRIBUTE = "defectscope_api"
VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})")


def check_api_version(plugin: object) -> str | None:
    """Return the version that a plugin names, or None.

    Raises
    ------
    PluginLoadError
        It is no version, or one that this defectscope does not offer; says which to install.
    """
    stated = getattr(plugin, ATTRIBUTE, None)
    if stated is None:
        return None
    match = VERSION.fullmatch(stated) if isinstance(stated, str) else None
    if match is None:
        raise PluginLoadError(
            f"{ATTRIBUTE} must be the version of the plugin interface as text, "
            f"such as {API_VERSION!r}; found {stated!r}"
        )
    wanted, ours = _pair(match), _pair(VERSION.fullmatch(API_VERSION))
    if wanted[0] == ours[0] and wanted[1] <= ours[1]:
        return match[0]
    advice = "install a later defectscope" if wanted > ours else "install a later version of it"
    raise PluginLoadError(
        f"it was written for version {stated} of the plugin interface, but defectscope "
        f"{__version__} has version {API_VERSION}; {advice}"
    )


def _pair(match: re.Match[str] | None) -> tuple[int, int]:
    assert match is not None
    return int(match[1]), int(match[2])
