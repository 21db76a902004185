"""The plugin host: finds plugins one by one, keeps the failures of each to itself."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from defectscope.core.components import ComponentSpec
from defectscope.core.defect_types import DefectType
from defectscope.core.errors import (
    PluginClashError,
    PluginLoadError,
    UnknownNameError,
    did_you_mean,
)
from defectscope.plugins import hookspecs
from defectscope.plugins.markers import PROJECT

if TYPE_CHECKING:
    import click

    from defectscope.core.base import Runtime

__all__ = ["FAMILIES", "PluginHost", "PluginRecord", "Registered", "default_host"]

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
ALLOW_LIST_VARIABLE = "DEFECTSCOPE_PLUGINS"


@dataclass
class PluginRecord:
    """A plugin that was found, and what became of it.

    ``status`` is ``loaded``, ``blocked`` or ``failed``; ``error`` says why it failed.
    """

    name: str
    distribution: str
    version: str
    target: str
    status: str = "found"
    error: str | None = None
    hooks: tuple[str, ...] = ()
    provides: dict[str, list[Any]] = field(default_factory=dict)

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


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class PluginHost:
    """Discovers plugins, and looks up what they provide.

    Parameters
    ----------
    blocked
        Names of plugins or distributions that must not be imported.
    allowed
        If given, only these third-party plugins or distributions are imported.
    entry_points
        Instead of those installed, for tests.
    """

    def __init__(
        self,
        blocked: Collection[str] = (),
        allowed: Collection[str] | None = None,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
    ) -> None:
        self._blocked = {_normalized(name) for name in blocked}
        self._allowed = None if allowed is None else {_normalized(name) for name in allowed}
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.plugins: list[PluginRecord] = []
        self._unmatched_blocks = set(self._blocked)
        if entry_points is None:
            entry_points = importlib.metadata.entry_points(group=PROJECT)
        # Shipped plugins first, then by name: the order must not depend on the file system.
        for entry_point in sorted(entry_points, key=_discovery_order):
            self._load(entry_point)

    def _load(self, entry_point: importlib.metadata.EntryPoint) -> None:
        distribution, version = "unknown", "?"
        if entry_point.dist is not None:
            distribution, version = entry_point.dist.name, entry_point.dist.version
        record = PluginRecord(entry_point.name, distribution, version, entry_point.value)
        self.plugins.append(record)
        if self._is_blocked(record):
            record.status = "blocked"
            return
        try:
            # What a plugin prints on import must not mix with data on stdout.
            with contextlib.redirect_stdout(sys.stderr):
                self.register(entry_point.load(), record)
        except (Exception, SystemExit) as error:
            record.status = "failed"
            record.error = _one_line(error)

    def _is_blocked(self, record: PluginRecord) -> bool:
        names = {_normalized(record.name), _normalized(record.distribution)}
        self._unmatched_blocks -= names
        if names & self._blocked:
            return True
        shipped = _normalized(record.distribution) == PROJECT
        return self._allowed is not None and not shipped and not names & self._allowed

    def register(self, plugin: object, record: PluginRecord) -> None:
        """Register a plugin object and collect everything it provides, or nothing at all.

        Raises
        ------
        PluginLoadError
            A hook is unknown, raises, or returns something else than its specification says.
        """
        self.manager.register(plugin, f"{record.distribution}:{record.name}")
        try:
            callers = self.manager.get_hookcallers(plugin) or []
            record.hooks = tuple(sorted(caller.name for caller in callers))
            for caller in callers:
                if not caller.has_spec():
                    known = [*FAMILIES.values(), "defectscope_commands"]
                    raise PluginLoadError(
                        f"it implements the hook {caller.name!r}, which does not exist"
                        f"{did_you_mean(caller.name, known)}"
                    )
            for family, hook in FAMILIES.items():
                for implementation in getattr(self.manager.hook, hook).get_hookimpls():
                    if implementation.plugin is plugin:
                        record.provides[family] = _checked(family, hook, implementation.function())
        except BaseException:
            record.provides = {}
            self.manager.unregister(plugin)
            raise
        if not record.hooks:
            self.manager.unregister(plugin)
            raise PluginLoadError("it implements no hook of defectscope; is @hookimpl missing?")
        record.status = "loaded"

    def unmatched_blocks(self) -> list[str]:
        """Return names that were to be blocked but belong to no plugin found."""
        return sorted(self._unmatched_blocks)

    def registered(self, family: str) -> list[Registered]:
        """Return everything of a family, shipped first."""
        return [
            Registered(family, spec.name, spec, plugin)
            for plugin in self.plugins
            for spec in plugin.provides.get(family, ())
        ]

    def find(self, family: str, name: str) -> Registered:
        """Look up ``NAME`` or ``distribution/NAME``.

        Raises
        ------
        UnknownNameError
            Nothing of that name is installed; the nearest name is suggested.
        PluginClashError
            Several plugins offer it; they are named.
        """
        everything = self.registered(family)
        found = [
            entry
            for entry in everything
            if name in (entry.name, f"{entry.plugin.distribution}/{entry.name}")
        ]
        if len(found) == 1:
            return found[0]
        singular = "analysis" if family == "analyses" else family.removesuffix("s")
        if not found:
            names = sorted({entry.name for entry in everything})
            failed = [plugin for plugin in self.plugins if plugin.status == "failed"]
            broken = (
                f" ({len(failed)} plugins failed to load: see 'defectscope plugins list')"
                if failed
                else ""
            )
            raise UnknownNameError(
                f"there is no {singular} {name!r}{did_you_mean(name, names)}; "
                f"installed are: {', '.join(names) or 'none'}{broken}"
            )
        choices = [f"{entry.plugin.distribution}/{entry.name}" for entry in found]
        owners = " and ".join(entry.plugin.label for entry in found)
        advice = (
            f"write {' or '.join(choices)}, or leave one out with --no-plugin"
            if len(set(choices)) == len(choices)
            else "uninstall one, or leave one out with --no-plugin"
        )
        raise PluginClashError(f"{singular} {name!r} is offered by {owners}; {advice}")

    def defect_types(self) -> dict[str, DefectType]:
        """Return the defect types by name, without those that two plugins define differently."""
        types: dict[str, DefectType] = {}
        clashing = set()
        for entry in self.registered("defect-types"):
            if types.setdefault(entry.name, entry.spec) != entry.spec:
                clashing.add(entry.name)
        return {name: value for name, value in types.items() if name not in clashing}

    def load_class(self, entry: Registered) -> Any:
        """Import a component's class, and check that it belongs to its family.

        Raises
        ------
        PluginLoadError
            It cannot be imported, or is of another family; names the distribution.
        """
        from defectscope.core import base

        try:
            with contextlib.redirect_stdout(sys.stderr):
                loaded = entry.spec.load()
        except PluginLoadError as error:
            raise PluginLoadError(f"{entry.plugin.label}: {error}") from error
        expected = getattr(base, BASES[entry.family])
        if not (isinstance(loaded, type) and issubclass(loaded, expected)):
            raise PluginLoadError(
                f"{entry.plugin.label}: {entry.spec.target} must be a subclass of "
                f"defectscope.{expected.__name__}"
            )
        return loaded

    def build(
        self,
        family: str,
        name: str,
        options: Mapping[str, Any] | None = None,
        runtime: Runtime | None = None,
        alias: str | None = None,
    ) -> Any:
        """Return a component with validated options, not yet opened.

        Raises
        ------
        UnknownNameError, PluginClashError, PluginLoadError, OptionError
            As the name and the options deserve.
        """
        from defectscope.core.options import validate_options

        component = self.load_class(self.find(family, name))
        return component(
            validate_options(component.Options, options or {}, alias or name), runtime
        )

    def add_commands(self, cli: click.Group) -> None:
        """Let every plugin add its commands; one that fails is recorded and left out."""
        for implementation in self.manager.hook.defectscope_commands.get_hookimpls():
            try:
                implementation.function(cli)
            except Exception as error:
                for record in self.plugins:
                    if f"{record.distribution}:{record.name}" == implementation.plugin_name:
                        record.error = f"defectscope_commands: {_one_line(error)}"
                        record.status = "failed"


def _discovery_order(entry_point: importlib.metadata.EntryPoint) -> tuple[bool, str, str]:
    distribution = entry_point.dist.name if entry_point.dist is not None else ""
    return _normalized(distribution) != PROJECT, _normalized(distribution), entry_point.name


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginLoadError) else f"{type(error).__name__}: {text}"


def _checked(family: str, hook: str, returned: Any) -> list[Any]:
    expected = DefectType if family == "defect-types" else ComponentSpec
    if isinstance(returned, str | bytes) or not isinstance(returned, Iterable):
        raise PluginLoadError(
            f"{hook} must return an iterable of {expected.__name__}, "
            f"found {type(returned).__name__}"
        )
    items = list(returned)
    for item in items:
        if not isinstance(item, expected):
            raise PluginLoadError(
                f"{hook} must return {expected.__name__} objects, found {type(item).__name__}"
            )
    return items


@functools.cache
def default_host() -> PluginHost:
    """Return the host of this process, made from the installed plugins at the first call.

    ``DEFECTSCOPE_PLUGINS`` is an allow-list of plugins or distributions, separated by commas;
    empty means the shipped ones only.
    """
    listed = os.environ.get(ALLOW_LIST_VARIABLE)
    allowed = None if listed is None else [n.strip() for n in listed.split(",") if n.strip()]
    return PluginHost(allowed=allowed)
