"""What the plugins provide, by family and name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import (
    PluginClashError,
    UnknownNameError,
    UsageError,
    did_you_mean,
)
from defectscope.plugins.records import (
    FAMILIES,
    PluginRecord,
    Registered,
    normalized,
    singular,
)

if TYPE_CHECKING:
    from defectscope.core.base import Runtime
    from defectscope.core.components import ComponentSpec
    from defectscope.core.defect_types import DefectType

__all__ = ["Catalogue"]


class Catalogue:
    """Looks up what plugins provide.

    Attributes
    ----------
    plugins
        A record of every plugin found, shipped ones first.
    """

    def __init__(self) -> None:
        self.plugins: list[PluginRecord] = []

    def registered(self, family: str) -> list[Registered]:
        """Return everything of a family, shipped first."""
        return [
            Registered(family, spec.name, spec, plugin)
            for plugin in self.plugins
            for spec in plugin.provides.get(family, ())
        ]

    def matching(self, family: str, name: str) -> list[Registered]:
        """Return everything of a family that ``NAME`` or ``distribution/NAME`` means."""
        # A distribution's name holds no slash, but that of a defect type may.
        owner, slash, bare = name.partition("/")
        return [
            entry
            for entry in self.registered(family)
            if name == entry.name
            or (
                slash
                and bare == entry.name
                and normalized(owner) == normalized(entry.plugin.distribution)
            )
        ]

    def find(self, family: str, name: str) -> Registered:
        """Look up ``NAME`` or ``distribution/NAME``.

        Raises
        ------
        UnknownNameError
            Nothing of that name is installed, or there is no such family; the nearest name is
            suggested.
        PluginClashError
            Several plugins offer it; they are named.
        """
        _check_family(family)
        found = self.matching(family, name)
        if not found:
            names = sorted({entry.name for entry in self.registered(family)})
            raise UnknownNameError(
                f"there is no {singular(family)} {name!r}{did_you_mean(name, names)}; "
                f"installed are: {', '.join(names) or 'none'}{self._left_out()}"
            )
        if _differ(found):
            raise _clash(family, name, found)
        return found[0]

    def find_anywhere(self, name: str, family: str | None = None) -> Registered:
        """Look up a name in one family, or in all of them.

        Raises
        ------
        UnknownNameError, PluginClashError
            As :meth:`find` does.
        UsageError
            Several families have it.
        """
        if family is not None:
            return self.find(family, name)
        families = [family for family in FAMILIES if self.matching(family, name)]
        if len(families) > 1:
            options = " or ".join(f"--family {family}" for family in families)
            raise UsageError(
                f"{name!r} stands in several families ({', '.join(families)}); "
                f"say which one with {options}"
            )
        if families:
            return self.find(families[0], name)
        everything = [entry for family in FAMILIES for entry in self.registered(family)]
        known = sorted({entry.name for entry in everything})
        raise UnknownNameError(
            f"nothing installed is called {name!r}"
            f"{_provided_by(name, everything) or did_you_mean(name, known)}; "
            f"'defectscope plugins list' shows what there is{self._left_out()}"
        )

    def _left_out(self) -> str:
        counts = {
            "failed to load": sum(plugin.status == "failed" for plugin in self.plugins),
            "blocked": sum(plugin.status == "blocked" for plugin in self.plugins),
        }
        parts = [f"plugins {what}: {count}" for what, count in counts.items() if count]
        return f" ({', '.join(parts)}; see 'defectscope plugins list')" if parts else ""

    def clashes(self, families: Iterable[str] = FAMILIES) -> list[list[Registered]]:
        """Return the names that several plugins offer, each with everything of that name."""
        groups: dict[tuple[str, str], list[Registered]] = {}
        for family in families:
            for entry in self.registered(family):
                groups.setdefault((family, entry.name), []).append(entry)
        return [group for group in groups.values() if _differ(group)]

    def shipped_suffixes(self) -> dict[str, str]:
        """Return the suffixes that shipped readers take, which no other reader is asked for."""
        return {
            suffix.lower(): entry.name
            for entry in self.registered("readers")
            if entry.plugin.is_shipped
            for suffix in entry.spec.suffixes
        }

    def idle_readers(self, record: PluginRecord) -> list[str]:
        """Return what its author should know of suffixes that shipped readers keep."""
        if record.is_shipped:
            return []
        shipped = self.shipped_suffixes()
        return [
            f"its reader {spec.name!r} is never asked for files ending in {suffix}, which the "
            f"shipped reader {shipped[suffix.lower()]!r} takes"
            for spec in record.provides.get("readers", ())
            for suffix in spec.suffixes
            if suffix.lower() in shipped
        ]

    def defect_types(self) -> dict[str, DefectType]:
        """Return the defect types by name, without those that two plugins define differently.

        A shipped one stays as it is, whatever others make of its name: sizes must not change
        because a plugin was installed.
        """
        clashing = self.clashing_types()
        found: dict[str, DefectType] = {}
        for entry in self.registered("defect-types"):
            if entry.name not in clashing:
                found.setdefault(entry.name, entry.spec)
        return found

    def clashing_types(self) -> dict[str, str]:
        """Return the defect types that plugins define differently: what to say of each, by name.

        Not the shipped ones, which nobody can define anew.
        """
        return {
            group[0].name: str(_clash("defect-types", group[0].name, group))
            for group in self.clashes(["defect-types"])
            if not group[0].plugin.is_shipped
        }

    def expect_types(self, names: Iterable[str]) -> list[str]:
        """Check the defect types that a component declares.

        Parameters
        ----------
        names
            What it declares.

        Returns
        -------
        list of str
            Warnings about those that no plugin registers.

        Raises
        ------
        PluginClashError
            Plugins define one of them differently; they are named.
        """
        names = list(dict.fromkeys(names))
        clashing, known = self.clashing_types(), self.defect_types()
        for name in names:
            if name in clashing:
                raise PluginClashError(clashing[name])
        return [
            f"the defect type {name!r} is registered by no plugin: it is measured by its major "
            f"axis, and as a dark ellipse unless an option says otherwise{self._left_out()}"
            for name in names
            if name not in known
        ]

    def runtime(self, **values: Any) -> Runtime:
        """Return what components may use: `values`, and the registered defect types and weights."""
        from defectscope.core.base import Runtime

        return Runtime(
            **values,
            defect_types=self.defect_types(),
            weights=self.weights(),
            clashing_types=self.clashing_types(),
        )

    def weights(self) -> dict[str, ComponentSpec]:
        """Return the named weights, those of clashing names by ``distribution/name`` only."""
        clashing = {group[0].name for group in self.clashes(["weights"])}
        found = {entry.qualified: entry.spec for entry in self.registered("weights")}
        return found | {
            entry.name: entry.spec
            for entry in self.registered("weights")
            if entry.name not in clashing
        }


def _check_family(family: str) -> None:
    if family not in FAMILIES:
        raise UnknownNameError(
            f"there is no family {family!r}{did_you_mean(family, FAMILIES)}; "
            f"the families are: {', '.join(FAMILIES)}"
        )


def _provided_by(name: str, everything: list[Registered]) -> str:
    names = [
        entry.name
        for entry in everything
        if normalized(name)
        in (normalized(entry.plugin.name), normalized(entry.plugin.distribution))
    ]
    return f" but a plugin, which provides: {', '.join(names)}" if names else ""


def _differ(group: list[Registered]) -> bool:
    # Every plugin that uses a defect type may declare it, as long as they agree.
    if group[0].family == "defect-types":
        return any(entry.spec != group[0].spec for entry in group)
    return len(group) > 1


def _clash(family: str, name: str, found: list[Registered]) -> PluginClashError:
    owners = " and ".join(entry.plugin.label for entry in found)
    choices = list(dict.fromkeys(entry.qualified for entry in found))
    by_distribution = len(choices) == len(found)
    # Without the shipped ones little would be left.
    blocks = [
        entry.plugin.distribution if by_distribution else entry.plugin.name
        for entry in found
        if not entry.plugin.is_shipped
    ]
    flags = [f"--no-plugin {block}" for block in blocks]
    leave_out = f"leave one out with {' or '.join(flags)}"
    if len(blocks) < len(found):
        leave_out = f"leave out the other{'s' * (len(flags) > 1)} with {' '.join(flags)}"
    # What is found bears the bare name of its type: no other can be chosen.
    if by_distribution and family == "defect-types":
        advice = f"they define it differently; {leave_out}"
    elif by_distribution:
        advice = f"write {' or '.join(choices)}, or {leave_out}"
    else:
        advice = leave_out
    return PluginClashError(f"{singular(family)} {name!r} is offered by {owners}; {advice}")
