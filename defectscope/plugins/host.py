"""The plugin host: finds plugins one by one, keeps the failures of each to itself."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, ClassVar

import pluggy

from defectscope.core.components import ComponentSpec, FormatSpec, ReaderSpec
from defectscope.core.defect_types import DefectType
from defectscope.core.errors import DefectscopeError, PluginLoadError, did_you_mean
from defectscope.plugins import hookspecs
from defectscope.plugins.api_version import check_api_version
from defectscope.plugins.declarations import check_declarations
from defectscope.plugins.discovery import (
    ALLOW_LIST_VARIABLE,
    Gate,
    allowed_by_environment,
    installed_entry_points,
    load_entry_point,
    one_line,
    records_of,
)
from defectscope.plugins.lookup import Catalogue
from defectscope.plugins.markers import PROJECT
from defectscope.plugins.quiet import quiet_stdout
from defectscope.plugins.records import BASES, FAMILIES, PluginRecord, Registered, normalized

if TYPE_CHECKING:
    import click

    from defectscope.core.base import Runtime

__all__ = [
    "ALLOW_LIST_VARIABLE",
    "BASES",
    "FAMILIES",
    "PluginHost",
    "PluginRecord",
    "Registered",
    "allowed_by_environment",
    "default_host",
]

# Every command imports every plugin: above this it is worth a word.
SLOW_IMPORT_S = 1.0
# family -> what its hook returns, where that is not a ComponentSpec
SPECS: Mapping[str, type[Any]] = {
    "defect-types": DefectType,
    "readers": ReaderSpec,
    "formats": FormatSpec,
}


class PluginHost(Catalogue):
    """Discovers plugins, and looks up what they provide.

    Parameters
    ----------
    blocked
        Names of plugins or distributions that must not be imported.
    allowed
        If given, only these third-party plugins or distributions are imported.
    entry_points
        Instead of those installed, for tests.
    trace
        Called with a line about everything that is imported and every hook that is called.

    Attributes
    ----------
    hook_arguments
        What hooks are offered by name; each implementation takes what it names.
    """

    hook_arguments: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        blocked: Collection[str] = (),
        allowed: Collection[str] | None = None,
        entry_points: Iterable[EntryPoint] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._trace: Callable[[str], None] = trace or (lambda line: None)
        points = None if entry_points is None else tuple(entry_points)
        self._choices = (tuple(blocked), None if allowed is None else tuple(allowed), points)
        self._gate = Gate(blocked, allowed)
        self._extended: list[click.Group] = []
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        unreadable: list[PluginRecord] = []
        if points is None:
            found, unreadable = installed_entry_points()
            points = tuple(found)
        # Shipped plugins first, then by name: the order must not depend on the file system.
        pairs = records_of(points)
        for record, entry_point in sorted(pairs, key=lambda pair: _discovery_order(pair[0])):
            self._load(record, entry_point)
        self.plugins.extend(unreadable)

    def __reduce__(self) -> tuple[type[PluginHost], tuple[Any, ...]]:
        # Modules cannot be pickled: a worker process finds the same plugins again, and keeps the
        # same ones out. What was registered by hand stays behind.
        return type(self), self._choices

    def _load(self, record: PluginRecord, entry_point: EntryPoint) -> None:
        self.plugins.append(record)
        if not self._gate.lets_in(record):
            record.status = "blocked"
            self._trace(f"{record.label}: blocked, not imported")
            return
        begun = time.perf_counter()
        try:
            with quiet_stdout() as printed:
                plugin = load_entry_point(entry_point)
                self._trace(f"{record.label}: imported {record.target} in {_ms(begun)}")
                self.register(plugin, record)
        except (Exception, SystemExit) as error:
            record.status = "failed"
            record.error = one_line(error)
            self._trace(f"{record.label}: failed: {record.error}")
        record.import_s = time.perf_counter() - begun
        if printed:
            record.warnings.append("it prints when it is imported, which every command does")
        if record.import_s > SLOW_IMPORT_S:
            record.warnings.append(
                f"it takes {record.import_s:.1f} s to import, which every command does"
            )

    def register(self, plugin: object, record: PluginRecord) -> None:
        """Register a plugin object and collect everything it provides, or nothing at all.

        Raises
        ------
        PluginLoadError
            A hook is unknown, raises, or returns something else than its specification says.
        """
        key = f"{record.distribution}:{record.name}"
        if plugin is None or self.manager.is_registered(plugin) or self.manager.has_plugin(key):
            owner = self.manager.get_name(plugin) or key
            raise PluginLoadError(
                f"{record.target} is None"
                if plugin is None
                else f"it is registered already, as {owner}; remove one of the two entry points"
            )
        record.api_version = check_api_version(plugin)
        try:
            self._register_quietly(plugin, key, record)
            record.hooks = self._checked_hooks(plugin)
            record.provides = self._collected(plugin, record)
        except BaseException:
            record.hooks, record.provides = (), {}
            # Older versions of pluggy keep half of a plugin of which they refuse one hook.
            if self.manager.has_plugin(key):
                self.manager.unregister(plugin)
            raise
        record.warnings += self.idle_readers(record)
        record.status = "loaded"
        if not any(known is record for known in self.plugins):
            self.plugins.append(record)

    def _register_quietly(self, plugin: object, key: str, record: PluginRecord) -> None:
        # pluggy warns of what is deprecated without saying in whose plugin.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.manager.register(plugin, key)
        for warning in caught:
            text = " ".join(str(warning.message).split())
            record.warnings.append(text)
            warnings.warn(f"{record.label}: {text}", warning.category, stacklevel=2)

    def _checked_hooks(self, plugin: object) -> tuple[str, ...]:
        hooks = []
        for caller in self.manager.get_hookcallers(plugin) or []:
            mine = [hook for hook in caller.get_hookimpls() if hook.plugin is plugin]
            if caller.has_spec():
                hooks.append(caller.name)
            elif not all(implementation.optionalhook for implementation in mine):
                known = [*FAMILIES.values(), "defectscope_commands"]
                raise PluginLoadError(
                    f"it implements the hook {caller.name!r}, which does not exist"
                    f"{did_you_mean(caller.name, known)}"
                )
        if not hooks:
            raise PluginLoadError("it implements no hook of defectscope; is @hookimpl missing?")
        return tuple(sorted(hooks))

    def _collected(self, plugin: object, record: PluginRecord) -> dict[str, list[Any]]:
        found = {}
        for family, hook in FAMILIES.items():
            for implementation in getattr(self.manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    begun = time.perf_counter()
                    specs = _checked(family, hook, _called(implementation, self.hook_arguments))
                    names = ", ".join(spec.name for spec in specs) or "nothing"
                    self._trace(f"{record.label}: {hook} returned {names} in {_ms(begun)}")
                    found[family] = specs
        return found

    def unmatched_blocks(self) -> list[str]:
        """Return names that were to be blocked but belong to no plugin found."""
        return self._gate.unmatched_blocks()

    def unmatched_allowed(self) -> list[str]:
        """Return names on the allow-list that belong to no plugin found."""
        return self._gate.unmatched_allowed()

    def load_class(self, entry: Registered) -> Any:
        """Import a component's class, and check that it belongs to its family.

        Raises
        ------
        MissingPackageError
            An optional package that it declares is absent.
        PluginLoadError
            It cannot be imported, or is of another family; names the distribution.
        """
        from defectscope.core import base
        from defectscope.core.options import check_options_model

        begun = time.perf_counter()
        try:
            with quiet_stdout():
                loaded = entry.spec.load(entry.plugin.distribution)
        except (PluginLoadError, SystemExit) as error:
            raise PluginLoadError(f"{entry.plugin.label}: {one_line(error)}") from error
        expected = getattr(base, BASES[entry.family])
        if not (isinstance(loaded, type) and issubclass(loaded, expected)):
            raise PluginLoadError(
                f"{entry.plugin.label}: {entry.spec.target} must be a subclass of "
                f"defectscope.{expected.__name__}"
            )
        self._trace(f"{entry.plugin.label}: loaded {entry.spec.target} in {_ms(begun)}")
        try:
            check_options_model(getattr(loaded, "Options", None))
            check_declarations(loaded)
        except PluginLoadError as error:
            raise PluginLoadError(f"{entry.plugin.label}: {entry.spec.target}: {error}") from error
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

        Without a `runtime` it may use one CPU thread, and all that is registered.

        Raises
        ------
        UnknownNameError, PluginClashError, PluginLoadError, OptionError
            As the name and the options deserve.
        """
        from defectscope.core.options import validate_options

        entry = self.find(family, name)
        component = self.load_class(entry)
        values = validate_options(component.Options, options or {}, alias or name)
        try:
            built = component(values, runtime or self.runtime())
        except DefectscopeError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginLoadError(
                f"{entry.plugin.label}: {entry.name!r} cannot be made: {one_line(error)}"
            ) from error
        if not (hasattr(built, "options") and hasattr(built, "runtime")):
            raise PluginLoadError(
                f"{entry.plugin.label}: {entry.name!r} has no options and runtime; its __init__ "
                "must call super().__init__(options, runtime)"
            )
        return built

    def add_commands(self, cli: click.Group) -> None:
        """Let every plugin add its commands, once; those of one that fails are left out."""
        if any(known is cli for known in self._extended):
            return
        self._extended.append(cli)
        for implementation in self.manager.hook.defectscope_commands.get_hookimpls():
            before = dict(cli.commands)
            try:
                _add_commands(cli, implementation)
            except (Exception, SystemExit) as error:
                cli.commands.clear()
                cli.commands.update(before)
                text = f"defectscope_commands: {one_line(error)}"
                for record in self.plugins:
                    mine = f"{record.distribution}:{record.name}" == implementation.plugin_name
                    if mine and text not in record.warnings:
                        record.warnings.append(text)

    def commands_of(self, record: PluginRecord) -> list[str]:
        """Return the names of the commands that a plugin adds; none where its hook fails."""
        import click

        cli = click.Group(PROJECT)
        for implementation in self.manager.hook.defectscope_commands.get_hookimpls():
            if implementation.plugin_name == f"{record.distribution}:{record.name}":
                try:
                    _add_commands(cli, implementation)
                except (Exception, SystemExit):
                    return []
        return sorted(cli.commands)


