"""What the host knows about plugins: the families, and a record of each plugin found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from defectscope.plugins.markers import PROJECT

__all__ = ["BASES", "FAMILIES", "PluginRecord", "Registered", "normalized", "singular"]

# family -> its hook
FAMILIES: Mapping[str, str] = {
    "defect-types": "defectscope_defect_types",
    "readers": "defectscope_readers",
    "formats": "defectscope_formats",
    "backgrounds": "defectscope_backgrounds",
    "generators": "defectscope_generators",
    "detectors": "defectscope_detectors",
    "postprocessors": "defectscope_postprocessors",
    "trackers": "defectscope_trackers",
    "analyses": "defectscope_analyses",
    "weights": "defectscope_weights",
}
# family -> base class of its components, by name so that nothing is imported
BASES: Mapping[str, str] = {
    "readers": "Reader",
    "formats": "AnnotationFormat",
    "backgrounds": "Background",
    "generators": "Generator",
    "detectors": "Detector",
    "postprocessors": "PostProcessor",
    "trackers": "Tracker",
    "analyses": "Analysis",
}
_IRREGULAR = {
    "postprocessors": "post-processor",
    "analyses": "analysis",
    "weights": "set of weights",
}


def singular(family: str) -> str:
    """Return what one member of a family is called, for messages."""
    return _IRREGULAR.get(family, family.removesuffix("s").replace("-", " "))


def normalized(name: str) -> str:
    """Return a distribution's or plugin's name as PyPA compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass
class PluginRecord:
    """A plugin that was found, and what became of it.

    ``status`` is ``loaded``, ``blocked``, ``failed``, or ``hidden`` by another version of its
    distribution; ``error`` says why. ``api_version`` is the version of the plugin interface that
    it names, if any; ``import_s`` how long its import and its hooks took; ``warnings`` what its
    author should know.
    """

    name: str
    distribution: str
    version: str
    target: str
    status: str = "found"
    error: str | None = None
    hooks: tuple[str, ...] = ()
    api_version: str | None = None
    import_s: float = 0.0
    warnings: list[str] = field(default_factory=list)
    provides: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with defectscope itself."""
        return normalized(self.distribution) == PROJECT

    @property
    def label(self) -> str:
        """``distribution version (plugin)``, for messages."""
        return f"{self.distribution} {self.version} (plugin {self.name!r})"


class Registered(NamedTuple):
    """One thing that a plugin provides."""

    family: str
    name: str
    spec: Any
    plugin: PluginRecord

    @property
    def qualified(self) -> str:
        """``distribution/NAME``, which selects one of several."""
        return f"{self.plugin.distribution}/{self.name}"