def _add_commands(cli: click.Group, implementation: pluggy.HookImpl) -> None:
    import click

    taken, before = set(cli.list_commands(click.Context(cli))), dict(cli.commands)
    with quiet_stdout():
        _called(implementation, {"cli": cli})
    for name, command in cli.commands.items():
        if name in taken and command is not before.get(name):
            raise PluginLoadError(f"there is a command {name!r} already; choose another name")


def _called(implementation: pluggy.HookImpl, offered: Mapping[str, Any]) -> Any:
    # An older plugin names fewer arguments than a hook has by now, and gets those.
    return implementation.function(*[offered[name] for name in implementation.argnames])


def _ms(begun: float) -> str:
    return f"{1000 * (time.perf_counter() - begun):.1f} ms"


def _discovery_order(record: PluginRecord) -> tuple[bool, str, str]:
    return not record.is_shipped, normalized(record.distribution), record.name


def _checked(family: str, hook: str, returned: Any) -> list[Any]:
    expected = SPECS.get(family, ComponentSpec)
    if isinstance(returned, str | bytes) or not isinstance(returned, Iterable):
        raise PluginLoadError(
            f"{hook} must return an iterable of {expected.__name__}, "
            f"found {type(returned).__name__}"
        )
    items: list[Any] = []
    for item in returned:
        if not isinstance(item, expected):
            raise PluginLoadError(
                f"{hook} must return {expected.__name__} objects, found {type(item).__name__}"
            )
        if any(item.name == earlier.name for earlier in items):
            raise PluginLoadError(f"{hook} returns two of the name {item.name!r}")
        items.append(item)
    return items


@functools.cache
def default_host() -> PluginHost:
    """Return the host of this process, made from the installed plugins at the first call.

    ``DEFECTSCOPE_PLUGINS`` is an allow-list of plugins or distributions, separated by commas;
    empty means the shipped ones only.
    """
    return PluginHost(allowed=allowed_by_environment())
